"""python benchmarks/evaluation.py [--quick]: evaluation of a student in this process, compared with lm-evaluation-harness.

A SmolLM2-135M student is trained on the quick start's teacher's answers to word problems. Then ours and the harness's ``hf`` model, in an
environment of its own and at the batch size that is fastest for it on the first questions, answer the same 300 questions
greedily, with at most 96 new tokens, in the same number format, from the same token ids: once with the student's plain prompt, once with
four solved examples. Times are those of generation after a warm-up, without loading. ``identical_share`` is the fraction of
our answers to the first 60 questions with each prompt that equal those to one question at a time, ``identical_share_float32`` the
same with the plain prompt in float32.
Last come the seconds of the slowest statistic over 1,000,000 rows, and of the bootstrap.
``--quick`` asks 16 questions, and its figures do not count.
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from generation import environment
from goals import is_met
from local import run_ours

from potstill import stats
from potstill.data import word_problems
from potstill.models import Request, Sampling
from potstill.models.local import loading
from potstill.models.local.weights import resolve_dtype
from potstill.pipeline import pipeline
from potstill.tasks import Prompting, PromptSpec
from potstill.tasks.math import Math

GOALS = {
    "vs_lm_eval_plain": ">= 1.5", "vs_lm_eval_fewshot": ">= 3", "identical_share": ">= 0.99", "statistics_s": "< 5",
    "bootstrap_s": "< 30",
}  # fmt: skip
REQUIREMENTS = "lm-eval[hf]>=0.4.9 torch==2.13.0"
BATCH_SIZES = (8, 16, 32, 64)
MAX_TOKENS, SHOTS = 96, 4
RECIPE = """\
name: evaluated
task: math
data: {{source: word_problems, train: {rows}, validation: 4, test: 4, test_unseen: 4}}
teacher: {{model: packaged/qwen2.5-coder-0.5b-instruct, batch_size: 128}}
generate: {{prompting: cot-fewshot, max_words: 30, max_tokens: 128}}
student: {{model: packaged/smollm2-135m-instruct, max_tokens: 96}}
train: {{epochs: 1}}
evaluate: {{systems: [student]}}
"""
HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    n, n_trial, n_alone, rows = (16, 4, 8, 16) if quick else (300, 64, 60, 150)
    python = environment("lm_eval", REQUIREMENTS)
    with tempfile.TemporaryDirectory() as folder:
        student = train_student(Path(folder), rows)
        tokenizer, dtype = loading.load_tokenizer(student), resolve_dtype("auto")
        figures, identical, compared = {}, 0, 0
        for name, prompting in (("plain", Prompting.PLAIN), ("fewshot", Prompting.FEWSHOT)):
            requests = asked(n, prompting)
            seconds, texts = run_ours(student, dtype, tokenizer, requests, 64)
            print(f"{name}: ours {seconds:.1f} s, {n / seconds:.2f} questions/s", flush=True)
            theirs = fastest_of_theirs(python, student, dtype, requests, n_trial, Path(folder))
            print(f"{name}: lm-eval {theirs:.1f} s, {n / theirs:.2f} questions/s", flush=True)
            figures[f"vs_lm_eval_{name}"] = round(theirs / seconds, 2)
            some = requests[:n_alone]
            identical += count_identical(student, dtype, tokenizer, some, texts)
            compared += len(some)
        some = asked(n_alone, Prompting.PLAIN)
        seconds, texts = run_ours(student, "float32", tokenizer, some, 64)
        same = count_identical(student, "float32", tokenizer, some, texts)
        print(f"float32: {seconds:.1f} s for {n_alone} plain questions", flush=True)
        figures["identical_share_float32"] = round(same / n_alone, 4)
    figures["identical_share"] = round(identical / compared, 4)
    seconds = seconds_of_statistics(100_000 if quick else 1_000_000)
    print(f"statistics: seconds {seconds}", flush=True)
    figures["bootstrap_s"] = seconds.pop("paired_bootstrap")
    figures["statistics_s"] = max(seconds.values())
    met = not quick and all(is_met(figures[name], goal) for name, goal in GOALS.items())
    print(json.dumps({"benchmark": "evaluation", "dtype": dtype, "figures": figures, "goals": GOALS, "met": met}))


def count_identical(
    student: Path, dtype: str, tokenizer: Any, requests: list[Request], texts: Mapping[str, str]
) -> int:
    """How many answers equal those to the same questions asked one at a time."""
    alone: dict[str, str] = {}
    for request in requests:  # each call has one question, so that nothing of another is computed with it
        alone |= run_ours(student, dtype, tokenizer, [request], 1, warm_up=0)[1]
    same = sum(texts[request.id] == alone[request.id] for request in requests)
    print(f"{dtype}: {same} of {len(requests)} answers equal those to one question at a time", flush=True)
    return same


def seconds_of_statistics(n: int) -> dict[str, float]:
    """Seconds of each statistic over ``n`` rows of simulated answers in groups of 5."""
    rng = np.random.default_rng(0)
    a, b = (rng.random(n) < 0.6).astype(float), (rng.random(n) < 0.5).astype(float)
    groups = np.arange(n) // 5
    table = [[int((a * b).sum()), int((a * (1 - b)).sum())], [int((b * (1 - a)).sum()), int(((1 - a) * (1 - b)).sum())]]
    labels = [frozenset("abc"[int(x)]) for x in rng.integers(0, 3, n)]
    answers = [frozenset("abc"[int(x)]) for x in rng.integers(0, 3, n)]
    ratings = rng.integers(0, 3, (3, n)).tolist()
    several = rng.random((5, n // 5))
    calls = {
        "mcnemar": lambda: stats.mcnemar(table),
        "paired_difference": lambda: stats.paired_difference(table, method="tango"),
        "noninferiority": lambda: stats.noninferiority(table, 0.05),
        "clustered_standard_error": lambda: stats.clustered_standard_error(a, groups),
        "clustered_difference": lambda: stats.clustered_difference(a, b, groups),
        "clustered_noninferiority": lambda: stats.clustered_noninferiority(a, b, groups, 0.05),
        "clustered_mcnemar": lambda: stats.clustered_mcnemar(a, b, groups),
        "crossed_interval": lambda: stats.crossed_interval(several, None),
        "adjust_p_values": lambda: stats.adjust_p_values(rng.random(n)),
        "recovered_gap": lambda: stats.recovered_gap(b, a, np.maximum(a, b)),
        "macro_f1_interval": lambda: stats.macro_f1_interval(labels, answers, ["a", "b", "c"]),
        "krippendorff_alpha": lambda: stats.krippendorff_alpha(ratings, "nominal"),
        "gwet_ac1": lambda: stats.gwet_ac1(ratings),
        "ppi_mean": lambda: stats.ppi_mean(a[: n // 10], b[: n // 10], b[n // 10 :]),
        "expected_calibration_error": lambda: stats.expected_calibration_error(rng.random(n), a),
        "paired_bootstrap": lambda: stats.paired_bootstrap(a, b, groups),
    }
    seconds = {}
    for name, call in calls.items():
        began = time.perf_counter()
        call()
        seconds[name] = round(time.perf_counter() - began, 2)
    return seconds


def train_student(folder: Path, rows: int) -> Path:
    """The folder of a student that is trained on ``rows`` word problems."""
    (folder / "recipe.yaml").write_text(RECIPE.format(rows=rows))
    run = pipeline.start(str(folder / "recipe.yaml"), folder / "runs")
    pipeline.carry_out(run, "train")
    return run.student_folder


def asked(n: int, prompting: Prompting) -> list[Request]:
    """Requests about ``n`` word problems, with `SHOTS` solved examples where the prompting has any."""
    task, sampling = Math(), Sampling(max_tokens=MAX_TOKENS)
    examples = islice(word_problems.questions(11, "evaluation", unseen=False, taken=set()), n)
    solved = list(islice(word_problems.questions(12, "shots", unseen=False, taken=set()), SHOTS))
    shots = solved if prompting.is_few_shot else []
    return [
        Request(str(i), task.messages(row, PromptSpec(prompting), shots), sampling) for i, row in enumerate(examples)
    ]


def fastest_of_theirs(
    python: str, student: Path, dtype: str, requests: list[Request], n_trial: int, folder: Path
) -> float:
    """Seconds of the harness about all requests, at the batch size that is fastest on the first ones.

    Raises `SystemExit` where it reads other token ids than ours.
    """
    chat = loading.load_chat(student)
    prompts = [chat.text(request.messages) for request in requests]

    def run(some: list[str], batch_size: int) -> float:
        file = folder / "prompts.json"
        file.write_text(json.dumps({"prompts": some, "until": [chat.tokenizer.decode([chat.end])]}))
        command = [python, str(HERE / "peers" / "lm_eval_client.py"), student, file, dtype, batch_size, MAX_TOKENS]
        result = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
        if result.returncode:
            raise SystemExit(f"lm-eval failed:\n{result.stderr[-3000:]}")
        answer = json.loads(result.stdout.strip().splitlines()[-1])
        ours = [chat.tokens(request.messages) for request in requests[: len(some)]]
        if answer["ids"] != ours:
            raise SystemExit("lm-eval reads other token ids than ours")
        return float(answer["seconds"])

    trials = {size: round(run(prompts[:n_trial], size), 1) for size in BATCH_SIZES if size <= max(n_trial, 8)}
    fastest = min(trials, key=lambda size: trials[size])
    print(f"lm-eval on {n_trial}: seconds by batch size {trials}", flush=True)
    return run(prompts, fastest)


if __name__ == "__main__":
    main()
