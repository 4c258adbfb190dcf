"""python benchmarks/local.py [--quick]: generation in this process, compared with llama.cpp and plain `generate`.

The packaged 0.5B teacher answers the same 100 word problems with a few-shot prompt and greedy decoding. Every engine is
warmed up before its time is taken. llama.cpp (4-bit weights, started by potstill) is tried with several numbers of slots,
and `generate` (padded batches, longest prompts first) with several batch sizes, on the first 20 questions; the fastest
setting then answers all of them. Ours and `generate` run in float32, and also in bfloat16 if this machine has instructions
for it. Each of our times is compared with that of `generate` in the same number format, and with that of llama.cpp.
``identical_share`` is the fraction of our answers that equal those of `generate` in float32 at batch size 1. ``right`` is
the number of correct answers, because weights with fewer bits answer differently. One number format must meet all goals.
``--quick`` asks 8 questions, and its figures do not count.
"""

import argparse
import asyncio
import json
import time
from itertools import islice

import torch

from potstill.data import word_problems
from potstill.models import Request, Sampling, stream
from potstill.models.local import loading
from potstill.models.local.chat_template import ChatTemplate
from potstill.models.local.model import LocalModel
from potstill.models.local.weights import LocalWeights, resolve_dtype
from potstill.models.remote.chat import ChatModel
from potstill.models.served.launch import run_server
from potstill.models.specs import Endpoint, Served
from potstill.tasks import Prompting, PromptSpec
from potstill.tasks.math import Math

TEACHER = "packaged/qwen2.5-coder-0.5b-instruct"
GOALS = {"vs_llamacpp": 2.5, "vs_generate": 2.0, "identical_share": 0.99}
SLOTS, BATCH_SIZES = (2, 4, 8, 16), (8, 16, 50)
MAX_TOKENS = 128
TASK = Math()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    n, n_trial = (8, 4) if quick else (100, 20)
    examples = list(islice(word_problems.questions(7, "bench", unseen=False, taken=set()), n))
    sampling = Sampling(max_tokens=MAX_TOKENS)
    requests = [
        Request(str(i), TASK.messages(row, PromptSpec(Prompting.COT_FEWSHOT)), sampling)
        for i, row in enumerate(examples)
    ]
    folder = LocalWeights(TEACHER).download()

    def run_fastest(name, engine, settings):
        """Answer all requests with the setting that is fastest on the first ones."""
        trials = {setting: round(engine(requests[:n_trial], setting)[0], 1) for setting in settings}
        fastest = min(trials, key=trials.__getitem__)
        print(f"{name} on {n_trial}: seconds {trials}", flush=True)
        return report(f"{name} at {fastest}", *engine(requests, fastest), examples)

    llama_seconds, _ = run_fastest("llama.cpp", lambda some, slots: run_llama(some, slots, requests[0]), SLOTS)
    figures: dict[str, dict[str, float]] = {}
    one_by_one: dict[str, str] = {}
    for dtype in dict.fromkeys(["float32", resolve_dtype("auto")]):
        tokenizer = loading.load_tokenizer(folder)
        seconds, texts = report(f"ours, {dtype}", *run_ours(folder, dtype, tokenizer, requests), examples)
        model = loading.load_model(folder, dtype).eval()

        def plain(some, batch_size, model=model, tokenizer=tokenizer):
            return run_generate(model, tokenizer, some, batch_size)

        plain_seconds, _ = run_fastest(f"generate, {dtype}", plain, BATCH_SIZES)
        if not one_by_one:
            _, one_by_one = report(f"generate one by one, {dtype}", *plain(requests, 1), examples)
        figures[dtype] = {
            "vs_llamacpp": round(llama_seconds / seconds, 2),
            "vs_generate": round(plain_seconds / seconds, 2),
            "identical_share": round(sum(texts[r.id] == one_by_one[r.id] for r in requests) / n, 3),
            "seconds": round(seconds, 1),
            "right": count_correct(texts, examples),
        }
    met = any(all(of[name] >= goal for name, goal in GOALS.items()) for of in figures.values())
    print(json.dumps({"benchmark": "local", "figures": figures, "goals": GOALS, "met": met and not quick}))


# Each engine returns the seconds that it took and the answers by request id.


def run_ours(folder, dtype, tokenizer, requests, batch_size=128, warm_up=2):
    """potstill's own generation in this process, after the first ``warm_up`` requests."""
    identity = {"folder": str(folder), "dtype": dtype}
    local = LocalModel(
        lambda: (loading.load_model(folder, dtype), tokenizer), identity, str(folder), batch_size=batch_size
    )
    asyncio.run(collect(local, requests[:warm_up]))
    began = time.perf_counter()
    texts = asyncio.run(collect(local, requests))
    return time.perf_counter() - began, texts


def run_llama(requests, slots, warm_up):
    """A llama.cpp server with ``slots`` requests in flight; ``warm_up`` is a request that is not timed."""
    served = Served(serve="llama.cpp", model=TEACHER, concurrency=slots, context=1024)

    async def serve_and_collect():
        async with run_server(served, served.download()) as (url, _):
            chat = ChatModel(Endpoint(url=url, model="m", concurrency=slots, timeout=600))
            await collect(chat, [warm_up])
            began = time.perf_counter()
            texts = await collect(chat, requests)
            return time.perf_counter() - began, texts

    return asyncio.run(serve_and_collect())


def run_generate(model, tokenizer, requests, batch_size):
    """Plain `generate`, batch by batch, longest prompts first."""
    began = time.perf_counter()
    texts = {}
    chat = ChatTemplate(tokenizer)
    ordered = sorted(requests, key=lambda r: -len(chat.tokens(r.messages)))
    for i in range(0, len(ordered), batch_size):
        texts |= generate_batch(model, tokenizer, ordered[i : i + batch_size])
    return time.perf_counter() - began, texts


@torch.inference_mode()
def generate_batch(model, tokenizer, requests):
    """Answers by request id, from one call of `generate` on left-padded prompts."""
    chat = ChatTemplate(tokenizer)
    prompts = [chat.tokens(r.messages) for r in requests]
    width = max(map(len, prompts))
    pad = tokenizer.pad_token_id
    ids = torch.tensor([[pad] * (width - len(p)) + p for p in prompts])
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
    out = model.generate(
        input_ids=ids, attention_mask=mask, max_new_tokens=MAX_TOKENS, do_sample=False, pad_token_id=pad,
        temperature=None, top_p=None, top_k=None, repetition_penalty=None,
    )  # fmt: skip
    return {r.id: tokenizer.decode(row[width:], skip_special_tokens=True) for r, row in zip(requests, out, strict=True)}


async def collect(model, requests):
    """Answers by request id."""
    return {c.id: c.text for group in [g async for g in model.complete(stream(requests))] for c in group}


def count_correct(texts, examples):
    parsed = [(TASK.parse(texts[str(i)], "stop", row, strict=False).answer, row) for i, row in enumerate(examples)]
    return sum(TASK.main_score(answer, row) == 1.0 for answer, row in parsed)


def report(name, seconds, texts, examples):
    """Print an engine's result; returns the seconds and the answers."""
    print(f"{name}: {seconds:.1f} s, {count_correct(texts, examples)} of {len(examples)} correct", flush=True)
    return seconds, texts


if __name__ == "__main__":
    main()
