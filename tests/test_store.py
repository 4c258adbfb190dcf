import asyncio
from dataclasses import replace
from typing import ClassVar

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
