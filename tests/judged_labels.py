"""Labels that tests make, without a run."""

from potstill.labels.items import digest
from potstill.stages.judged.inputs import Question, Setting

ROLES = {"base": "base", "student": "student", "teacher-cot": "teacher"}


def questions(n, systems=tuple(ROLES), split="test", groups=None, length=lambda system, i: 10):
    """Questions 0 to n - 1, whose answers have as many letters as ``length`` says."""
    return [
        Question(
            f"{split}-{i}",
            split,
            f"g{i if groups is None else i % groups}",
            {system: system[0] * length(system, i) for system in systems},
        )
        for i in range(n)
    ]


def setting(**changes):
    given = {"confidence": 0.95, "margin": 0.05, "roles": ROLES, "cheaper": frozenset({"base"})}
    return Setting(**given | changes)


def label(question, system, value, other=None, **changes):
    """A judge's label of an answer, or of two."""
    systems = [system] if other is None else [system, other]
    given = {
        "item": question.id, "question": question.id, "split": question.split, "group": question.group, "system": system, "other": other,
        "shown": digest([question.answers[name] for name in systems]), "kind": "judge", "rater": "j", "rubric": "r@1",
        "form": "pass" if other is None else "pairwise", "criterion": "overall", "value": value,
        "state": "given" if value is not None else "unreadable", "reason": "", "first": None if other is None else system, "repeat": 0,
        "probability": None, "seconds": None, "time": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip
    return given | changes


def both_orders(question, system, other, values, **changes):
    """A pair in both orders: what ``system`` gets where it is shown first, and where it is shown second."""
    return [
        label(question, system, value, other, first=first, **changes)
        for first, value in zip((system, other), values, strict=True)
    ]


def person(question, system, value, other=None, **changes):
    """A person's label, of a question that was drawn with the probability 0.5."""
    given = {"kind": "person", "rater": "p", "probability": 0.5, "state": "given" if value is not None else "skipped"}
    return label(question, system, value, other, **given | changes)
