"""Questions that are in the test set several times: as they are, nearly, or with other numbers and names."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from potstill.stages.evaluate.pitfalls.contamination import NEAR
from potstill.stages.evaluate.pitfalls.evidence import Evidence
from potstill.stages.evaluate.pitfalls.overlap import RUN, closest
from potstill.stages.evaluate.pitfalls.pitfall import Pitfall, few
from potstill.stages.evaluate.pitfalls.texts import Masker, Vocabulary, identity, is_template, parts
from potstill.tasks import Example, Task

EXACT = 0.01
"""Fraction of the questions that may be repetitions before they are reported: it makes intervals 0.5 % too narrow."""
ALIKE = 0.05
"""The same for questions that are nearly another one, or have its template."""


def duplicates(evidence: Evidence) -> list[Pitfall]:
    """Repeated questions, which count as independent and are not; and questions that gold answers in two ways.

    Questions of one group are known to belong together, so that of these only those with the same words are repetitions. Nearly:
    as in `contamination`, one question of another group. Contradictory gold:
    the same question, system message and prompt but for case and space, with gold that the task does not find equivalent.
    """
    task, examples = evidence.task, evidence.questions
    said = [identity(task, example) for example in examples]
    times = Counter(said)
    again = [example["id"] for i, example in enumerate(examples) if times[said[i]] > 1]
    once = [example for i, example in enumerate(examples) if times[said[i]] == 1]
    near = _near(task, once)
    of_template = _of_template(task, once)
    n = len(examples)
    found = []
    if n - len(times) >= max(1, EXACT * n):
        found.append(
            Pitfall(
                "duplicate-questions",
                f"{n} test questions are only {len(times)} different ones, and {len(again)} are there more than once, so that intervals "
                "are too narrow: remove the repetitions.",
                {"n": n, "different": len(times), "repeated": len(again), "ids": few(again)},
            )
        )
    if near and len(near) >= ALIKE * n:
        found.append(
            Pitfall(
                "near-duplicate-questions",
                f"{len(near)} of {n} test questions share more than {100 * NEAR:.0f} % of their words, in runs of {RUN}, with a question of another "
                "group, so that they are not independent: give those that belong together the same group, or remove them.",
                {"n": n, "near": len(near), "fraction": NEAR, "run": RUN, "ids": few(near)},
            )
        )
    if of_template and len(of_template) >= ALIKE * n:
        found.append(
            Pitfall(
                "template-across-groups",
                f"{len(of_template)} of {n} test questions differ from a question of another group in numbers and names only, so that they "
                "are not independent: give the questions of one template the same group.",
                {"n": n, "of_template": len(of_template), "ids": few(of_template)},
            )
        )
    return [*found, *_contradictory(evidence)]


def _near(task: Task, examples: Sequence[Example]) -> list[str]:
    vocabulary, groups = Vocabulary(), _groups(examples)
    questions = [[vocabulary.ids(part) for part in parts(task, example)] for example in examples]
    texts = [vocabulary.ids("\n".join(parts(task, example))) for example in examples]
    shared = closest(questions, texts, (groups, groups))
    return [example["id"] for example, share in zip(examples, shared, strict=True) if share.fraction > NEAR]


def _of_template(task: Task, examples: Sequence[Example]) -> list[str]:
    masker = Masker("\n".join(parts(task, example)) for example in examples)
    masked = [tuple(masker.mask(part) for part in parts(task, example)) for example in examples]
    groups: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for of, example in zip(masked, examples, strict=True):
        groups[of].add(example["group"])
    return [
        example["id"]
        for of, example in zip(masked, examples, strict=True)
        if len(groups[of]) > 1 and is_template("\n".join(of))
    ]


def _groups(examples: Sequence[Example]) -> list[int]:
    number: dict[str, int] = {}
    return [number.setdefault(example["group"], len(number)) for example in examples]


def _contradictory(evidence: Evidence) -> list[Pitfall]:
    task = evidence.task
    if not evidence.decided:
        return []
    asked: dict[tuple[str, ...], list[Example]] = defaultdict(list)
    for example in evidence.questions:
        asked[task.question_key(example), example.get("system") or "", example.get("prompt") or ""].append(example)
    ids = [example["id"] for same in asked.values() if _differ(task, same) for example in same]
    if not ids:
        return []
    n = sum(_differ(task, same) for same in asked.values())
    return [
        Pitfall(
            "contradictory-gold",
            f"{n} test question{'s have' if n > 1 else ' has'} different gold in {len(ids)} rows, and no system can be right in all of "
            "them: correct or remove them.",
            {"questions": n, "rows": len(ids), "ids": few(ids)},
        )
    ]


def _differ(task: Task, same: Sequence[Example]) -> bool:
    golds = list(dict.fromkeys(task.gold_text(example) for example in same))
    return any(not task.equivalent(golds[0], gold) for gold in golds[1:])
