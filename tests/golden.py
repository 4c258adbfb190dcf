"""Small tables of predictions, what they are expected to show, and a way to compare nested results.

Sources of the expected numbers, none of which comes from potstill:

- WILSON: R's ``prop.test(k, n, correct = FALSE)$conf.int``, which is scipy's ``binomtest(k, n).proportion_ci(method="wilson")``.
- NEWCOMBE: method 10 of Newcombe 1998, Statistics in Medicine 17:2635, with limits found by root finding
  (``newcombe_10`` in test_stats_paired.py); 36, 12, 2, 0 is printed there as 0.0569 to 0.3404.
- p-values: integers, 2 * sum(comb(n, k) for k up to the smaller count) / 2^n.
"""

from itertools import chain

import pytest

from potstill.recipe.evaluating import Evaluate
from potstill.recipe.systems import System
from potstill.stages.evaluate.decision import corrected
from potstill.stages.evaluate.outcome import Outcome
from potstill.stages.evaluate.summary import Evaluated, summary
from potstill.stages.evaluate.verdict import verdict
from potstill.tasks.math import Math

SECONDS, TOKENS = (0.1, 0.3), (10, 12)
"""Of even and odd rows: means of 0.2 s and 11 tokens where their number is even."""
NO_ANSWER = {*Outcome} - {Outcome.CORRECT, Outcome.INCORRECT, Outcome.ANSWERED}


def prediction(i, outcome, *, gold="7", answer="7", scores=None):
    """A row of predictions/SYSTEM.parquet of question ``i``. Of a correct answer the scores are 1, otherwise 0; ``scores``
    come before them."""
    has_answer = outcome not in NO_ANSWER
    decided = None if gold is None else float(outcome == "correct")
    return {
        "id": f"q{i}", "group": f"q{i}", "sample": 0, "messages": [{"role": "user", "content": "?"}], "text": "t",
        "rationale": "", "answer": answer if has_answer else None, "gold": gold,
        "status": "ok" if has_answer else outcome, "rule": "bare" if has_answer else "", "outcome": outcome,
        "scores": {**({"accuracy": decided} if scores is None else scores), "strict": decided, "lenient": decided},
        "max_tokens": 64, "prompt_tokens": 5, "completion_tokens": TOKENS[i % 2], "seconds": SECONDS[i % 2], "error": None,
    }  # fmt: skip


def rows(*runs):
    """Rows from runs of equal outcomes, as ``(36, "correct"), (14, "incorrect")``."""
    outcomes = chain.from_iterable([outcome] * n for n, outcome in runs)
    return [prediction(i, outcome) for i, outcome in enumerate(outcomes)]


def pair(both, only_a, only_b, neither, *, of_only_a="incorrect", of_only_b="incorrect"):
    """Two systems by the 2 x 2 table of their answers. ``of_only_a`` is b's outcome where only a is correct, and the reverse."""
    a = rows((both, "correct"), (only_a, "correct"), (only_b, of_only_b), (neither, "incorrect"))
    b = rows((both, "correct"), (only_a, of_only_a), (only_b, "correct"), (neither, "incorrect"))
    return a, b


def summarize(tables, task, chosen=None, others=(), **options):
    """The summary of the answers of systems, by their names. ``chosen`` names those that represent base and teacher; left out:
    the first of each. ``others`` are other systems with their rows."""
    systems = [Evaluated(System.model_validate(name), rows) for name, rows in tables.items()]
    systems += [Evaluated(system, rows) for system, rows in others]
    told = [one.system for one in systems]
    first = {role: [s.name for s in told if s.role == role][:1] for role in ("base", "teacher")}
    names = chosen or {role: names[0] for role, names in first.items() if names}
    chosen = {role: {"system": name, "n": 24} for role, name in names.items()}
    return summary(systems, task, Evaluate(**options), chosen)


SEALED = {"looked_at_before": 0, "students": 0, "set_after_looking": {}}
"""Of a test set that is used for the first time."""


ABOUT = {
    "train_seed": 3, "training_seeds": 1, "student": "s", "student_dtype": "auto", "base_quantization": None,
    "condition": "cot-rationale", "extraction": "lenient", "tests": 0, "gold": "not used", "not_asked": [], "judges": {}, "forms": {},
    "prompts": {"student": "plain", "base": "plain", "teacher-cot": "plain"},
}  # fmt: skip


def concluded(splits, **about):
    """evaluation.json of splits that are used for the first time."""
    done, tests = corrected({split: {"sealed": SEALED} | values for split, values in splits.items()})
    about = ABOUT | {"tests": tests} | about
    return {"splits": done, "chosen": {}, "about": about, "verdict": verdict(done, about)}


def in_words(splits, **about):
    """The lines and notes of the verdict."""
    said = concluded(splits, **about)["verdict"]
    return "\n".join([*said["lines"], *said["notes"]])


def line_of(values, split="test"):
    """The verdict's line about a split."""
    return concluded({split: values})["verdict"]["lines"][1]


WILSON = {
    (48, 50): (0.96, 0.865399, 0.988961), (47, 50): (0.94, 0.837829, 0.979385), (38, 50): (0.76, 0.625873, 0.857026),
    (50, 50): (1.0, 0.928652, 1.0), (293, 400): (0.7325, 0.687059, 0.773518), (292, 400): (0.73, 0.684457, 0.771167),
    (17, 40): (0.425, 0.285094, 0.578049), (13, 40): (0.325, 0.200845, 0.479823), (90, 100): (0.9, 0.825634, 0.944771),
    (75, 100): (0.75, 0.656955, 0.824548), (65, 100): (0.65, 0.552544, 0.736358), (96, 100): (0.96, 0.901629, 0.984337),
    (85, 100): (0.85, 0.767164, 0.90694), (6, 6): (1.0, 0.609666, 1.0), (0, 6): (0.0, 0.0, 0.390334),
    (3, 4): (0.75, 0.300642, 0.954413), (1, 4): (0.25, 0.045587, 0.699358), (2, 4): (0.5, 0.150039, 0.849961),
}  # fmt: skip
NEWCOMBE = {
    (36, 12, 2, 0): (0.05693, 0.340428), (36, 2, 12, 0): (-0.340428, -0.05693), (290, 3, 2, 105): (-0.010187, 0.015267),
    (10, 7, 3, 20): (-0.057957, 0.250092), (48, 0, 2, 0): (-0.134601, 0.037001), (48, 2, 0, 0): (-0.037001, 0.134601),
    (38, 10, 2, 0): (0.024695, 0.296404), (70, 20, 5, 5): (0.053147, 0.246845), (60, 30, 5, 5): (0.140044, 0.354366),
    (88, 2, 8, 2): (-0.133792, 0.006585), (80, 10, 5, 5): (-0.030004, 0.132395), (6, 0, 0, 0): (-0.390334, 0.390334),
    (0, 0, 0, 6): (-0.390334, 0.390334),
}  # fmt: skip
P = {
    (12, 2): 0.012939,  # 2 * (1 + 14 + 91) / 2^14
    (3, 2): 1.0,  # 2 * (1 + 5 + 10) / 2^5
    (7, 3): 0.34375,  # 2 * (1 + 10 + 45 + 120) / 2^10
    (2, 0): 0.5,  # 2 * 1 / 2^2
    (10, 2): 0.038574,  # 2 * (1 + 12 + 66) / 2^12
    (20, 5): 0.004077,  # 2 * (1 + 25 + 300 + 2300 + 12650 + 53130) / 2^25
    (30, 5): 0.0000224,  # 2 * (1 + 35 + 595 + 6545 + 52360 + 324632) / 2^35
    (8, 2): 0.109375,  # 2 * (1 + 10 + 45) / 2^10
    (10, 5): 0.301758,  # 2 * (1 + 15 + 105 + 455 + 1365 + 3003) / 2^15
    (0, 0): 1.0,
}
TEST = "On new questions of the kind trained on"


def accuracy(k, n):
    """The three metrics of a system with k correct answers of n, where both kinds of extraction find them."""
    return dict.fromkeys(("accuracy", "strict", "lenient"), metric(*WILSON[k, n]))


def system(k, n, role, outcomes=None, prompting="plain", metrics=None):
    return {
        "role": role, "prompting": prompting, "tells_task": True, "zero_shot": prompting in ("plain", "cot"), "engine": "in process", "n": n, "excluded": 0,
        "outcomes": outcomes or {o: m for o, m in (("correct", k), ("incorrect", n - k)) if m}, "metrics": accuracy(k, n) if metrics is None else metrics,
        "answers": {}, "without_score": [], "max_tokens": 64, "tokens_per_answer": 11, "seconds_per_answer": 0.2,
    }  # fmt: skip


def split(systems, comparisons, *, decided=True, majority=None, groups=None):
    n = next(iter(systems.values()))["n"]
    return {
        "decided": decided, "measure": "accuracy", "margin": 0.05, "confidence": 0.95, "systems": systems, "comparisons": comparisons,
        "without_gold": 0, "n": n, "groups": groups or n, "majority": majority,
    }  # fmt: skip


LATER = {
    "not_worse", "matched", "needed", "p_adjusted", "correction", "groups", "clustered", "design_effect", "sign_flip_p_value", "cheaper",
}  # fmt: skip
"""Fields of a comparison that test_verdict.py is about."""


def core(values):
    """Values without the fields of comparisons that test_verdict.py is about."""
    if isinstance(values, dict):
        return {key: core(value) for key, value in values.items() if key not in LATER or "systems" in values}
    return [core(value) for value in values] if isinstance(values, list) else values


def difference(*table):
    _, only_a, only_b, _ = table
    low, high = NEWCOMBE[table]
    return {
        "only_a": only_a, "only_b": only_b, "difference": (only_a - only_b) / sum(table), "low": low, "high": high,
        "p_value": P[max(only_a, only_b), min(only_a, only_b)],
    }  # fmt: skip


def comparison(*table, finding, b="base", role="base", bounds=None, chosen=True, excluded=0):
    return {
        "a": "student", "b": b, "role": role, "chosen": chosen, "chosen_on": 24 if chosen else 0, "n": sum(table), "excluded": excluded, "finding": finding,
        "bounds": bounds and {"lower": difference(*bounds[0]), "upper": difference(*bounds[1])}, "labels": {},
    } | difference(*table)  # fmt: skip


def of_pair(predictions, **options):
    return summarize(dict(zip(("student", "base"), predictions, strict=True)), Math(), **options)


def metric(estimate, low, high):
    return {"estimate": estimate, "low": low, "high": high}


def flat(values, path=""):
    """Nested mappings and lists as one mapping, with the paths of their leaves; empty ones are leaves."""
    items = values.items() if isinstance(values, dict) else enumerate(values)
    leaves = {}
    for key, value in items:
        nested = isinstance(value, dict | list) and value
        leaves |= flat(value, f"{path}{key}/") if nested else {f"{path}{key}": value}
    return leaves


def assert_equal(actual, expected):
    """Equal keys, texts and numbers; numbers to six decimals."""
    actual, expected = flat(core(actual)), flat(core(expected))
    assert actual.keys() == expected.keys()
    numbers = [path for path, value in expected.items() if isinstance(value, int | float)]
    assert {path: v for path, v in actual.items() if path not in numbers} == {
        path: v for path, v in expected.items() if path not in numbers
    }
    assert {path: actual[path] for path in numbers} == pytest.approx(
        {path: expected[path] for path in numbers}, abs=1.1e-6, rel=0
    )
