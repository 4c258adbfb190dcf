"""What filtering by correctness did to the questions: rows of harder ones are dropped more often."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

from potstill.tasks import Example, Task
from potstill.workspace.artifacts import CuratedRow

MAX_GROUPS = 12
"""Groups that are shown: those of which the largest fraction was dropped."""
LENGTH_CLASSES = 3

Effect = list[tuple[str, int, int]]
"""Kinds of questions, each with its rows that could be checked, and how many of them are correct."""


def effects_of_correctness(curated: Sequence[CuratedRow], examples: Sequence[Example], task: Task) -> dict[str, Effect]:
    """By steps, length of the question and group, how many of the rows whose correctness is known are correct.

    Empty where no row was checked; a heading is left out where it makes no distinction.
    """
    checked = [row for row in curated if row["correct"] is not None]
    example_of = {example["id"]: example for example in examples}
    words = {row["id"]: len(task.question_key(example_of[row["id"]]).split()) for row in checked}
    effects = {
        "steps": _effect(checked, lambda row: example_of[row["id"]]["steps"] or ""),
        "length of the question": _by_length(checked, words),
        "group": _most_dropped(
            _effect(_of_shared_groups(checked, example_of), lambda row: example_of[row["id"]]["group"])
        ),
    }
    return {heading: effect for heading, effect in effects.items() if len(effect) > 1}


def _effect(rows: Sequence[CuratedRow], kind_of: Callable[[CuratedRow], str]) -> Effect:
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        count = counts[kind_of(row)]
        count[0] += 1
        count[1] += bool(row["correct"])
    effect = [(kind, n, correct) for kind, (n, correct) in counts.items()]
    return sorted(effect, key=lambda one: (len(one[0]) if one[0].isdecimal() else 0, one[0]))


def _by_length(rows: Sequence[CuratedRow], words: Mapping[str, int]) -> Effect:
    """In classes of about equal numbers of rows, from short to long."""
    ordered = sorted(words[row["id"]] for row in rows)
    bounds = sorted({ordered[len(ordered) * i // LENGTH_CLASSES] for i in range(LENGTH_CLASSES)}) if ordered else []

    def kind_of(row: CuratedRow) -> str:
        low = max(bound for bound in bounds if bound <= words[row["id"]])
        above = [bound for bound in bounds if bound > low]
        return f"{low:6d} to {above[0] - 1} words" if above else f"{low:6d} words or more"

    return [(kind.strip(), n, correct) for kind, n, correct in _effect(rows, kind_of)]


def _of_shared_groups(rows: Sequence[CuratedRow], example_of: Mapping[str, Example]) -> list[CuratedRow]:
    """The rows of groups with several questions; a question without a group is its own."""
    questions = Counter(example_of[id_]["group"] for id_ in {row["id"] for row in rows})
    return [row for row in rows if questions[example_of[row["id"]]["group"]] > 1]


def _most_dropped(effect: Effect) -> Effect:
    return sorted(effect, key=lambda one: (one[2] / one[1], -one[1]))[:MAX_GROUPS]
