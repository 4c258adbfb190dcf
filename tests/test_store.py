import gzip
import hashlib
import json
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from potstill.errors import PotstillError
from potstill.models import Completion, ErrorKind, Request, Sampling, tally
from potstill.models.complete import Billing, complete
from potstill.models.store import admin as upkeep
from potstill.models.store.store import Store, key_function

REQUEST = Request("a", [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}], Sampling(10, 0.7))


def key_of(request, identity=None):
    return key_function(identity or {"weights": "w"})(request)


class Counting:
    identity: ClassVar = {"weights": "w"}
    name, price = "counting", None

    def __init__(self, error=None):
        self.asked, self.error = [], error

    async def complete(self, requests):
        async for request in requests:
            self.asked.append(request.id)
            yield [
                Completion(request.id, request.sample, text=f"to {request.messages[-1]['content']}", error=self.error)
            ]


def completed(model, store, *requests):
    return list(complete(model, requests, "model", Billing(store)))


def test_a_stored_answer_is_served_and_never_asked_again(tmp_path):
    model = Counting()
    first = completed(model, Store(tmp_path / "s.sqlite"), REQUEST)
    again = completed(model, Store(tmp_path / "s.sqlite"), replace(REQUEST, id="other row"))
    assert again[0].text == first[0].text == "to q"
    assert again[0].id == "other row"
    assert model.asked == ["a"]


def test_failures_are_recorded_and_never_served_as_answers(tmp_path):
    store = Store(tmp_path / "s.sqlite")
    with pytest.raises(PotstillError, match="timeout"):
        completed(Counting(ErrorKind.TIMEOUT), store, REQUEST)
    assert store.get([key_of(REQUEST)])[key_of(REQUEST)].error is ErrorKind.TIMEOUT
    assert completed(Counting(), store, REQUEST)[0].text == "to q"


def test_key_changes_with_what_was_asked_and_not_with_the_row():
    key = key_of(REQUEST)
    assert key_of(replace(REQUEST, id="b")) == key
    others = [
        key_of(REQUEST, {"weights": "v"}),
        key_of(replace(REQUEST, sample=1)),
        key_of(replace(REQUEST, messages=REQUEST.messages[1:])),
        key_of(replace(REQUEST, sampling=Sampling(11, 0.7))),
        key_of(replace(REQUEST, sampling=Sampling(10, 0.7, top_logprobs=2))),
        key_of(replace(REQUEST, schema={"type": "object"})),
    ]
    assert len({key, *others}) == 7


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
MESSAGES = st.lists(st.fixed_dictionaries({"role": st.sampled_from(["user", "system"]), "content": TEXT}), min_size=1)


@given(MESSAGES, MESSAGES, st.integers(0, 3), st.integers(0, 3))
def test_two_requests_have_one_key_just_when_they_ask_the_same(messages, others, sample, other):
    same = messages == others and sample == other
    assert (key_of(Request("a", messages, sample=sample)) == key_of(Request("b", others, sample=other))) == same


@given(st.dictionaries(st.binary(min_size=1, max_size=32), TEXT, max_size=20), st.data())
@settings(max_examples=50, deadline=None)
def test_what_is_put_comes_back_as_it_was(texts, data):
    with TemporaryDirectory() as folder:
        store = Store(Path(folder) / "s.sqlite")
        store.put([Completion("i", 0, text=text, finish_reason="stop", key=key) for key, text in texts.items()])
        asked = data.draw(st.lists(st.sampled_from([*texts, b"none"])))
        found = store.get(asked)
        assert {key: completion.text for key, completion in found.items()} == {k: texts[k] for k in asked if k in texts}
        assert store.existing(asked) == {key for key in asked if key in texts}


def test_many_requests_half_of_them_stored_are_answered_whole_in_order_and_once(tmp_path):
    store = Store(tmp_path / "s.sqlite")
    requests = [Request(str(i), [{"role": "user", "content": str(i // 2)}]) for i in range(2406)]
    completed(Counting(), store, *requests[::4])
    model = Counting()
    got = completed(model, store, *requests)
    assert [c.id for c in got] == [r.id for r in requests]
    assert all(c.text == f"to {int(c.id) // 2}" for c in got)
    # A prompt that stands in two rows is asked once.
    assert model.asked == [r.id for r in requests if int(r.id) % 4 == 2]


def test_nothing_more_is_asked_when_the_first_all_came_to_nothing(tmp_path):
    model = Counting(ErrorKind.INVALID_REQUEST)
    with pytest.raises(PotstillError, match="invalid-request"):
        completed(
            model,
            Store(tmp_path / "s.sqlite"),
            *(Request(str(i), [{"role": "user", "content": str(i)}]) for i in range(900)),
        )
    assert len(model.asked) == tally.ABORT_AFTER


def test_two_processes_write_at_once(tmp_path):
    code = (
        "import sys; from pathlib import Path; from potstill.models import Completion; from potstill.models.store.store import Store\n"
        "for i in range(100): Store(Path(sys.argv[1])).put([Completion('i', 0, text='t', finish_reason='stop', key=f'{sys.argv[2]}-{i}'.encode())])"
    )
    path = tmp_path / "s.sqlite"
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path), name]) for name in "ab"]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert len(Store(path).get([f"{name}-{i}".encode() for name in "ab" for i in range(100)])) == 200


def test_a_link_to_a_store_is_the_store(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "s.sqlite").symlink_to(tmp_path / "there" / "s.sqlite")
    assert completed(Counting(), Store(tmp_path / "s.sqlite"), REQUEST)[0].text == "to q"


def test_a_hurried_put_leaves_the_others_their_patience(tmp_path):
    store = Store(tmp_path / "s.sqlite")
    store.put([Completion("a", 0, key=b"k")], seconds=0.01)
    with store.connection() as connection:
        assert connection.execute("PRAGMA busy_timeout").fetchone() == (60_000,)


def test_nothing_to_ask_is_no_failure(tmp_path):
    assert completed(Counting(), Store(tmp_path / "s.sqlite")) == []


def filled(path, n=400):
    """A store with long answers, closed, and the texts by key."""
    texts = {hashlib.sha256(str(i).encode()).digest(): f"{i} " + "an answer " * 60 for i in range(n)}
    store = Store(path)
    store.put([Completion("", 0, text=text, finish_reason="stop", key=key) for key, text in texts.items()])
    with store.connection() as connection:
        connection.close()
    return texts


def saved(path):
    """What export brings out of a file, by key."""
    target = path.with_name("out.jsonl")
    target.unlink(missing_ok=True)
    upkeep.export(path, target)
    return {bytes.fromhex(row["key"]): row["text"] for row in map(json.loads, target.read_text().splitlines())}


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_what_is_whole_of_a_damaged_store_is_saved_and_nothing_else(data):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "s.sqlite"
        texts = filled(path)
        whole = path.read_bytes()
        how = data.draw(st.sampled_from(["zeroed", "cut", "flipped"]))
        at = data.draw(st.integers(8192, len(whole) - 1))
        damaged = {
            "zeroed": whole[:at] + bytes(len(whole[at : at + 512])) + whole[at + 512 :],
            "cut": whole[: max(at, len(whole) * 3 // 4)],
            "flipped": whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :],
        }[how]
        path.write_bytes(damaged)
        found = saved(path)
        assert found.items() <= texts.items()
        if how != "cut":
            assert len(found) > len(texts) * 0.9
        if len(found) < len(texts):
            assert upkeep.verify(path)
            again = Store(Path(folder) / "again.sqlite")
            assert upkeep.import_(again, path.with_name("out.jsonl")) == (len(found), 0)
        assert path.read_bytes() == damaged


def test_an_answer_that_is_not_as_it_was_written_is_not_served(tmp_path):
    store = Store(tmp_path / "s.sqlite")
    assert completed(Counting(), store, REQUEST)[0].text == "to q"
    with store.connection() as connection:
        connection.execute("UPDATE completions SET text = 'tu q'")
    with pytest.raises(PotstillError, match="damaged"):
        completed(Counting(), store, REQUEST)
    assert upkeep.verify(store.path) == ["1 completions cannot be read"]


def test_verify_leaves_the_log_alone_and_sees_its_damage(tmp_path):
    path = tmp_path / "s.sqlite"
    code = (
        "import os, sys; from pathlib import Path; from potstill.models import Completion; from potstill.models.store.store import Store\n"
        "store = Store(Path(sys.argv[1]))\n"
        "for i in range(90): store.put([Completion('i', 0, text='t' * 900, finish_reason='stop', key=i.to_bytes(32, 'big'))])\n"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    log = Path(f"{path}-wal")
    before = path.read_bytes(), log.read_bytes()
    assert upkeep.verify(path) == []
    assert (path.read_bytes(), log.read_bytes()) == before
    log.write_bytes(before[1][:-100])  # torn at its end, as a crash may leave it
    assert upkeep.verify(path) == []
    middle = len(before[1]) // 2
    log.write_bytes(before[1][:middle] + bytes([before[1][middle] ^ 1]) + before[1][middle + 1 :])
    assert "log" in upkeep.verify(path)[0]
    log.write_bytes(before[1])
    assert len(saved(path)) == 90


def test_a_copy_that_sqlite_made_is_a_store(tmp_path):
    store = Store(tmp_path / "s.sqlite")
    completed(Counting(), store, REQUEST)
    with store.connection() as connection:
        connection.execute(f"VACUUM INTO '{tmp_path / 'copy.sqlite'}'")
    model = Counting()
    completed(model, Store(tmp_path / "copy.sqlite"), REQUEST, Request("b", [{"role": "user", "content": "new"}]))
    assert model.asked == ["b"]


def test_what_is_no_store_is_called_so(tmp_path):
    with sqlite3.connect(tmp_path / "other.sqlite") as connection:
        connection.execute("CREATE TABLE t (x)")
    with pytest.raises(PotstillError, match="no store of potstill"):
        upkeep.verify(tmp_path / "other.sqlite")
    with pytest.raises(PotstillError, match="no file"):
        upkeep.verify(tmp_path)
    Store(tmp_path / "empty.sqlite")
    assert upkeep.verify(tmp_path / "empty.sqlite") == upkeep.stats(tmp_path / "empty.sqlite") == []


@pytest.mark.parametrize(("field", "value"), [
    ("cost", float("inf")), ("cost", float("nan")), ("cost", -1), ("prompt_tokens", -3), ("prompt_tokens", True),
    ("prompt_tokens", 10**30), ("text", "\ud800"), ("text", None), ("key", "ab"),
])  # fmt: skip
def test_an_import_takes_nothing_that_is_no_completion(tmp_path, field, value):
    filled(tmp_path / "s.sqlite", 1)
    upkeep.export(tmp_path / "s.sqlite", tmp_path / "a.jsonl")
    row = json.loads((tmp_path / "a.jsonl").read_text())
    (tmp_path / "b.jsonl").write_text(json.dumps(row) + "\n" + json.dumps(row | {field: value}))
    new = Store(tmp_path / "new.sqlite")
    with pytest.raises(PotstillError, match=f"b.jsonl, line 2: .*{field}"):
        upkeep.import_(new, tmp_path / "b.jsonl")
    assert upkeep.stats(new.path) == []
    text = "\ufeff" + json.dumps(row) + "\n\n"
    (tmp_path / "c.jsonl").write_bytes(gzip.compress(text.encode()))
    assert upkeep.import_(new, tmp_path / "c.jsonl") == (1, 0)
