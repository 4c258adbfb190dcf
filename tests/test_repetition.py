"""The rule that ends a repeating answer: loops are found, legitimate lists, tables and verse never are."""

import asyncio
import re
import time
from itertools import count

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import small
from legitimate_texts import TEXTS
from potstill.models import Request, Sampling, stream
from potstill.models.local import weights
from potstill.models.local.model import TOKENS_BETWEEN_CHECKS, LocalModel
from potstill.models.repetition import CHARACTERS, FRACTION, REPEATS, TOKENS, repeated_period
from potstill.models.store.store import key_function

unique = count(1_000_000)
"""Numbers of models, so that no test finds the model of another loaded."""
TOKEN = re.compile(r" ?[^\W\d_]+|\d| ?[^\w\s]+|_|\s")
"""What byte-level tokenizers of the GPT-2 kind join at most; digits stand alone, as in SmolLM2 and Qwen2.5."""
LOOPS = {
    "a sentence": "The total cost is 15 * 5 = 70 dollars.\n",
    "a question and its answer": "Question: What is bread made of?\nAnswer: Bread is made of flour and water.\n\n",
    "a record": '{"name": "bread", "price": 12, "in_stock": true},\n',
    "a bullet": "- The number of pencils and cookies is the same.\n",
}


def token_ids(text):
    """A number for each different token."""
    known = {}
    return [known.setdefault(token, len(known)) for token in TOKEN.findall(text)]


@pytest.mark.parametrize("name", TEXTS)
def test_no_beginning_of_a_legitimate_text_is_a_loop(name):
    for answer in (TEXTS[name], token_ids(TEXTS[name])):
        found = [end for end in range(1, len(answer) + 1) if repeated_period(answer[:end])]
        assert not found, answer[: found[0]]


@pytest.mark.parametrize("name", LOOPS)
def test_loops_are_found_in_text_and_in_tokens(name):
    text = "She has 5 pencils and 4 cookies, which cost 7 dollars each.\n" + LOOPS[name] * 12
    assert repeated_period(text) == len(LOOPS[name])
    assert repeated_period(text[:-7]) == len(LOOPS[name]), "wherever the limit cuts it"
    assert repeated_period(token_ids(text)) == len(TOKEN.findall(LOOPS[name]))


@given(
    st.lists(st.integers(0, 5000), max_size=200),
    st.lists(st.integers(5001, 9999), min_size=9, max_size=60, unique=True),
    st.data(),
)
def test_a_period_that_fills_the_last_third_is_found_wherever_it_is_cut(head, period, data):
    least = max(TOKENS.least, REPEATS * len(period), -(-len(head) // (FRACTION - 1)))
    length = data.draw(st.integers(least, least + 3 * len(period)))
    repeated = (period * (length // len(period) + 1))[:length]
    assert repeated_period(head + repeated) == len(period)
    assert repeated_period([*head, *repeated, 10_000]) == 0, "the loop was left"


def test_too_short_or_too_early_repeats_are_no_loop():
    period = list(range(10))
    assert repeated_period(period * 7) == 10
    assert repeated_period(period * 6) == 0, "fewer tokens than the least"
    assert repeated_period(list(range(30)) * 4) == 30
    assert repeated_period((list(range(30)) * 4)[:-1]) == 0, "fewer than four repeats"
    head = list(range(100, 240))
    assert repeated_period(head + period * 7) == 10
    assert repeated_period([*head, 240, *(period * 7)]) == 0, "less than a third"
    assert repeated_period([]) == repeated_period("") == 0


def test_rows_of_equal_cells_must_be_longer():
    assert repeated_period([1, 2] * (TOKENS.least_cells // 2 - 1)) == 0
    assert repeated_period([1, 2] * (TOKENS.least_cells // 2)) == 2
    assert repeated_period("0, " * (CHARACTERS.least_cells // 3)) == 0
    assert repeated_period("0, " * (CHARACTERS.least_cells // 3 + 1)) == 3


@pytest.mark.parametrize(
    "text", ["a" * 80_000 + "b" + "a" * 19_999, "ab" * 49_999 + "c", ("a" * 30 + "b") * 3000 + "c"]
)
def test_hostile_texts_take_linear_time(text):
    started = time.process_time()
    assert repeated_period(text) == 0
    assert time.process_time() - started < 2.0


def successor_model(chain, cycle):
    """A Llama that says ``chain``, then ``cycle`` for ever; a chain that ends with "<end>" ends the answer.

    Its layers add nothing, and the output layer maps the embedding of each token to the next one.
    """
    model, tokenizer = small.tiny_llama(2048)
    order = [*tokenizer.convert_tokens_to_ids([":", *chain, *cycle])]
    after = dict(zip(order, [*order[1:], order[len(chain) + 1] if cycle else order[-1]], strict=True))
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        embeddings = torch.nn.functional.normalize(
            torch.randn(len(tokenizer), 32, generator=torch.Generator().manual_seed(1))
        )
        model.model.embed_tokens.weight.copy_(embeddings)
        model.lm_head.weight.zero_()
        for token, following in after.items():
            model.lm_head.weight[following] += embeddings[token]
    return model, tokenizer


def complete(model, limit=400, temperature=0.0, **options):
    local = LocalModel(lambda: model, {"weights": next(unique)}, "successor", batch_size=2, **options)
    request = Request("0", [{"role": "user", "content": "Go"}], Sampling(limit, temperature))

    async def collect():
        return [c async for group in local.complete(stream([request])) for c in group]

    (completion,) = asyncio.run(collect())
    return completion


CHAIN, CYCLE = "ABCDEFGH", "ijklmnopqrst"


@pytest.mark.parametrize("temperature", [0.0, 0.01])
def test_a_looping_answer_ends_early_in_process(temperature):
    looping = successor_model(CHAIN, CYCLE)
    completion = complete(looping, temperature=temperature)
    assert completion.finish_reason == "repeating"
    assert completion.completion_tokens == 5 * TOKENS_BETWEEN_CHECKS, "the first check at which 64 tokens repeat"
    assert completion.text == (CHAIN + CYCLE * 9)[: completion.completion_tokens]
    left_running = complete(looping, temperature=temperature, repeated_period=lambda answer: 0)
    assert (left_running.finish_reason, left_running.completion_tokens) == ("length", 400)
    assert left_running.text.startswith(completion.text)


def test_the_limit_comes_before_the_loop_or_at_it():
    looping = successor_model(CHAIN, CYCLE)
    assert complete(looping, limit=70).finish_reason == "length"
    assert complete(looping, limit=73).finish_reason == "repeating", "the answer is complete, so it is checked"


def test_an_answer_that_ends_by_itself_stops():
    completion = complete(successor_model([*CHAIN, "<end>"], ""))
    assert (completion.finish_reason, completion.text) == ("stop", CHAIN)


def test_answers_of_another_rule_are_not_served(tiny_folder, monkeypatch):
    request = Request("0", [{"role": "user", "content": "Go"}])
    key = key_function(weights.identity(tiny_folder, "float32"))(request)
    assert key == key_function(weights.identity(tiny_folder, "float32"))(request)
    monkeypatch.setattr("potstill.models.repetition.VERSION", 0)
    assert key != key_function(weights.identity(tiny_folder, "float32"))(request)
