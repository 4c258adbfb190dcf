"""ROUGE, by the library rouge-score, over the words of any script."""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from potstill.metrics.splitting import words

if TYPE_CHECKING:
    from rouge_score.rouge_scorer import RougeScorer

KINDS = ("rouge1", "rouge2", "rougeL")
MAX_LCS_WORDS = 1000
"""Words of each text that a longest common subsequence uses: its time is quadratic."""


def rouge(answer: str, reference: str, kinds: Sequence[str] = KINDS) -> dict[str, float]:
    """F1 of each kind (Lin 2004, ACL W04-1013): `rouge1` to `rouge9`, shared n-grams of words; `rougeL`, the longest common
    subsequence of words; `rougeLsum`, its union over lines. 0 where a text has no words.

    The words are those of `potstill.metrics.words`, which for ASCII are the library's own (without a stemmer). `rougeL` and
    `rougeLsum` use the first `MAX_LCS_WORDS` words of each text.
    """
    scored: dict[str, float] = {}
    for kind in kinds:
        lcs = kind.startswith("rougeL")
        pair = (_first_words(reference), _first_words(answer)) if lcs else (reference, answer)
        scored[kind] = float(_scorer(kind).score(*pair)[kind].fmeasure)
    return scored


class _Words:
    """What rouge-score takes as a tokenizer."""

    def tokenize(self, text: str) -> list[str]:
        return words(text)


@cache
def _scorer(kind: str) -> "RougeScorer":
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer([kind], tokenizer=_Words())


def _first_words(text: str) -> str:
    """The lines of a text up to its first `MAX_LCS_WORDS` words; a line that is cut is written as its words."""
    if len(text) <= MAX_LCS_WORDS:  # no text has more words than characters
        return text
    lines, left = [], MAX_LCS_WORDS
    for line in text.split("\n"):
        split = words(line)
        if len(split) > left:
            lines.append(" ".join(split[:left]))
            break
        lines.append(line)
        left -= len(split)
    return "\n".join(lines)
