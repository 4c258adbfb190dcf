"""What depends on the length of an answer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import exp, isfinite, log

import numpy as np

from potstill import stats
from potstill.metrics.splitting import word_count
from potstill.stages.evaluate.outcome import Outcome
from potstill.stages.evaluate.pitfalls.evidence import ENOUGH, Evidence
from potstill.stages.evaluate.pitfalls.paired import adjusted
from potstill.stages.evaluate.pitfalls.pitfall import Pitfall
from potstill.stages.evaluate.pitfalls.texts import MAX_CHARACTERS
from potstill.stages.evaluate.summary import Evaluated
from potstill.tasks import PLAIN

STRONG, SOME = 0.5, 0.3
"""Rank correlations that are reported: a large one, and, where a judge or an overlap gives the scores, a medium one (Cohen 1988,
Statistical Power Analysis, section 3.2). Of answers that a rule compares with gold, the wrong ones are often longer because
harder questions take longer."""
FACTOR = 2.0
"""The student's answers are much longer or shorter if they have this many times the words that it was trained on, or the words
of one have this many times theirs."""


@dataclass(frozen=True)
class _Dependence:
    system: str
    score: str
    correlation: float
    p_value: float
    n: int


def lengths(evidence: Evidence) -> list[Pitfall]:
    """Whether correctness or, without gold, the scores depend on the number of words, and whether the student writes as much as
    it was trained to."""
    return [*_dependence(evidence), *_as_trained(evidence)]


def _dependence(evidence: Evidence) -> list[Pitfall]:
    """Spearman's rank correlation of score and words within each system, of at least `STRONG` or `SOME`, with a p-value below
    1 - confidence that is adjusted for all systems and scores (Benjamini and Hochberg). Texts without an answer, which are often
    cut or empty, do not count."""
    tested = [one for of in evidence.told for one in _correlations(evidence, of)]
    least = STRONG if evidence.decided and not evidence.task.judged else SOME
    p_values = adjusted([one.p_value for one in tested], len(tested))
    level = 1 - evidence.options.confidence
    found = [one for one, p in zip(tested, p_values, strict=True) if p < level and abs(one.correlation) >= least]
    if not found:
        return []
    found.sort(key=lambda one: -abs(one.correlation))
    strongest = found[0]
    direction = "Longer" if strongest.correlation > 0 else "Shorter"
    more = f", and {len(found) - 1} more depend on it" if len(found) > 1 else ""
    better = "more often correct" if strongest.score == "correct" else f"scored higher in {strongest.score}"
    return [
        Pitfall(
            "length-bias",
            f"{direction} answers of {strongest.system} are {better} (rank correlation with the number of words "
            f"{strongest.correlation:+.2f} over {strongest.n} answers){more}: compare answers of similar length before you believe the score.",
            {
                "tests": len(tested),
                "least": least,
                "depend": [
                    {
                        "system": one.system,
                        "score": one.score,
                        "correlation": one.correlation,
                        "p_value": one.p_value,
                        "n": one.n,
                    }
                    for one in found
                ],
            },
        )
    ]


def _correlations(evidence: Evidence, one: Evaluated) -> Iterator[_Dependence]:
    rows = [row for row in evidence.rows(one) if row["answer"] is not None]
    words = [float(word_count(row["text"][:MAX_CHARACTERS])) for row in rows]
    groups = [row["group"] for row in rows]
    if evidence.decided:
        scores = {"correct": [float(row["outcome"] == Outcome.CORRECT) for row in rows]}
    else:
        names = dict.fromkeys(name for row in rows for name in row["scores"])
        told = [name for name in names if name not in evidence.task.descriptive_scores]
        scores = {name: [_number(row["scores"].get(name)) for row in rows] for name in told}
    for name, values in scores.items():
        known = [i for i, value in enumerate(values) if isfinite(value)]
        found = rank_correlation([words[i] for i in known], [values[i] for i in known], [groups[i] for i in known])
        if found is not None:
            yield _Dependence(one.system.name, name, *found, len(known))


def rank_correlation(a: Sequence[float], b: Sequence[float], groups: Sequence[str]) -> tuple[float, float] | None:
    """Spearman's correlation of two values [answers] (Spearman 1904, Am. J. Psychol. 15:72) and the p-value of none.

    It is the mean product of the standardized ranks, ties having their mean rank, and is tested as such, by t with the CR2 error
    of that mean, so that answers to questions of one group may resemble each other (`potstill.stats.clustered_difference`). None
    below `ENOUGH` values, or where one of the two does not vary.
    """
    from scipy.stats import rankdata

    if len(a) < ENOUGH or len(set(a)) < 2 or len(set(b)) < 2:
        return None
    products = np.ones(len(a))
    for values in (a, b):
        ranks = rankdata(values)
        products *= (ranks - ranks.mean()) / ranks.std()
    tested = stats.clustered_difference(products, np.zeros(len(a)), groups)
    return float(products.mean()), max(tested.p_value, tested.sign_flip_p_value or 0.0)


def _as_trained(evidence: Evidence) -> list[Pitfall]:
    """Whether the words of the student's answers to its own prompt, and of the completions that it was trained on, differ by
    `FACTOR` in their geometric means, with intervals that do not overlap. An empty answer counts as one word."""
    completions = [text for text in evidence.training.completions if text.strip()]
    trained = [_log_words(text) for text in completions]
    for one in evidence.students():
        if one.system.prompting is not PLAIN.prompting:
            continue
        written = [_log_words(row["text"]) for row in evidence.rows(one)]
        if min(len(trained), len(written)) < ENOUGH:
            continue
        (of_student, *interval), (of_training, *other) = (
            stats.mean_interval(values, evidence.options.confidence) for values in (written, trained)
        )
        apart = interval[0] > other[1] or interval[1] < other[0]
        if apart and abs(of_student - of_training) >= log(FACTOR):
            much = "longer" if of_student > of_training else "shorter"
            return [
                Pitfall(
                    "answer-length",
                    f"The answers of {one.system.name} have {exp(of_student):.0f} words (geometric mean of {len(written)}), and those that it was "
                    f"trained on {exp(of_training):.0f}, so that they are much {much}: read some, for loops, cut reasoning or another "
                    "form than that of training.",
                    {"system": one.system.name, "words": exp(of_student), "n": len(written), "words_trained_on": exp(of_training),
                     "n_trained_on": len(trained), "factor": FACTOR},
                )
            ]  # fmt: skip
    return []


def _log_words(text: str) -> float:
    return log(max(1, word_count(text[:MAX_CHARACTERS])))


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
