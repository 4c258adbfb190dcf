"""What a form sent, as an answer; and an answer in words."""

from collections.abc import Mapping
from typing import Any

from potstill.labels.table import Form, State
from potstill.review.reviewing import Answer
from potstill.review.settings import Settings
from potstill.rubrics.rubric import OVERALL

MAX_REASON = 2_000
"""Characters of a reason."""
UNKNOWN = "?"
"""The value of a criterion about which the reviewer cannot tell."""
SCORE = "score-"
"""The name of a criterion's field begins with it."""
SIDES = {"left": 1.0, "tie": 0.5, "right": 0.0}
VERDICTS = {"pass": 1.0, "fail": 0.0}


class IncompleteError(ValueError):
    """A form that lacks something; the message says what."""


def read_answer(settings: Settings, fields: Mapping[str, str], *, swapped: bool) -> Answer:
    """The answer in the fields of a form; ``swapped``: the item's second answer was on the left. Raises `IncompleteError`."""
    reason = " ".join(fields.get("reason", "")[:MAX_REASON].split())
    first = int(swapped)
    action = fields.get("action", "")
    if action == "skip":
        return Answer(State.SKIPPED, reason=reason, first=first)
    if action == "cannot-tell":
        return Answer(State.CANNOT_TELL, reason=reason, first=first)
    if settings.form is Form.PAIRWISE:
        value = _chosen(SIDES, action)
        return Answer(State.GIVEN, {OVERALL: 1 - value if swapped else value}, reason=reason, first=first)
    if settings.form is Form.PASS:
        value = _chosen(VERDICTS, action)
        named = [one.name for one in settings.rubric.criteria if one.name in fields.get("failed", "").split("\n")]
        return Answer(State.GIVEN, {OVERALL: value}, failed=() if value else tuple(named), reason=reason)
    values = {one.name: _score(settings, one.name, fields) for one in settings.rubric.criteria}
    state = State.GIVEN if any(value is not None for value in values.values()) else State.CANNOT_TELL
    return Answer(state, values if state is State.GIVEN else {}, reason=reason)


def _chosen(choices: Mapping[str, float], action: str) -> float:
    if action not in choices:
        raise IncompleteError(f"Choose one of {', '.join(choices)}.")
    return choices[action]


def _score(settings: Settings, criterion: str, fields: Mapping[str, str]) -> float | None:
    given = fields.get(SCORE + criterion, "")
    if given == UNKNOWN:
        return None
    if not given.isdecimal() or not settings.rubric.lowest <= int(given) <= settings.rubric.highest:
        raise IncompleteError(
            f"Give '{criterion}' a score from {settings.rubric.lowest} to {settings.rubric.highest}, or say that you cannot tell."
        )
    return float(given)


def filled(answer: Answer | None, draft: Mapping[str, str]) -> dict[str, Any]:
    """The values with which a form is filled again: those just sent, or of an answer that was taken back."""
    if draft:
        scores = {name.removeprefix(SCORE): value for name, value in draft.items() if name.startswith(SCORE)}
        return {"scores": scores, "failed": draft.get("failed", "").split("\n"), "reason": draft.get("reason", "")}
    if answer is None:
        return {"scores": {}, "failed": [], "reason": ""}
    scores = {name: UNKNOWN if value is None else f"{value:.0f}" for name, value in answer.values.items()}
    return {"scores": scores, "failed": list(answer.failed), "reason": answer.reason}


def in_words(form: Form, answer: Answer, *, swapped: bool) -> str:
    """An answer for people who see the item's second answer on the left if ``swapped``."""
    if answer.state is not State.GIVEN:
        return answer.state.value
    if form is Form.SCORES:
        return ", ".join(
            f"{name} {UNKNOWN if value is None else f'{value:.0f}'}" for name, value in answer.values.items()
        )
    value = answer.values[OVERALL]
    if form is Form.PASS:
        return f"fail ({', '.join(answer.failed)})" if answer.failed else "pass" if value else "fail"
    return {0.5: "tie"}.get(value or 0.0) or ("left is better" if (value == 1) != swapped else "right is better")
