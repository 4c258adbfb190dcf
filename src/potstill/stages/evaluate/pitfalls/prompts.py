"""Prompts that the student was not trained on. Its chat template must be that of training (`stages.student_prompts`)."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from potstill import stats
from potstill.recipe.systems import STUDENT
from potstill.stages.evaluate.pitfalls.evidence import Evidence
from potstill.stages.evaluate.pitfalls.pitfall import Pitfall

LONGER = 1.5
"""A prompt is much longer than those of training if it has this many times the characters of the longest."""
SOME = 0.05
"""Fraction of the questions from which on long prompts are reported."""

Messages = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class _New:
    """``unseen`` of ``n`` test prompts have a form that no training prompt has; ``once`` of the ``trained`` ones occur once."""

    unseen: int
    n: int
    once: int
    trained: int


def prompts(evidence: Evidence) -> list[Pitfall]:
    """Systems that are the student with other prompts than its own, and prompts of its own that have another system message,
    other turns, or much more text than those of training."""
    found = _other_prompting(evidence)
    if evidence.questions and evidence.training.n:
        found += [*_unseen_systems(evidence), *_unseen_turns(evidence), *_longer(evidence)]
    return found


def _other_prompting(evidence: Evidence) -> list[Pitfall]:
    """Students whose questions are not asked as training rows are."""
    plain = {
        example["id"]: _plain(messages) for example, messages in zip(evidence.questions, evidence.prompts, strict=True)
    }
    others = []
    for one in evidence.students():
        rows = [row for row in one.rows if row["id"] in plain]
        n_other = sum(_plain(row["messages"]) != plain[row["id"]] for row in rows)
        if n_other:
            others.append({"system": one.system.name, "other": n_other, "n": len(rows)})
    if not others:
        return []
    listed = ", ".join(f"{one['system']} ({one['other']} of {one['n']} questions)" for one in others)
    return [
        Pitfall(
            "student-other-prompt",
            f"{listed}: asked with another prompt than the student was trained on, so that the score is not that of the student as it "
            f"is used: judge it by {STUDENT}, or train on these prompts (data.columns: prompt).",
            {"systems": others},
        )
    ]


def _unseen_systems(evidence: Evidence) -> list[Pitfall]:
    new = _unseen(evidence, map(_system, evidence.prompts), map(_system, evidence.training.prompts))
    if new is None:
        return []
    text = (
        f"{new.unseen} of {new.n} test questions have a system message that no training row has, or have none although every training "
        "row has one: give test and training rows the same (data.system)."
    )
    return [Pitfall("unseen-system-message", text, asdict(new))]


def _unseen_turns(evidence: Evidence) -> list[Pitfall]:
    trained = (form for messages in evidence.training.prompts for form in _beginnings(messages))
    new = _unseen(evidence, (_beginnings(messages)[-1] for messages in evidence.prompts), trained)
    if new is None:
        return []
    text = (
        f"{new.unseen} of {new.n} test questions come after turns of roles that no training row has in this order: train on chats of "
        "the same form."
    )
    return [Pitfall("unseen-turns", text, asdict(new))]


def _unseen(evidence: Evidence, own: Iterable[str], trained: Iterable[str]) -> _New | None:
    """Forms of test prompts that no training prompt has; None where they are no more frequent than expected.

    The share of forms that occur once estimates the probability that the next one is new (Good 1953, Biometrika 40:237): the
    lower limit of the test's share must lie above the upper one of training's (Clopper and Pearson).
    """
    times = Counter(trained)
    forms = list(own)
    k, n, once = sum(form not in times for form in forms), len(forms), sum(count == 1 for count in times.values())
    confidence = evidence.options.confidence
    low, high = (
        stats.clopper_pearson_interval(k, n, confidence).low,
        stats.clopper_pearson_interval(once, times.total(), confidence).high,
    )
    return _New(k, n, once, times.total()) if low > high else None


def _longer(evidence: Evidence) -> list[Pitfall]:
    """Prompts of more than `LONGER` times the characters of the longest one of training: at least `SOME` of the questions, and
    significantly more than one of the training rows and the next would be the longest."""
    longest = max(map(_characters, evidence.training.prompts))
    lengths = [_characters(messages) for messages in evidence.prompts]
    k, n = sum(length > LONGER * longest for length in lengths), len(lengths)
    low = stats.clopper_pearson_interval(k, n, evidence.options.confidence).low
    if k < SOME * n or low <= 1 / (evidence.training.n + 1):
        return []
    return [
        Pitfall(
            "longer-prompts",
            f"{k} of {n} test prompts have more than {LONGER:g} times the characters of the longest training prompt ({longest}; the longest "
            f"of the test has {max(lengths)}), and a student seldom does on longer prompts what it learned on short ones: train on rows "
            "of this length (train.max_length).",
            {"n": n, "longer": k, "factor": LONGER, "longest_in_training": longest, "longest": max(lengths)},
        )
    ]


def _plain(messages: Messages) -> list[tuple[str, str]]:
    """What is asked: replies of a chat may be the system's own."""
    return [(message["role"], message["content"]) for message in messages if message["role"] != "assistant"]


def _system(messages: Messages) -> str:
    """The system messages of a prompt; a prompt without any differs from an empty one."""
    systems = [message["content"] for message in messages if message["role"] == "system"]
    return "\0".join(["system", *systems]) if systems else ""


def _beginnings(messages: Messages) -> list[str]:
    """The roles of a chat up to each turn of the user, and of all of it."""
    roles = [message["role"] for message in messages if message["role"] != "system"]
    ends = [i + 1 for i, role in enumerate(roles) if role == "user" and i + 1 < len(roles)]
    return [" ".join(roles[:end]) for end in [*ends, len(roles)]]


def _characters(messages: Messages) -> int:
    return sum(len(message["content"]) for message in messages)
