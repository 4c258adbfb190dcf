"""python benchmarks/objectives.py [--quick]: what a student learns by each objective, in as many optimizer steps and in as much time.

A 0.5B student learns word problems from a 1.5B teacher of its family, which has the same vocabulary, on the same correct answers of the
teacher: the `answer` alone, `rationale` and answer, both as the `joint` objective, forward KL on the teacher's k likeliest tokens beside the
text (`kd-1`, `kd-5`, `kd-20`, `kd-all`), and the teacher's probabilities of the student's own answers (`on-policy`). A step has four rows
everywhere; of `joint`, an answer and its rationale are two.

Each objective trains for as many optimizer steps as `rationale`, and then for as many as fit into the time of `rationale`. Seconds are those
from the base's weights to the last checkpoint. The teacher's probabilities are computed once before, and their time is printed apart: a server
returns up to 20 of them with its answers.

``right`` is the accuracy on new questions of the kind trained on, asked with the plain prompt; ``minus_rationale`` is the difference to
`rationale` after equal steps on the same questions, in points with its 95 % interval, clustered by template; ``characters`` is the mean length of
an answer. One seed each: the intervals do not cover another training. ``--quick`` takes few rows and steps, and its figures do not count.
"""

import argparse
import asyncio
import json
import multiprocessing
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import yaml
from local import collect

from potstill import stats
from potstill.data import word_problems
from potstill.models import Request, Sampling
from potstill.models.local import loading, weights
from potstill.models.local.model import LocalModel
from potstill.pipeline import pipeline
from potstill.recipe import loading as recipe_file
from potstill.stages.train import soft, teacher, trainer
from potstill.stages.train.rows import rows_of
from potstill.stages.train.student import Checkpoint
from potstill.tasks import Example
from potstill.workspace.artifacts import CURATED, CuratedRow

OBJECTIVES: dict[str, tuple[str, dict[str, Any]]] = {
    "rationale": ("cot-rationale", {}),
    "answer": ("cot-answer", {}),
    "joint": ("cot-joint", {}),
    "kd-1": ("cot-rationale", {"kd": {"top_k": 1}}),
    "kd-5": ("cot-rationale", {"kd": {"top_k": 5}}),
    "kd-20": ("cot-rationale", {"kd": {"top_k": 20}}),
    "kd-all": ("cot-rationale", {"kd": {"top_k": "all"}}),
    "on-policy": ("cot-rationale", {"on_policy": {}}),
}
"""Condition and options of training."""
REFERENCE, COMPLETE = "rationale", "kd-all"
TEACHER, STUDENT = "packaged/qwen2.5-coder-1.5b-instruct", "packaged/qwen2.5-coder-0.5b-instruct"
BATCH = 4


@dataclass(frozen=True)
class Size:
    """Questions that the teacher is asked, optimizer steps, and test questions."""

    asked: int
    steps: int
    questions: int


FULL, QUICK = Size(160, 48, 200), Size(12, 3, 4)


@dataclass(frozen=True)
class Job:
    """An objective's recipe, the rows that it is trained on, and for how many steps; ``soft`` has the teacher's probabilities."""

    recipe: Path
    rows: Sequence[CuratedRow]
    steps: int
    soft: Path | None
    examples: Sequence[Example]


@dataclass(frozen=True)
class Outcome:
    seconds: float
    right: list[float]
    characters: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    size = QUICK if quick else FULL
    questions = word_problems.questions(11, "objectives", unseen=False, taken=set())
    examples = list(islice(questions, size.questions))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        jobs, seconds = prepared(folder, size, examples)
        figures: dict[str, Any] = {"teacher_seconds": round(seconds), "steps": {}, "time": {}}
        equal_steps = {name: trained(name, job) for name, job in jobs.items()}
        reference = equal_steps[REFERENCE]
        for name, outcome in equal_steps.items():
            figures["steps"][name] = compared(jobs[name].steps, outcome, reference, examples)
        for name, job in jobs.items():
            steps = max(1, round(size.steps * reference.seconds / equal_steps[name].seconds))
            if steps == job.steps:
                outcome = equal_steps[name]
            else:
                outcome = trained(name, Job(job.recipe, job.rows, steps, job.soft, examples))
            figures["time"][name] = compared(steps, outcome, reference, examples)
    print(json.dumps({"benchmark": "objectives", "figures": figures, "counts": not quick}))


def prepared(folder: Path, size: Size, examples: Sequence[Example]) -> tuple[dict[str, Job], float]:
    """A job for each objective, on the teacher's same answers, and the seconds that its probabilities took."""
    jobs = {}
    for name, (condition, options) in OBJECTIVES.items():
        file = folder / f"{name}.yaml"
        file.write_text(yaml.safe_dump(recipe(name, condition, options, size)))
        run = pipeline.start(str(file), folder / "runs")
        pipeline.carry_out(run, "curate")
        rows = [row for row in run.read(CURATED) if row["turns"]]
        jobs[name] = Job(file, rows, size.steps, folder / name if "kd" in options else None, examples)
    began = time.perf_counter()
    in_process(write_probabilities, jobs[COMPLETE])
    seconds = time.perf_counter() - began
    for name, job in jobs.items():
        if job.soft and name != COMPLETE:
            write_likeliest(folder / COMPLETE, job.soft, OBJECTIVES[name][1]["kd"]["top_k"])
    print(f"{len(jobs[REFERENCE].rows)} rows; the teacher's probabilities took {seconds:.0f} s", flush=True)
    return jobs, seconds


def recipe(name: str, condition: str, options: Mapping[str, Any], size: Size) -> dict[str, Any]:
    return {
        "name": name, "task": "math", "condition": condition,
        "data": {"source": "word_problems", "train": size.asked, "validation": 4, "test": 4, "test_unseen": 4},
        "teacher": {"model": TEACHER, "batch_size": 64},
        "generate": {"prompting": "cot-fewshot", "max_words": 30, "max_tokens": 128},
        "student": {"model": STUDENT, "max_tokens": 128},
        "train": {"learning_rate": 1e-3, "batch_size": BATCH, **options},
        "evaluate": {"systems": ["student"]},
    }  # fmt: skip


def in_process(work: Any, *arguments: Any) -> Any:
    """Call a function in a process of its own, so that memory and threads are free afterwards."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def write_probabilities(job: Job) -> None:
    """Compute the teacher's probabilities of the whole vocabulary."""
    loaded = recipe_file.load(job.recipe)
    chat = loading.load_chat(loaded.student.model.download())
    assert job.soft is not None
    teacher.soft_targets(loaded, chat, job.rows, rows_of(loaded, chat, job.rows), job.soft)


def write_likeliest(complete: Path, folder: Path, k: int) -> None:
    """The ``k`` likeliest tokens of probabilities of the whole vocabulary."""
    found = soft.SoftTargets.opened(complete / teacher.FOLDER)
    tokens = np.diff(found.starts).tolist()

    def likeliest():
        for row in range(len(tokens)):
            logs, ids = found.of([row])["soft_logs"].topk(k)
            yield ids.numpy(), logs.numpy()

    soft.write(folder / teacher.FOLDER, tokens, k, likeliest(), complete=False)


def trained(name: str, job: Job) -> Outcome:
    outcome: Outcome = in_process(carry_out, job)
    print(
        f"{name}: {job.steps} steps in {outcome.seconds:.0f} s, {fmean(outcome.right):.1%} right, {outcome.characters:.0f} characters an answer",
        flush=True,
    )
    return outcome


def carry_out(job: Job) -> Outcome:
    """Train for the steps of a job, and ask the student the test questions."""
    loaded = recipe_file.load(job.recipe)
    base, task = loaded.student.model.download(), loaded.task
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if job.soft:
            (work / teacher.FOLDER).symlink_to(job.soft / teacher.FOLDER)
        began = time.perf_counter()
        trainer.fit(loaded, base, job.rows, trainer.Position(work, None, job.steps))
        seconds = time.perf_counter() - began
        checkpoint = Checkpoint(loaded, base, (work / f"checkpoint-{job.steps}",), (1,))
        identity = weights.identity(base, loaded.student.dtype, {})
        student = LocalModel(checkpoint.as_it_answers, identity, "student", batch_size=64)
        sampling = Sampling(max_tokens=loaded.student.max_tokens)
        requests = [Request(str(i), task.messages(row), sampling) for i, row in enumerate(job.examples)]
        texts = asyncio.run(collect(student, requests))
    answers = [task.parse(texts[str(i)], "stop", row, strict=False).answer for i, row in enumerate(job.examples)]
    right = [
        float(answer is not None and task.main_score(answer, row) == 1.0)
        for answer, row in zip(answers, job.examples, strict=True)
    ]
    return Outcome(seconds, right, fmean(map(len, texts.values())))


def compared(steps: int, outcome: Outcome, reference: Outcome, examples: Sequence[Example]) -> dict[str, Any]:
    difference = np.subtract(outcome.right, reference.right)
    _, low, high = stats.mean_interval(difference.tolist(), 0.95, [row["group"] for row in examples])
    return {
        "steps": steps,
        "seconds": round(outcome.seconds),
        "right": round(fmean(outcome.right), 3),
        "minus_rationale": [round(100 * value, 1) for value in (difference.mean(), low, high)],
        "characters": round(outcome.characters),
    }


if __name__ == "__main__":
    main()
