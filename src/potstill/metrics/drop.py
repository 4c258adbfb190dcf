"""The two scores of DROP: exact match and F1 of answers of one or several spans, in which numbers must agree."""

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_BETWEEN_TOKENS = re.compile("[ -]")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
MAX_SPANS = 100
"""Spans of an answer that are aligned: time is cubic in their number."""


@dataclass(frozen=True)
class Drop:
    """1 or 0; from 0 to 1."""

    exact_match: float
    f1: float


def drop_score(answer: str | Sequence[str], references: Sequence[str | Sequence[str]]) -> Drop:
    """The best exact match and the best F1 over the references that are not empty (Dua et al. 2019, ACL N19-1246, section 5).

    An answer or a reference is one span or several, of which the first `MAX_SPANS` count. F1 is that of the distinct tokens of
    each pair of spans in the best alignment, averaged over the larger number of spans and rounded to two decimals as in the
    evaluation script; it is 0 for a span whose reference has numbers of which it has none. 0 without a reference.
    """
    scores = [_score(_spans(answer), _spans(one)) for one in references if any(span.strip() for span in _spans(one))]
    return Drop(max((s.exact_match for s in scores), default=0.0), max((s.f1 for s in scores), default=0.0))


def normalize_drop(text: str) -> str:
    """Lower case, without punctuation and English articles, numbers in one form; tokens are parted at spaces and hyphens."""
    tokens = (_normalize_token(token) for token in _BETWEEN_TOKENS.split(text.lower()))
    return " ".join(token for token in tokens if token)


def _spans(answer: str | Sequence[str]) -> Sequence[str]:
    return [answer] if isinstance(answer, str) else answer[:MAX_SPANS]


def _score(answer: Sequence[str], reference: Sequence[str]) -> Drop:
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    normal = [[normalize_drop(span) for span in spans] for spans in (answer, reference)]
    a, b = ([frozenset(span.split()) for span in spans] for spans in normal)
    f1 = np.array([[_f1(one, other) for one in a] for other in b]).reshape(len(b), len(a))
    aligned = f1[linear_sum_assignment(-f1)].sum() / max(len(a), len(b))
    return Drop(float(set(normal[0]) == set(normal[1])), round(float(aligned), 2))


def _f1(answer: frozenset[str], reference: frozenset[str]) -> float:
    numbers = {token for token in reference if _is_number(token)}
    if numbers and not numbers & answer:
        return 0.0
    shared = len(answer & reference)
    precision = shared / len(answer) if answer else 1.0
    recall = shared / len(reference) if reference else 1.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _normalize_token(token: str) -> str:
    text = token if _is_number(token) else token.translate(_NO_PUNCTUATION)
    text = str(float(text)) if _is_number(text) else text
    return " ".join(_ARTICLES.sub(" ", text).split())


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
