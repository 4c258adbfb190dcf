"""The model loaded in this process: kept until another is needed; answers that a limit cut are resumed."""

import asyncio
import gc
import weakref

import pytest

import small
from potstill.models import Request, Sampling, stream
from potstill.models.local import loading
from potstill.models.local.model import LocalModel
from potstill.models.local.resident import MAX_CUT, CutAnswer, Resident


class Source:
    """Weights that count how often they are loaded, and remember each loaded model weakly."""

    def __init__(self, name):
        self.name, self.loaded = name, []

    def __call__(self):
        model, tokenizer = small.tiny_llama()
        self.loaded.append(weakref.ref(model))
        return model, tokenizer

    def ask(self, *requests):
        local = LocalModel(self, {"weights": self.name}, self.name, batch_size=16)

        async def collect():
            return {c.id: c async for group in local.complete(stream(requests)) for c in group}

        return asyncio.run(collect())


def request(text, limit, temperature=0.0):
    return Request(text, [{"role": "user", "content": text}], Sampling(limit, temperature))


def test_a_model_is_loaded_once_until_another_is_needed():
    first, second = Source("kept"), Source("other")
    first.ask(request("a", 3))
    first.ask(request("b", 3))
    assert len(first.loaded) == 1
    second.ask(request("a", 3))
    gc.collect()
    assert first.loaded[0]() is None, "two models are in memory"
    first.ask(request("a", 3))
    assert (len(first.loaded), len(second.loaded)) == (2, 1)


def test_training_releases_the_model_that_answered(tiny_folder):
    source = Source("before training")
    source.ask(request("a", 3))
    loading.load_model(tiny_folder, "float32")
    assert source.loaded[0]() is None


@pytest.mark.parametrize("temperature", [0.0, 0.9])
def test_a_cut_answer_is_resumed_and_becomes_the_same(temperature):
    texts = ["x" * (i % 4) + str(i) for i in range(9)]
    at_once = Source(f"at once {temperature}").ask(*(request(text, 40, temperature) for text in texts))
    resumed = Source(f"resumed {temperature}")
    cut = resumed.ask(*(request(text, 10 + i, temperature) for i, text in enumerate(texts)))
    again = [text for text in texts if cut[text].finish_reason == "length"]
    assert len(again) >= 5
    steps = []
    resumed.loaded[0]().register_forward_hook(lambda *_: steps.append(1))
    got = resumed.ask(*(request(text, 40, temperature) for text in again))
    said = {text: (at_once[text].text, at_once[text].finish_reason, at_once[text].completion_tokens) for text in again}
    assert {text: (got[text].text, got[text].finish_reason, got[text].completion_tokens) for text in again} == said
    assert len(steps) <= 40 - 10 + 2, "the first tokens were generated again"
    assert all(got[text].seconds > cut[text].seconds for text in again)


def test_a_cut_answer_is_resumed_after_another_model_was_asked():
    source = Source("cut before another")
    cut = source.ask(request("x1", 3))["x1"]
    assert cut.finish_reason == "length"
    Source("in between").ask(request("a", 3))
    steps = []
    load = source.__call__

    def watched():
        model, tokenizer = load()
        model.register_forward_hook(lambda *_: steps.append(1))
        return model, tokenizer

    local = LocalModel(watched, {"weights": source.name}, source.name, batch_size=16)

    async def collect():
        return [c async for group in local.complete(stream([request("x1", 6)])) for c in group]

    (longer,) = asyncio.run(collect())
    assert longer.completion_tokens > cut.completion_tokens
    assert len(steps) <= 6 - 3 + 1, "the first tokens were generated again"


def test_another_draw_or_prompt_never_resumes_a_cut_answer():
    source = Source("draws")
    source.ask(request("a", 5))
    fresh = Source("fresh")
    for other in (
        request("a", 12, 0.9),
        request("b", 12),
        Request("a", request("a", 1).messages, Sampling(12, 0.9), 3),
    ):
        assert source.ask(other)[other.id].text == fresh.ask(other)[other.id].text


def test_the_oldest_cut_answers_are_forgotten():
    held = Resident(*small.tiny_llama())
    for i in range(MAX_CUT + 1):
        held.keep(i, CutAnswer([1, 2], 0.1, None))
    assert held.cut(0, 9) is None
    assert held.cut(1, 9) is not None
    assert held.cut(1, 2) is None, "it has no room to grow"
