"""Engines that are asked by token ids: what they answer, and that they stop when nobody listens."""

import argparse
import asyncio
import json
import time
from contextlib import aclosing

import pytest

import served
from potstill.errors import PotstillError, RecipeError
from potstill.models.local import loading
from potstill.serve import engine, kinds, memory
from potstill.serve.kinds import LlamaCpp, Vllm
from potstill.serve.prompt import EngineError, Prompt


@pytest.fixture(scope="module")
def endless(tmp_path_factory):
    folder = tmp_path_factory.mktemp("endless")
    served.endless_weights(folder / "hf", folder / "endless.gguf")
    return folder


def with_engine(folder, use, **options):
    """What ``use`` makes of a running engine."""

    async def run():
        file = folder / "endless.gguf"
        async with engine.started(LlamaCpp(), file, 2, 2048, (), folder / "hf", **options) as client:
            return await use(client)

    return asyncio.run(run())


def test_the_engine_stops_when_a_stream_is_closed(endless):
    async def use(client):
        began = time.monotonic()
        whole = await client.reply(Prompt([65, 66], 800))
        took = time.monotonic() - began
        async with aclosing(client.pieces(Prompt([67, 68], 800))) as pieces:
            async for _ in pieces:
                break
        began = time.monotonic()
        while any(slot["is_processing"] for slot in await slots(client)):
            assert time.monotonic() - began < took / 2
            await asyncio.sleep(0.01)
        return whole

    assert with_engine(endless, use).completion_tokens == 800


async def slots(client):
    async with client._session.get(f"{client.address}/slots") as response:
        return await response.json()


def test_answers_are_those_of_transformers(endless):
    model = loading.load_model(endless / "hf", "float32").eval()

    async def use(client):
        import torch

        prompts = [[65 + i, 66, 67 + i] for i in range(4)]
        replies = await asyncio.gather(*(client.reply(Prompt(p, 8, top_logprobs=1)) for p in prompts))
        for prompt, reply in zip(prompts, replies, strict=True):
            ids = torch.tensor([prompt])
            with torch.inference_mode():
                logits = model(ids).logits[0, -1].log_softmax(-1)
            first = reply.logprobs[0]["logprob"]
            assert first == pytest.approx(float(logits.max()), abs=0.1)
            assert reply.prompt_tokens == 3
            assert reply.mean_logprob < 0

    with_engine(endless, use)


def test_a_prompt_that_the_engine_refuses(endless):
    async def use(client):
        with pytest.raises(EngineError) as refused:
            await client.reply(Prompt(list(range(60)) * 40, 5))
        assert refused.value.status == 400

    with_engine(endless, use)


def test_requests_without_the_key_are_refused(endless):
    async def use(client):
        import aiohttp

        async with aiohttp.ClientSession() as other, other.post(client._url, json={"prompt": [1]}) as response:
            return response.status

    assert with_engine(endless, use) == 401


def test_weights_that_do_not_fit_are_refused_before_loading(endless, monkeypatch):
    monkeypatch.setattr("potstill.memory.available", lambda: 1_000_000)

    async def use(client):
        raise AssertionError("it was loaded")

    with pytest.raises(PotstillError, match=r"needs about .* GB of memory"):
        with_engine(endless, use)


def test_the_cache_of_keys_and_values():
    config = {"num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3, "hidden_size": 576}
    assert memory.cache_bytes(config, 1) == 2 * 30 * 3 * 64 * 2
    assert memory.cache_bytes({}, 1000) == 0


def test_forms_and_engines(monkeypatch):
    assert engine.kind_of("gguf-q8_0").name == "llama.cpp"
    assert engine.kind_of("vllm").name == "vllm"
    with pytest.raises(RecipeError, match="onnx"):
        engine.kind_of("onnx")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(RecipeError, match="no vllm on the PATH"):
        Vllm().check()
    monkeypatch.setattr(kinds, "find_spec", lambda name: None)
    with pytest.raises(RecipeError, match=r"potstill\[llama-cpp\]"):
        LlamaCpp().check()


def test_what_vllm_is_asked():
    command = Vllm().command("folder", 16, 2048, 8000)
    assert command[:3] == ["vllm", "serve", "folder"]
    parser = argparse.ArgumentParser()
    for name in ("--host", "--port", "--max-model-len", "--max-num-seqs", "--generation-config"):
        parser.add_argument(name)
    parser.add_argument("--enable-prefix-caching", action="store_true")
    found = parser.parse_args(command[3:])
    assert (found.host, found.max_num_seqs, found.generation_config) == ("127.0.0.1", "16", "vllm")
    assert "secret" not in json.dumps(command)
    assert Vllm().environment("secret") == {"VLLM_API_KEY": "secret"}
    fields = Vllm().fields(Prompt([1], 5, top_logprobs=2, schema={"type": "object"}), (7, 8))
    assert fields["stop_token_ids"] == [7, 8]
    assert fields["logprobs"] == 2
    assert fields["response_format"]["json_schema"]["schema"] == {"type": "object"}


def test_the_older_form_of_log_probabilities():
    legacy = {
        "tokens": ["a", "b"],
        "token_logprobs": [-0.1, -2.0],
        "top_logprobs": [{"a": -0.1, "x": -3.0}, {"y": -0.5, "b": -2.0}],
    }
    found = Vllm().logprobs(legacy, 1)
    assert [one["logprob"] for one in found] == [-0.1, -2.0]
    assert found[1]["top_logprobs"] == [{"token": "y", "logprob": -0.5, "bytes": [121]}]
    assert Vllm().logprobs(legacy | {"top_logprobs": None}, 0)[0] == {
        "token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": []
    }  # fmt: skip
