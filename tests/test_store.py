import asyncio
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from hypothesis import given, settings
from hypothesis import strategies as st

from potstill.models import Completion, ErrorKind, Request, Sampling
from potstill.models.store import Store, StoredModel, request_key

REQUEST = Request("a", [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}], Sampling(10, 0.7))


class Counting:
    identity: ClassVar = {"weights": "w"}

    def __init__(self, error=None):
        self.asked, self.error = [], error

    async def complete(self, requests):
        async for request in requests:
            self.asked.append(request.id)
            yield Completion(request.id, request.sample, text=f"to {request.messages[-1]['content']}", error=self.error)


def ask(model, store, *requests):
    async def stream():
        for request in requests:
            yield request

    async def collect():
        return [c async for c in StoredModel(model, store).complete(stream())]

    return asyncio.run(collect())


def test_a_stored_answer_is_served_and_never_asked_again(tmp_path):
    model = Counting()
    first = ask(model, Store(tmp_path / "s.sqlite"), REQUEST)
    again = ask(model, Store(tmp_path / "s.sqlite"), replace(REQUEST, id="other row"))
    assert (first[0].cached, again[0].cached) == (False, True)
    assert again[0].text == first[0].text == "to q"
    assert again[0].id == "other row"
    assert model.asked == ["a"]


def test_failures_are_not_served_as_answers(tmp_path):
    store = Store(tmp_path / "s.sqlite")
    assert ask(Counting(ErrorKind.TIMEOUT), store, REQUEST)[0].error is ErrorKind.TIMEOUT
    assert ask(Counting(), store, REQUEST)[0].text == "to q"


def test_key_changes_with_what_was_asked_and_not_with_the_row():
    key = request_key({"weights": "w"}, REQUEST)
    assert request_key({"weights": "w"}, replace(REQUEST, id="b")) == key
    others = [
        request_key({"weights": "v"}, REQUEST),
        request_key({"weights": "w"}, replace(REQUEST, sample=1)),
        request_key({"weights": "w"}, replace(REQUEST, messages=REQUEST.messages[1:])),
        request_key({"weights": "w"}, replace(REQUEST, sampling=Sampling(11, 0.7))),
    ]
    assert len({key, *others}) == 5


TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.dictionaries(st.text("abcdef0123456789", min_size=1), TEXT, max_size=20), st.data())
@settings(max_examples=50, deadline=None)
def test_what_is_put_comes_back_as_it_was(texts, data):
    with TemporaryDirectory() as folder:
        store = Store(Path(folder) / "s.sqlite")
        store.put([Completion("i", 0, text=text, finish_reason="stop", key=key) for key, text in texts.items()])
        asked = data.draw(st.lists(st.sampled_from([*texts, "none"])))
        found = store.get(asked)
        assert {key: completion.text for key, completion in found.items()} == {k: texts[k] for k in asked if k in texts}


def test_requests_flow_through_while_others_are_still_to_come(tmp_path):
    """A stream longer than one look-up, half of it stored, is answered whole and once."""
    store = Store(tmp_path / "s.sqlite")
    requests = [Request(str(i), [{"role": "user", "content": str(i)}]) for i in range(1203)]
    ask(Counting(), store, *requests[::2])
    model = Counting()
    given = []

    async def source():
        for request in requests:
            given.append(request.id)
            yield request

    async def collect():
        answers = []
        async for completion in StoredModel(model, store).complete(source()):
            answers.append((completion, len(given)))
        return answers

    got, given_before = zip(*asyncio.run(collect()), strict=True)
    assert given_before[0] < 1203
    assert sorted(c.id for c in got) == sorted(r.id for r in requests)
    assert all(c.text == f"to {c.id}" for c in got)
    assert model.asked == [r.id for r in requests[1::2]]


def test_two_processes_write_at_once(tmp_path):
    code = (
        "import sys; from pathlib import Path; from potstill.models import Completion; from potstill.models.store import Store\n"
        "for i in range(100): Store(Path(sys.argv[1])).put([Completion('i', 0, text='t', finish_reason='stop', key=f'{sys.argv[2]}-{i}')])"
    )
    path = tmp_path / "s.sqlite"
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path), name]) for name in "ab"]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert len(Store(path).get([f"{name}-{i}" for name in "ab" for i in range(100)])) == 200
