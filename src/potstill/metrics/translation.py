"""BLEU, chrF and TER, by the library sacrebleu, of a corpus: answers, each with all of its references."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric

References = Sequence[Sequence[str]]
"""For each answer one or more references."""
MAX_CHARACTERS = 100_000
"""Characters of a text that BLEU and chrF use."""
MAX_TER_WORDS = 100
"""Words of a text that TER uses: its search for shifts takes cubic time."""


def bleu(answers: Sequence[str], references: References, *, tokenize: str | None = None) -> float:
    """Corpus BLEU, 0 to 100 (Papineni et al. 2002, ACL P02-1040; Post 2018, arXiv 1804.08771).

    tokenize: sacrebleu's name of a tokenizer, such as `zh` or `ja-mecab`; left out: its default, `13a`. Raises `ValueError` for no
    answers, and where an answer has no reference with any text.
    """
    from sacrebleu.metrics.bleu import BLEU

    return _score(BLEU(tokenize=tokenize), *_cut(answers, references))


def bleu_precision(answer: str, references: Sequence[str], n: int) -> float:
    """The part of BLEU that n-grams of one length have, 0 to 1: their modified precision, times the brevity penalty, unsmoothed
    (Papineni et al. 2002, section 2.2). Raises `ValueError` as `bleu` does, and for an n that is not 1 to 4."""
    from sacrebleu.metrics.bleu import BLEU

    if not 1 <= n <= 4:
        raise ValueError(f"n is {n}; it must be 1 to 4")
    scored: Any = BLEU(smooth_method="none").corpus_score(*_streams(*_cut([answer], [references])))
    return float(scored.precisions[n - 1] / 100 * scored.bp)


def chrf(answers: Sequence[str], references: References, *, word_order: int = 0) -> float:
    """Corpus chrF, 0 to 100 (Popović 2015, ACL W15-3049); with ``word_order=2`` chrF++ (Popović 2017, ACL W17-4770).

    Raises `ValueError` as `bleu` does.
    """
    from sacrebleu.metrics.chrf import CHRF

    return _score(CHRF(word_order=word_order), *_cut(answers, references))


def ter(answers: Sequence[str], references: References) -> float:
    """Corpus translation edit rate, 0 for equal texts, which may be above 100 (Snover et al. 2006, AMTA), of the first
    `MAX_TER_WORDS` words of each text. Raises `ValueError` as `bleu` does."""
    from sacrebleu.metrics.ter import TER

    def first_words(text: str) -> str:
        return " ".join(text[:MAX_CHARACTERS].split()[:MAX_TER_WORDS])

    cut = [list(map(first_words, of_one)) for of_one in references]
    return _score(TER(), list(map(first_words, answers)), cut)


def _cut(answers: Sequence[str], references: References) -> tuple[list[str], list[list[str]]]:
    cut = [[text[:MAX_CHARACTERS] for text in of_one] for of_one in references]
    return [text[:MAX_CHARACTERS] for text in answers], cut


def _score(metric: "Metric", answers: list[str], references: list[list[str]]) -> float:
    return float(metric.corpus_score(*_streams(answers, references)).score)


def _streams(answers: list[str], references: list[list[str]]) -> tuple[list[str], Any]:
    """What sacrebleu takes: streams of references, each with one for every answer, None where an answer has fewer."""
    if not answers or len(answers) != len(references):
        raise ValueError(
            f"references are for {len(references)} answers, and there are {len(answers)}; at least one is needed"
        )
    known = [[text for text in of_one if text.strip()] for of_one in references]
    if without := [i for i, of_one in enumerate(known) if not of_one]:
        raise ValueError(f"references[{without[0]}] has no text")
    most = max(map(len, known))
    return answers, [[of_one[i] if i < len(of_one) else None for of_one in known] for i in range(most)]
