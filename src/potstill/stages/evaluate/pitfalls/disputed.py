"""Gold that several systems dispute: they agree on another answer."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from potstill import stats
from potstill.stages.evaluate.outcome import Outcome
from potstill.stages.evaluate.pitfalls.evidence import Evidence, model_of
from potstill.stages.evaluate.pitfalls.pitfall import Pitfall, few
from potstill.tasks import Task

SYSTEMS, MODELS = 3, 2
"""Systems that give the same answer, and different models among them."""
LISTED = 20
"""Ids that are listed."""


def disputed(evidence: Evidence) -> list[Pitfall]:
    """Questions to which at least three systems of at least two models give the same answer (`Task.equivalent`), and not gold.

    Where answers are labels, wrong ones agree by chance: the lower limit of their share (Clopper and Pearson) must lie above the
    share that is expected if systems err independently, each as often in each label as it does (`_by_chance`).
    """
    if not evidence.decided:
        return []
    given: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for one in evidence.evaluated:
        for row in evidence.rows(one):
            if row["outcome"] == Outcome.INCORRECT and row["answer"] is not None:
                given[row["id"]].append((row["answer"], model_of(one)))
    ids = [example["id"] for example in evidence.questions if _agree(evidence.task, given[example["id"]])]
    n = len(evidence.questions)
    expected = _by_chance(evidence) if evidence.task.label_score else 0.0
    if not ids or stats.clopper_pearson_interval(len(ids), n, evidence.options.confidence).low <= expected / n:
        return []
    chance = f", where {expected:.1f} are expected if they err independently" if expected else ""
    return [
        Pitfall(
            "disputed-gold",
            f"To {len(ids)} of {n} questions at least {SYSTEMS} systems of at least {MODELS} models give the same answer, which is not "
            f"gold{chance}: look at these questions, since gold may be wrong or the question ambiguous.",
            {"n": n, "disputed": len(ids), "expected": expected, "systems": SYSTEMS, "models": MODELS, "ids": few(ids, LISTED)},
        )
    ]  # fmt: skip


def _agree(task: Task, answers: Sequence[tuple[str, str]]) -> bool:
    """Whether enough systems, of enough models, give one answer."""
    if len(answers) < SYSTEMS:
        return False
    same: list[tuple[str, list[str]]] = []
    for answer, model in answers:
        models = next((of for other, of in same if other == answer or task.equivalent(other, answer)), None)
        if models is None:
            same.append((answer, [model]))
        else:
            models.append(model)
    return any(len(of) >= SYSTEMS and len(set(of)) >= MODELS for _, of in same)


def _by_chance(evidence: Evidence) -> float:
    """The expected number of disputed questions if each system answers independently of the others, each label as often as it
    does to questions of the same gold; the number of models is left aside."""
    golds = Counter(example["gold"] for example in evidence.questions)
    answers: dict[str, list[Counter[str | None]]] = {gold: [] for gold in golds}
    for one in evidence.evaluated:
        of_gold: dict[str, Counter[str | None]] = defaultdict(Counter)
        for row in evidence.rows(one):
            of_gold[str(row["gold"])][row["answer"]] += 1
        for gold in golds:
            answers[gold].append(of_gold[gold])
    expected = 0.0
    for gold, n in golds.items():
        wrong = {answer for of in answers[gold] for answer in of if answer is not None and answer != gold}
        for answer in wrong:
            rates = [of[answer] / of.total() if of else 0.0 for of in answers[gold]]
            expected += n * _at_least(SYSTEMS, rates)
    return expected


def _at_least(k: int, rates: Sequence[float]) -> float:
    """The probability that at least ``k`` of independent events with these probabilities happen."""
    exactly = [1.0] + [0.0] * (k - 1)  # of 0 to k - 1 events
    for rate in rates:
        for i in range(k - 1, -1, -1):
            exactly[i] = exactly[i] * (1 - rate) + (exactly[i - 1] * rate if i else 0.0)
    return max(0.0, 1.0 - sum(exactly))
