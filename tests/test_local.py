"""In-process generation with a tiny random model: batching and shared prefixes change no answer."""

import asyncio
from itertools import count

import pytest
import torch

from hardware import needs_bfloat16
from potstill.models import ErrorKind, Request, Sampling
from potstill.models.complete import Billing, complete
from potstill.models.local.chat_template import ChatTemplate
from potstill.models.local.model import LocalModel
from potstill.models.local.packing import pack
from potstill.models.store.store import Store

unique = count()
"""Numbers of models, so that no test finds the model of another loaded."""


def answers(tiny, batch_size, requests):
    local = LocalModel(lambda: tiny, {"weights": next(unique)}, "tiny", batch_size=batch_size)

    async def stream():
        for request in requests:
            yield request

    async def collect():
        return {(c.id, c.sample): c async for group in local.complete(stream()) for c in group}

    return asyncio.run(collect())


@pytest.mark.parametrize("temperature", [0.0, 0.9])
def test_batching_changes_no_answer(tiny, temperature):
    requests = [
        Request(str(i), [{"role": "user", "content": "x" * (i % 9) + str(i)}], Sampling(5 + i % 20, temperature), i % 3)
        for i in range(23)
    ]
    alone = answers(tiny, 1, requests)
    batched = answers(tiny, 7, requests)
    assert {k: (c.text, c.finish_reason) for k, c in alone.items()} == {
        k: (c.text, c.finish_reason) for k, c in batched.items()
    }
    assert len(alone) == 23
    assert all(c.completion_tokens <= 24 for c in alone.values())


def test_progress_is_shown_before_the_first_answer(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("potstill.progress.SECONDS_BETWEEN_LINES", 0)
    local = LocalModel(lambda: tiny, {"weights": next(unique)}, "tiny", batch_size=4)
    requests = [Request("0", [{"role": "user", "content": "hello"}], Sampling(12))]
    (got,) = complete(local, requests, "asked", Billing(Store(tmp_path / "completions.sqlite")))
    lines = capsys.readouterr().err.splitlines()
    assert (got.error, lines[0]) == (None, "  asked: 0 of 1 rows")


def test_greedy_answers_equal_those_of_transformers_generate(tiny):
    model, tokenizer = tiny
    request = Request("0", [{"role": "user", "content": "hello"}], Sampling(12))
    prompt = torch.tensor([ChatTemplate(tokenizer).tokens(request.messages)])
    expected = model.generate(prompt, max_new_tokens=12, do_sample=False, pad_token_id=0)[0, prompt.shape[1] :]
    assert answers(tiny, 4, [request])["0", 0].text == tokenizer.decode(expected, skip_special_tokens=True)


def test_a_limit_shrinks_to_the_room_that_the_prompt_leaves(tiny):
    """The context is 128 tokens, and the chat adds 8 to the text."""
    requests = [Request(str(n), [{"role": "user", "content": "x" * n}], Sampling(20)) for n in (1, 110, 119, 120, 200)]
    got = answers(tiny, 4, requests)
    room = {n: 128 - len(ChatTemplate(tiny[1]).tokens([{"role": "user", "content": "x" * n}])) for n in (110, 119, 120)}
    assert (room[119], room[120]) == (1, 0)
    assert got["1", 0].finish_reason in ("stop", "length")
    assert got["119", 0].completion_tokens <= 1
    assert got["110", 0].completion_tokens <= room[110] < 20
    for n in ("120", "200"):
        assert got[n, 0].error is ErrorKind.CONTEXT_TOO_LONG
        assert "leaves no room for an answer in a context of 128" in got[n, 0].detail


@pytest.mark.parametrize("dtype", [torch.float32, pytest.param(torch.bfloat16, marks=needs_bfloat16)])
def test_packed_layers_compute_the_same_as_linear_layers(dtype):
    def build():
        torch.manual_seed(0)
        model = torch.nn.Sequential(
            torch.nn.Linear(96, 160), torch.nn.ModuleList([torch.nn.Linear(160, 32, bias=False)])
        )
        return model.to(dtype)

    x = torch.randn(5, 3, 96, dtype=dtype)
    linear, packed = build(), build()
    pack(packed)
    assert not any(isinstance(layer, torch.nn.Linear) for layer in packed.modules())
    with torch.inference_mode():
        expected, actual = (model[1][0](model[0](x)) for model in (linear, packed))
    assert actual.shape == (5, 3, 32)
    torch.testing.assert_close(actual, expected, rtol=1e-2, atol=1e-2 if dtype is torch.bfloat16 else 1e-5)
