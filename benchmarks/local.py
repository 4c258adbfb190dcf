"""python benchmarks/local.py [--quick]: generation in this process, beside llama.cpp and plain `generate`.

The packaged 0.5B teacher answers the same 100 word problems with a few-shot prompt, greedily. Every engine is warm before
its clock starts. llama.cpp (its 4-bit weights, our launcher) is tried at several numbers of slots, and `generate` (padded
batches, longest first) at several numbers of rows, on the first 20 questions; the best goes on to all. Ours and `generate`
run in float32, and in bfloat16 where this machine multiplies in it: each of our times is set beside that of `generate` in
the same number format, and beside llama.cpp's. ``identical_share`` is the part of our answers that equal those of `generate`
one by one in float32; ``right`` what each got right, since fewer bits answer otherwise. One format must meet all goals.
``--quick`` asks 8 questions, and its figures count for nothing.
"""

import argparse
import asyncio
import json
import time
from itertools import islice

import torch

from potstill.data import word_problems
from potstill.models import Request, Sampling, stream
from potstill.models.local import loading, weights
from potstill.models.local.model import LocalModel, chat_tokens
from potstill.models.remote.chat import ChatModel
from potstill.models.served.launch import run_server
from potstill.models.specs import Endpoint, Served
from potstill.tasks import Prompting, PromptSpec
from potstill.tasks.math import Math

TEACHER = "packaged/qwen2.5-coder-0.5b-instruct"
GOALS = {"vs_llamacpp": 2.5, "vs_generate": 2.0, "identical_share": 0.99}
SLOTS, ROWS = (2, 4, 8, 16), (8, 16, 50)
TASK = Math()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true")
    quick = arguments.parse_args().quick
    n, tried = (8, 4) if quick else (100, 20)
    examples = list(islice(word_problems.questions(7, "bench", unseen=False, taken=set()), n))
    sampling = Sampling(128)
    requests = [
        Request(str(i), TASK.messages(row, PromptSpec(Prompting.COT_FEWSHOT)), sampling) for i, row in enumerate(examples)
    ]
    folder = weights.folder(TEACHER)

    def best(name, ask, choices):
        """All requests by the choice that is fastest on some."""
        trials = {choice: round(ask(requests[:tried], choice)[0], 1) for choice in choices}
        choice = min(trials, key=trials.__getitem__)
        print(f"{name} on {tried}: seconds {trials}", flush=True)
        return report(f"{name} at {choice}", *ask(requests, choice), examples)

    llama_seconds, _ = best("llama.cpp", lambda asked, slots: llama(asked, slots, requests[0]), SLOTS)
    figures: dict[str, dict[str, float]] = {}
    single: dict[str, str] = {}
    for dtype in dict.fromkeys(["float32", weights.resolve_dtype("auto")]):
        tokenizer = loading.load_tokenizer(folder)
        seconds, texts = report(f"ours, {dtype}", *ours(folder, dtype, tokenizer, requests), examples)
        model = loading.load_model(folder, dtype).eval()

        def padded(asked, rows, model=model, tokenizer=tokenizer):
            return generated(model, tokenizer, asked, rows)

        plain_seconds, _ = best(f"generate, {dtype}", padded, ROWS)
        if not single:
            _, single = report(f"generate one by one, {dtype}", *padded(requests, 1), examples)
        figures[dtype] = {
            "vs_llamacpp": round(llama_seconds / seconds, 2),
            "vs_generate": round(plain_seconds / seconds, 2),
            "identical_share": round(sum(texts[r.id] == single[r.id] for r in requests) / n, 3),
            "seconds": round(seconds, 1),
            "right": right(texts, examples),
        }
    met = any(all(of[name] >= goal for name, goal in GOALS.items()) for of in figures.values())
    print(json.dumps({"benchmark": "local", "figures": figures, "goals": GOALS, "met": met and not quick}))


def ours(folder, dtype, tokenizer, asked):
    local = LocalModel(lambda: (loading.load_model(folder, dtype), tokenizer), {}, TEACHER, batch_size=128)
    asyncio.run(collect(local, asked[:2]))
    began = time.perf_counter()
    texts = asyncio.run(collect(local, asked))
    return time.perf_counter() - began, texts


def llama(asked, slots, warm_up):
    served = Served(serve="llama.cpp", model=TEACHER, concurrency=slots, context=1024)

    async def ask():
        async with run_server(served, served.download()) as (url, _):
            chat = ChatModel(Endpoint(url=url, model="m", concurrency=slots, timeout=600))
            await collect(chat, [warm_up])
            began = time.perf_counter()
            texts = await collect(chat, asked)
            return time.perf_counter() - began, texts

    return asyncio.run(ask())


def generated(model, tokenizer, asked, rows):
    """Plain `generate`, batch by batch."""
    began = time.perf_counter()
    texts = {}
    ordered = sorted(asked, key=lambda r: -len(chat_tokens(tokenizer, r.messages)))
    for i in range(0, len(ordered), rows):
        texts |= batch(model, tokenizer, ordered[i : i + rows])
    return time.perf_counter() - began, texts


@torch.inference_mode()
def batch(model, tokenizer, asked):
    """Plain `generate` on left-padded rows."""
    prompts = [chat_tokens(tokenizer, r.messages) for r in asked]
    width = max(map(len, prompts))
    pad = tokenizer.pad_token_id
    ids = torch.tensor([[pad] * (width - len(p)) + p for p in prompts])
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
    out = model.generate(
        input_ids=ids, attention_mask=mask, max_new_tokens=128, do_sample=False, pad_token_id=pad,
        temperature=None, top_p=None, top_k=None, repetition_penalty=None,
    )  # fmt: skip
    return {r.id: tokenizer.decode(row[width:], skip_special_tokens=True) for r, row in zip(asked, out, strict=True)}


async def collect(model, asked):
    return {c.id: c.text for group in [g async for g in model.complete(stream(asked))] for c in group}


def right(texts, examples):
    parsed = [(TASK.parse(texts[str(i)], "stop", row, strict=False).answer, row) for i, row in enumerate(examples)]
    return sum(TASK.main_score(answer, row) == 1.0 for answer, row in parsed)


def report(name, seconds, texts, examples):
    print(f"{name}: {seconds:.1f} s, {right(texts, examples)} of {len(examples)} right", flush=True)
    return seconds, texts


if __name__ == "__main__":
    main()
