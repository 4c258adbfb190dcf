"""The content of regressed.json, from which its JSON Schema is made."""

from typing import Any

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from potstill.stages.evaluate.result import Bounds, Difference, Finding, Metric, Needed


class Compared(Difference):
    """Student minus base: the difference of the fractions of prompts that they answer as asked, in groups of prompts that resemble each
    other. ``p_adjusted``: that of the finding; of a kind, after Holm's correction for the number of kinds. ``excluded``: prompts that a model had no room for."""

    title: str
    n: int
    excluded: int
    groups: int
    clustered: bool
    student: Metric
    base: Metric
    bounds: Bounds | None
    needed: Needed
    p_adjusted: float
    finding: Finding


class Share(TypedDict):
    """A fraction of the student's and of the base's answers, and the paired difference student minus base with its interval."""

    n: int
    student: Metric
    base: Metric
    difference: float
    low: float
    high: float


class Likelihood(TypedDict):
    """Mean log-probability of a token of the shipped texts, in nats, by text; ``difference`` is student minus base."""

    texts: int
    student: float
    base: float
    difference: Metric


class Reply(TypedDict):
    """An answer. ``in_form``: whether it has the form of the run's task; null where that form is not told from others."""

    text: str
    outcome: str
    finish_reason: str
    in_form: bool | None


class Asked(TypedDict):
    """A prompt (its last turn) with both answers, whose texts are clipped."""

    id: str
    kind: str
    group: str
    prompt: str
    student: Reply
    base: Reply


class Regressed(TypedDict):
    """regressed.json. ``weights``: digest of the student's folder, as train writes it into the manifest. ``prompts``: version of the shipped
    ones. ``failed`` are empty, looping and truncated answers, ``in_form`` those in the form of the run's task though it was not
    asked for, of the prompts that do not ask for this form; null where no form can be told. ``likelihood`` is null where the context has no room for the texts. At most three ``lines``, and ``notes``."""

    weights: str
    base: str
    prompts: str
    confidence: float
    margin: float
    overall: Compared
    kinds: dict[str, Compared]
    failed: Share
    in_form: Share | None
    likelihood: Likelihood | None
    asked: list[Asked]
    lines: list[str]
    notes: list[str]


def schema() -> dict[str, Any]:
    """The JSON Schema of regressed.json."""
    return TypeAdapter(Regressed).json_schema()
