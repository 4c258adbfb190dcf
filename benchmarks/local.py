"""python benchmarks/local.py [--quick]: generation in this process, beside llama.cpp and plain `generate`.

The packaged 0.5B teacher answers the same 100 word problems with a few-shot prompt, greedily. Every engine is warm before
its clock starts. llama.cpp (its 4-bit weights, our launcher) and `generate` (float32, padded batches, longest first) are
tried at several numbers of slots and rows on the first 20 questions, and the best goes on to all. ``identical_share`` is
the part of our answers that equal those of `generate` one by one; ``right`` what each engine got right, since 4-bit weights
answer otherwise. ``--quick`` asks 8 questions, and its figures count for nothing.
"""

import argparse
import asyncio
import json
import time
from itertools import islice

import torch

from potstill.data import word_problems
from potstill.models import Request, Sampling, loading, stream, weights
from potstill.models.chat import ChatModel
from potstill.models.launch import path_of, running
from potstill.models.local import LocalModel, chat_tokens
from potstill.recipe_models import Endpoint, Served
from potstill.tasks import Ask, Prompting, main_score
from potstill.tasks.math import Math

TEACHER = "packaged/qwen2.5-coder-0.5b-instruct"
GOALS = {"vs_llamacpp": ">= 2.5", "vs_generate": ">= 2", "identical_share": ">= 0.99"}
SLOTS, ROWS = (4, 8, 16), (8, 16, 50)
TASK = Math()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true")
    quick = arguments.parse_args().quick
    n, tried = (8, 4) if quick else (100, 20)
    examples = list(islice(word_problems.questions(7, "bench", unseen=False, taken=set()), n))
    sampling = Sampling(128)
    requests = [
        Request(str(i), TASK.messages(row, Ask(Prompting.COT_FEWSHOT)), sampling) for i, row in enumerate(examples)
    ]
    folder = weights.folder(TEACHER)
    model, tokenizer = loading.load_model(folder).eval(), loading.load_tokenizer(folder)

    def ours(asked):
        return timed(LocalModel(lambda: (model, tokenizer), {}, TEACHER, batch_size=128), asked)

    def generated(asked, rows):
        began = time.perf_counter()
        texts = {}
        ordered = sorted(asked, key=lambda r: -len(chat_tokens(tokenizer, r.messages)))
        for i in range(0, len(ordered), rows):
            texts |= batch(model, tokenizer, ordered[i : i + rows])
        return time.perf_counter() - began, texts

    def llama(asked, slots):
        served = Served(serve="llama.cpp", model=TEACHER, concurrency=slots, context=1024)

        async def ask():
            async with running(served, path_of(served)) as (url, _):
                chat = ChatModel(Endpoint(url=url, model="m", concurrency=slots, timeout=600))
                await collect(chat, requests[:1])
                began = time.perf_counter()
                texts = await collect(chat, asked)
                return time.perf_counter() - began, texts

        return asyncio.run(ask())

    ours(requests[:2])
    found = {"ours": ours(requests)}
    say("ours", *found["ours"], examples)
    for name, how, choices in (("llamacpp", llama, SLOTS), ("generate", generated, ROWS)):
        trials = {choice: how(requests[:tried], choice)[0] for choice in choices}
        print(f"{name} on {tried}: {trials}", flush=True)
        best = min(trials, key=trials.__getitem__)
        found[name] = how(requests, best)
        say(f"{name} at {best}", *found[name], examples)
    single = generated(requests, 1)
    say("generate one by one", *single, examples)
    same = sum(found["ours"][1][r.id] == single[1][r.id] for r in requests)
    figures = {f"vs_{name}": round(found[name][0] / found["ours"][0], 2) for name in ("llamacpp", "generate")}
    figures |= {"identical_share": round(same / n, 3), "ours_s": round(found["ours"][0], 1)}
    figures |= {f"right_{name}": right(texts, examples) for name, (_, texts) in found.items()}
    print(json.dumps({"figures": figures, "goals": GOALS, "quick": quick}, indent=1))


async def collect(model, asked):
    return {c.id: c.text for group in [g async for g in model.complete(stream(asked))] for c in group}


def timed(model, asked):
    began = time.perf_counter()
    texts = asyncio.run(collect(model, asked))
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


def right(texts, examples):
    parsed = [(TASK.parse(texts[str(i)], "stop", row, strict=False).answer, row) for i, row in enumerate(examples)]
    return sum(main_score(TASK, answer, row) == 1.0 for answer, row in parsed)


def say(name, seconds, texts, examples):
    print(f"{name}: {seconds:.1f} s, {right(texts, examples)} of {len(examples)} right", flush=True)


if __name__ == "__main__":
    main()
