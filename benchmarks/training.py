"""python benchmarks/training.py [--quick]: training on this machine, compared with TRL's `SFTTrainer`.

SmolLM2-135M, and the 0.5B model with a vocabulary of 152k, learn the quick start's teacher's answers to word problems in steps of
four rows, in the number format that is fast on this machine. TRL trains on the same rows for as many steps: with its defaults, without
activation checkpointing, and packed; the faster of the first two counts, for speed and memory. Compared are tokens with a label a
second, after the first step. ``memory_vs_trl`` is that of LoRA: what training takes beyond weights, gradients and the state of the
optimizer. ``loss_difference`` is the largest over steps on TRL's own batches, in float32. ``accuracy_difference`` is the upper end of the
95 % interval of ours minus TRL's random order, in accuracy over seeds and questions. ``of_peak`` is the FLOP/s of the products with
weights, forward and backward, over those of a product of two matrices of 2048 x 2048, by the faster of MKL and oneDNN; a prefix that is
computed once counts once.
``--quick`` takes few steps, and its figures do not count.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from goals import is_met
from local import run_ours

from potstill import stats
from potstill.data import word_problems
from potstill.models import Request, Sampling
from potstill.models.local import loading
from potstill.models.local.weights import resolve_dtype
from potstill.pipeline import pipeline
from potstill.recipe import loading as recipe_file
from potstill.stages.train.fused.batch import shared
from potstill.stages.train.fused.products import product
from potstill.stages.train.rows import tokenized
from potstill.stages.train.targets import IGNORED
from potstill.stages.train.trainer import grouped_by_length
from potstill.tasks.math import Math
from potstill.workspace.artifacts import CURATED
from potstill.workspace.run import Run

GOALS = {
    "vs_trl_full": ">= 2", "vs_trl_lora": ">= 2.5", "vs_trl_packing": ">= 2.5", "memory_vs_trl": "<= 0.5",
    "loss_difference": "<= 0.001", "accuracy_difference": ">= 0", "vs_trl_05b": ">= 2", "of_peak": ">= 0.5",
}  # fmt: skip
RECIPE = """\
name: trained
task: math
data: {{source: word_problems, train: {rows}, validation: 4, test: 4, test_unseen: 4}}
teacher: {{model: packaged/qwen2.5-coder-0.5b-instruct, batch_size: 128}}
generate: {{prompting: cot-fewshot, max_words: 30, max_tokens: 128}}
student: {{model: packaged/{student}, dtype: {dtype}}}
train: {{method: {method}, learning_rate: {rate}, batch_size: 4, seed: {seed}}}
evaluate: {{systems: [student]}}
"""
SMALL, LARGE = "smollm2-135m-instruct", "qwen2.5-coder-0.5b-instruct"
RATES = {"lora": 2e-3, "full": 1e-4}
PEAK_SIZE = 2048
HERE = Path(__file__).parent


class Bench:
    """The rows, and training on them in processes of their own."""

    def __init__(self, folder: Path, asked: int) -> None:
        self.folder, self.asked, self.dtype = folder, asked, resolve_dtype("auto")
        run = pipeline.start(str(self.recipe()), folder / "runs")
        pipeline.carry_out(run, "curate")
        recipe = recipe_file.load(run.path("recipe.yaml"))
        self.rows = [row for row in Run(run.folder, recipe, folder / "none.sqlite").read(CURATED) if row["turns"]]
        print(f"{len(self.rows)} rows", flush=True)

    def recipe(self, method: str = "lora", student: str = SMALL, dtype: str = "auto", seed: int = 0) -> Path:
        text = RECIPE.format(
            rows=self.asked, student=student, dtype=dtype, method=method, rate=RATES[method], seed=seed
        )
        path = self.folder / f"{method}-{student}-{dtype}-{seed}.yaml"
        path.write_text(text)
        return path

    def train(
        self,
        engine: str,
        steps: int,
        method: str = "lora",
        student: str = SMALL,
        dtype: str = "",
        seed: int = 0,
        **options: Any,
    ) -> dict[str, Any]:
        """What `peers/training_client.py` measures of ``steps`` steps."""
        dtype = dtype or self.dtype
        recipe = self.recipe(method, student, dtype, seed)
        base = recipe_file.load(recipe).student.model.download()
        usual = {"checkpointing": True, "packing": False, "in_order": False, "save": ""}
        job = usual | options | {
            "engine": engine, "steps": steps, "dtype": dtype, "folder": str(base), "recipe": str(recipe),
            "work": str(self.folder / "work"), "rows": self.tokenized(base),
        }  # fmt: skip
        file = self.folder / "job.json"
        file.write_text(json.dumps(job))
        command = [sys.executable, str(HERE / "peers" / "training_client.py"), str(file)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            raise SystemExit(f"{engine} failed:\n{result.stderr[-3000:]}")
        measured = json.loads(result.stdout.strip().splitlines()[-1])
        measured["speed"] = measured["labelled"] / measured["seconds"]
        shown = f"{measured['speed']:.1f} labelled tokens/s, {measured['mib']:.0f} MiB"
        print(f"{engine} {method} {student} {dtype} {options}: {shown}", flush=True)
        return measured

    def tokenized(self, base: Path) -> list[dict[str, list[int]]]:
        chat = loading.load_chat(base)
        return [tokenized(chat, row) for row in self.rows]

    def fastest_of_trl(self, steps: int, **options: Any) -> dict[str, Any]:
        """TRL with activation checkpointing, its default, or without."""
        return max(
            (self.train("trl", steps, checkpointing=checkpointing, **options) for checkpointing in (True, False)),
            key=lambda measured: measured["speed"],
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    steps, few, seeds, questions = (4, 3, 1, 8) if quick else (50, 12, 3, 200)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), 24 if quick else 400)
        ours, trl = bench.train("ours", steps), bench.fastest_of_trl(steps)
        packed = max(
            (bench.train("trl", steps, packing=True, checkpointing=each) for each in (True, False)),
            key=lambda measured: measured["speed"],
        )
        peak = peak_flops(bench.dtype)
        figures = {
            "vs_trl_lora": ours["speed"] / trl["speed"],
            "vs_trl_packing": ours["speed"] / packed["speed"],
            "memory_vs_trl": ours["mib"] / trl["mib"],
            "of_peak": ours["speed"] * flops_of_label(bench) / peak,
        }
        full = bench.train("ours", few, method="full")["speed"]
        figures["vs_trl_full"] = full / bench.fastest_of_trl(few, method="full")["speed"]
        large = bench.train("ours", few, student=LARGE)["speed"]
        figures["vs_trl_05b"] = large / bench.fastest_of_trl(few, student=LARGE)["speed"]
        losses = [bench.train(engine, few, dtype="float32", in_order=True)["losses"] for engine in ("ours", "trl")]
        figures["loss_difference"] = float(np.abs(np.subtract(*losses)).max())
        figures["accuracy_difference"] = accuracy_difference(bench, 2 * steps, seeds, questions)
    figures = {name: round(figure, 4) for name, figure in figures.items()}
    met = not quick and all(is_met(figures[name], goal) for name, goal in GOALS.items())
    print(json.dumps({"benchmark": "training", "dtype": bench.dtype, "figures": figures, "goals": GOALS, "met": met}))


def peak_flops(dtype: str) -> float:
    """FLOP/s of a product of two matrices, the fastest of twenty by each library."""
    a, b = torch.randn(2, PEAK_SIZE, PEAK_SIZE).to(getattr(torch, dtype))
    fastest = []
    for multiply in (torch.matmul, product):
        seconds = []
        for _ in range(20):
            began = time.perf_counter()
            multiply(a, b)
            seconds.append(time.perf_counter() - began)
        fastest.append(min(seconds))
    print(
        f"a product of matrices: {', '.join(f'{2e-9 * PEAK_SIZE**3 / each:.0f} GFLOP/s' for each in fastest)}",
        flush=True,
    )
    return 2 * PEAK_SIZE**3 / min(fastest)


def flops_of_label(bench: Bench) -> float:
    """FLOP of the products with weights in a LoRA step, for each token with a label.

    A frozen weight takes two for each token forward and two backward, one of an adapter six; the vocabulary is for tokens with a label.
    """
    recipe = recipe_file.load(bench.recipe())
    base = recipe.student.model.download()
    model = loading.load_model(base, "bfloat16")
    linear = [m for m in model.model.modules() if isinstance(m, torch.nn.Linear)]
    adapters = sum(recipe.train.lora.rank * (m.in_features + m.out_features) for m in linear)
    of_token = 4 * sum(m.weight.numel() for m in linear) + 6 * adapters
    rows, size = bench.tokenized(base), recipe.train.batch_size
    order = grouped_by_length([len(row["input_ids"]) for row in rows], size, torch.Generator().manual_seed(0))
    computed = labels = 0
    for start in range(0, len(order), size):
        step = [rows[i] for i in order[start : start + size]]
        batch = shared(
            *(padded([row[name] for row in step], fill) for name, fill in (("input_ids", 0), ("labels", IGNORED)))
        )
        computed += sum(len(row["input_ids"]) for row in step) - batch.prefix * (batch.rows - 1)
        labels += len(batch.targets.labels)
    return of_token * computed / labels + 4 * model.lm_head.weight.numel()


def padded(rows: Sequence[Sequence[int]], fill: int) -> torch.Tensor:
    width = max(map(len, rows))
    return torch.tensor([[*row, *[fill] * (width - len(row))] for row in rows])


def accuracy_difference(bench: Bench, steps: int, seeds: int, n: int) -> float:
    """The upper end of the 95 % interval of ours minus TRL's accuracy after ``steps``, over seeds and questions of the trained templates."""
    task = Math()
    examples = list(islice(word_problems.questions(11, "training", unseen=False, taken=set()), n))
    requests = [Request(str(i), task.messages(row), Sampling(max_tokens=128)) for i, row in enumerate(examples)]
    right: dict[str, list[list[float]]] = {"ours": [], "trl": []}
    for seed in range(seeds):
        for engine, scores in right.items():
            student = bench.folder / f"{engine}-{seed}"
            bench.train(engine, steps, seed=seed, save=str(student), checkpointing=False)
            tokenizer = loading.load_tokenizer(student)
            texts = run_ours(student, bench.dtype, tokenizer, requests)[1]
            answers = [task.parse(texts[str(i)], "stop", row, strict=False).answer for i, row in enumerate(examples)]
            scores.append([float(task.main_score(a, row) == 1.0) for a, row in zip(answers, examples, strict=True)])
            print(f"{engine}, seed {seed}: {np.mean(scores[-1]):.1%} right", flush=True)
    difference = np.subtract(right["ours"], right["trl"]).mean(0)
    groups = np.unique([row["group"] for row in examples], return_inverse=True)[1]
    error = stats.clustered_standard_error(difference, groups).cr2
    mean = float(difference.mean())
    print(f"accuracy: ours minus TRL {mean:+.1%} +- {1.96 * error:.1%}", flush=True)
    return mean + 1.96 * error


if __name__ == "__main__":
    main()
