"""Whether an answer is the reference, and how many words they share."""

import re
import string
from collections import Counter
from collections.abc import Callable
from typing import Literal

Normalize = Callable[[str], str]
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def exact_match(
    answer: str,
    reference: str,
    *,
    where: Literal["full", "prefix", "suffix"] = "full",
    strip: bool = True,
    normalize: Normalize | None = None,
) -> float:
    """1 if the answer is the reference, begins with it (`prefix`) or ends with it (`suffix`), otherwise 0.

    An empty answer matches an empty reference alone. strip: leave out the space around both. normalize: applied to both, as
    `normalize_squad`. Raises `ValueError` for an unknown ``where``.
    """
    if where not in ("full", "prefix", "suffix"):
        raise ValueError(f"where is {where!r}; it must be full, prefix or suffix")
    answer, reference = (_normal(text, strip, normalize) for text in (answer, reference))
    if where == "full" or not answer or not reference:
        return float(answer == reference)
    return float(answer.startswith(reference) if where == "prefix" else answer.endswith(reference))


def token_f1(answer: str, reference: str, *, normalize: Normalize | None = None, distinct: bool = False) -> float:
    """F1 of the tokens between spaces that both texts have (Rajpurkar et al. 2016, arXiv 1606.05250, section 6.1).

    A token counts as often as it occurs in both; with ``distinct`` once, as in DROP and in lighteval. 1 for two empty texts, 0
    where one is empty. normalize: applied to both, as `normalize_squad`.
    """
    split = [_normal(text, False, normalize).split() for text in (answer, reference)]
    a, b = (Counter(set(tokens) if distinct else tokens) for tokens in split)
    if not a or not b:
        return float(a == b)
    return 2 * (a & b).total() / (a.total() + b.total())


def normalize_squad(text: str) -> str:
    """Lower case, without punctuation, English articles and further space (Rajpurkar et al. 2016, the evaluation script)."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def _normal(text: str, strip: bool, normalize: Normalize | None) -> str:
    text = text.strip() if strip else text
    return normalize(text) if normalize else text
