"""The content of evaluation.json, from which its JSON Schema is made."""

from typing import Any, Literal, NotRequired

from pydantic import TypeAdapter
from typing_extensions import TypedDict

Finding = Literal["better", "worse", "equivalent", "not distinguishable", "not told the task", "not decided by scores"]
"""What a comparison shows of the student. A model that was not told its task, labels or schema fails by form: no finding."""
Decision = Literal["distilled", "not yet", "not distinguishable", "do not distil", "undecided"]


class Metric(TypedDict):
    """A value with its interval at the level ``confidence``."""

    estimate: float
    low: float
    high: float


class OneSided(TypedDict):
    """A one-sided test at the level ``confidence``: ``limit`` of the difference a - b, and whether it lies within the margin."""

    limit: float
    p_value: float
    shown: bool


class Tests(TypedDict):
    """The paired difference of accuracies a - b, and what it shows. ``not_worse``: a is not worse than b by the margin; ``matched``: b is not worse
    than a by the margin. ``design_effect`` is null where questions are independent, or one group says nothing of it."""

    difference: float
    low: float
    high: float
    p_value: float
    sign_flip_p_value: float | None
    design_effect: float | None
    not_worse: OneSided
    matched: OneSided


class Difference(Tests):
    """The same with the number of questions that only a, and only b, answers correctly."""

    only_a: int
    only_b: int


class Pair(TypedDict):
    """The student ``a`` and the system ``b``. ``chosen``: whether b represents its role, on so many validation questions
    (``chosen_on``). ``cheaper``: whether b needs no training of a student."""

    a: str
    b: str
    role: str
    cheaper: bool
    chosen: bool
    chosen_on: int
    n: int
    excluded: int
    finding: Finding


class Bounds(TypedDict):
    """The difference if all truncated answers of a were incorrect and those of b correct, and the reverse."""

    lower: Difference
    upper: Difference


class Needed(TypedDict):
    """Questions that would show, with a probability of 80 %, a difference as observed, and non-inferiority if it were the true
    one. Null where it is shown already, or where no number of questions would show it."""

    difference: int | None
    not_worse: int | None


class Comparison(Pair, Difference):
    """The student against another system where gold decides. ``p_adjusted``: the p-value of the finding after ``correction`` for the
    number of tests."""

    groups: int
    clustered: bool
    p_adjusted: float
    correction: Literal["none", "holm", "bh"]
    bounds: Bounds | None
    needed: Needed
    labels: dict[str, Metric]


class Matched(TypedDict):
    """Differences of scores of the examples whose two answers have a similar length."""

    n: int
    scores: dict[str, Metric]


class Description(Pair):
    """Two systems where nothing decides: mean paired differences of scores, a - b, and how often the answers are the same."""

    scores: dict[str, Metric]
    matched: Matched | None
    agreement: NotRequired[Metric]


class SystemResult(TypedDict):
    """One system on one split. ``prompt`` is the name of its prompt; ``tells_task``: whether it was told its task, labels or schema."""

    role: str
    prompting: str
    tells_task: bool
    zero_shot: bool
    engine: str
    n: int
    excluded: int
    outcomes: dict[str, int]
    metrics: dict[str, Metric]
    without_score: list[str]
    answers: dict[str, int]
    max_tokens: int
    tokens_per_answer: float
    seconds_per_answer: float


class Change(TypedDict):
    sealed: Any
    now: Any


class Seal(TypedDict):
    """What was known of the test questions before, and what was set after looking at them (`potstill.stages.sealed`)."""

    sha256: str
    first_used: str
    looked_at_before: int
    students: int
    test_sets: int
    settings: dict[str, Any]
    set_after_looking: dict[str, Change]


class Majority(TypedDict):
    """The most frequent gold label, and its share of the questions."""

    label: str
    share: float


class PitfallFound(TypedDict):
    """What makes a result say more than it knows (`potstill.stages.evaluate.pitfalls`). ``alarm`` is false for what is as it is on
    purpose; ``figures`` are the numbers of the ``message``."""

    name: str
    message: str
    figures: dict[str, Any]
    alarm: bool


class HeldOut(TypedDict):
    """The loss of base and student, in nats per token, on ``rows`` answers of the teacher to questions of the split, as the student learnt to
    give them; ``tokens`` with a loss. ``difference`` is student - base; an interval without limits has none."""

    rows: int
    tokens: int
    base: float
    student: float
    difference: float
    low: float | None
    high: float | None


class Split(TypedDict):
    """One test split. ``groups`` counts groups of questions that vary together; ``majority`` is null where a task has no labels. The
    fraction of correct answers is the metric ``measure`` of a system: `judged_right` where judges say which are correct."""

    decided: bool
    measure: Literal["accuracy", "judged_right"]
    margin: float
    confidence: float
    n: int
    groups: int
    majority: Majority | None
    systems: dict[str, SystemResult]
    comparisons: list[Comparison] | list[Description]
    without_gold: int
    held_out: NotRequired[HeldOut]
    sealed: NotRequired[Seal]
    pitfalls: NotRequired[list[PitfallFound]]


class Chosen(TypedDict):
    """The system that represents a role, the number of validation questions that it was chosen on, and the scores there."""

    system: str
    n: int
    scores: dict[str, float]


class About(TypedDict):
    """What the verdict rests on besides the questions. ``tests`` is the number of tests that the verdict speaks of, which Holm's
    method corrects for. ``gold``: what became of the gold answers of training questions. ``not_asked``: known cheaper systems that
    were not evaluated. ``judges``: where judges say which answers are correct, each with the systems whose model is of its family.
    ``forms``: of the systems that are the student in another form, an export or an address, which."""

    train_seed: int
    training_seeds: int
    student: str
    student_dtype: str
    base_quantization: str | None
    condition: str
    extraction: str
    tests: int
    gold: Literal["trained on", "filtered by", "not used"]
    prompts: dict[str, str]
    not_asked: list[str]
    judges: dict[str, list[str]]
    forms: dict[str, str]


class Verdict(TypedDict):
    """At most three ``lines``, and ``notes`` on what they rest on. ``splits`` is the decision of each split."""

    decision: Decision
    splits: dict[str, Decision]
    lines: list[str]
    notes: list[str]


class Evaluation(TypedDict):
    """evaluation.json."""

    splits: dict[str, Split]
    chosen: dict[str, Chosen]
    about: About
    verdict: Verdict


def schema() -> dict[str, Any]:
    """The JSON Schema of evaluation.json."""
    return TypeAdapter(Evaluation).json_schema()
