"""Test splits for the checks of pitfalls: clean ones, drawn by seed, to which a test adds one fault."""

import random
from functools import cache

from potstill.recipe.evaluating import Evaluate
from potstill.recipe.systems import KNOWN, System
from potstill.stages.evaluate.pitfalls.evidence import Evidence
from potstill.stages.evaluate.pitfalls.find import pitfalls
from potstill.stages.evaluate.pitfalls.training import Training
from potstill.stages.evaluate.summary import Evaluated
from potstill.tasks.classification import Classification
from potstill.tasks.math import Math

LABELS = ["alpha", "beta", "gamma"]
LETTERS = str.maketrans("0123456789", "abcdefghij")
TOPICS = Classification(labels=LABELS)
MATH = Math()


def prose(rng, n, vocabulary=3000):
    """``n`` random words, which share no run of eight words with any other prose."""
    return " ".join(f"w{rng.randrange(vocabulary)}".translate(LETTERS) for _ in range(n))


def example(i, gold="1", group=None, **columns):
    empty = dict.fromkeys(("system", "prompt", "rationale", "logged", "origin", "steps"))
    return {**empty, "id": f"q{i}", "split": "test", "group": group or f"g{i}", "gold": gold, **columns}


def trained(prompt, completion="It is so.\nAnswer: 1", system=None, turns=()):
    """A row of training; ``turns`` come before the prompt."""
    messages = [{"role": "system", "content": system}] if system else []
    roles = ("user", "assistant")
    messages += [{"role": roles[i % 2], "content": text} for i, text in enumerate((*turns, prompt))]
    return {"student_messages": messages, "completion": completion}


def answer(task, example, text, *, finish_reason="stop", error=None, extraction="lenient"):
    """The row of a prediction, as the stage reads it."""
    parsed = {kind: task.parse(text, finish_reason, example, strict=kind == "strict") for kind in ("strict", "lenient")}
    return row(task, example, text, parsed, finish_reason, error, extraction)


def row(task, example, text, parsed, finish_reason="stop", error=None, extraction="lenient", messages=None):
    """The same from what each kind of extraction reads in the text."""
    known = task.gradable and example["gold"] is not None
    read = parsed[extraction]
    scores = dict(task.all_scores(read.answer, example))
    scores |= {kind: task.main_score(one.answer, example) if known else None for kind, one in parsed.items()}
    outcome = "error" if error else read.status.value
    if not error and read.answer is not None:
        outcome = ("correct" if scores[extraction] == 1.0 else "incorrect") if known else "answered"
    return {
        "id": example["id"], "group": example["group"], "sample": 0, "messages": messages or task.messages(example), "text": text,
        "rationale": read.rationale, "answer": read.answer, "gold": example["gold"], "status": read.status.value,
        "rule": read.rule, "finish_reason": finish_reason, "outcome": outcome, "scores": scores, "max_tokens": 64,
        "prompt_tokens": 5, "completion_tokens": 9, "seconds": 0.1, "error": error,
    }  # fmt: skip


def evidence(task, examples, answers=None, training=(), on_purpose=False, untold=(), **options):
    """A split; ``answers`` are the rows of systems by name, ``untold`` names those that were not told the task."""
    evaluated = [Evaluated(system(name), rows, tells_task=name not in untold) for name, rows in (answers or {}).items()]
    return Evidence(task, examples, evaluated, Training(list(training)), Evaluate(**options), on_purpose)


def system(name):
    """A known system, or any other model."""
    return System.model_validate(name if name in KNOWN else {"name": name, "model": f"packaged/{name}"})


def found(of):
    """The pitfalls by name."""
    return {pitfall.name: pitfall for pitfall in pitfalls(of)}


def clean(seed, n=120, n_training=150):
    """A classification test without a fault: three balanced labels, errors at random, answers of random length in the requested form.

    Returns examples, rows by system, and the rows of training.
    """
    rng = random.Random(seed)
    examples = [example(i, rng.choice(LABELS), text=prose(rng, rng.randint(9, 40))) for i in range(n)]
    accuracies = {"base": 0.5, "student": 0.75, "teacher-direct": 0.85}
    rows = {name: guesses(rng, examples, accuracy) for name, accuracy in accuracies.items()}
    training = [
        trained(
            plain(prose(rng, rng.randint(9, 40))), f"{prose(rng, rng.randint(4, 30))}.\nAnswer: {rng.choice(LABELS)}"
        )
        for _ in range(n_training)
    ]
    return examples, rows, training


def guesses(rng, examples, accuracy):
    """Answers of random length, correct with this probability, otherwise any other label."""
    rows = []
    for one in examples:
        label = one["gold"] if rng.random() < accuracy else rng.choice([o for o in LABELS if o != one["gold"]])
        text = f"{WORDY[rng.randrange(len(WORDY))]}.\nAnswer: {label}"
        messages = [{"role": "user", "content": plain(one["text"])}]
        rows.append(row(TOPICS, one, text, _read(text), messages=messages))
    return rows


WORDY = [prose(random.Random(n), n) for n in range(4, 31)]
"""Reasoning of four to thirty words."""


@cache
def _read(text):
    one = example(0, text="")
    return {kind: TOPICS.parse(text, "stop", one, strict=kind == "strict") for kind in ("strict", "lenient")}


@cache
def plain(text):
    """The prompt of a row of training."""
    return TOPICS.messages(example(0, text=text))[0]["content"]
