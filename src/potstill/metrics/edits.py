"""How many words and marks must be changed to make the reference out of an answer, and how long both are the same."""

from itertools import takewhile

from potstill.metrics.splitting import tokens

MAX_TOKENS = 20_000
"""Tokens of each text that an edit distance uses: its time is quadratic, divided by the bits of a machine word."""


def edit_distance(answer: str, reference: str) -> int:
    """Insertions, deletions and substitutions of tokens (Levenshtein 1966); of the first `MAX_TOKENS` of each text."""
    return _distance(tokens(answer)[:MAX_TOKENS], tokens(reference)[:MAX_TOKENS])


def edit_similarity(answer: str, reference: str) -> float:
    """1 - distance / tokens of the longer text (Lee et al. 2022, arXiv 2107.06499, section 4); 0 where one has none."""
    a, b = tokens(answer)[:MAX_TOKENS], tokens(reference)[:MAX_TOKENS]
    return 1 - _distance(a, b) / max(len(a), len(b)) if a and b else 0.0


def common_prefix(answer: str, reference: str) -> int:
    """Tokens at the start that both texts have."""
    pairs = zip(tokens(answer), tokens(reference), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _distance(a: list[str], b: list[str]) -> int:
    """Bit-parallel, a column at once, with one integer (Hyyrö 2003, PSC; after Myers 1999, J. ACM 46:395)."""
    if not a or not b:
        return max(len(a), len(b))
    positions: dict[str, int] = {}
    for i, token in enumerate(a):
        positions[token] = positions.get(token, 0) | 1 << i
    every, last = (1 << len(a)) - 1, 1 << (len(a) - 1)
    higher, lower, distance = every, 0, len(a)  # where the next cell of a column is one more, one less
    for token in b:
        changed = positions.get(token, 0) | lower
        diagonal = ((((changed & higher) + higher) ^ higher) | changed) & every
        right_more, right_less = lower | (every & ~(higher | diagonal)), higher & diagonal
        distance += bool(right_more & last) - bool(right_less & last)
        right_more, right_less = (right_more << 1 | 1) & every, (right_less << 1) & every
        higher, lower = right_less | (every & ~(right_more | diagonal)), right_more & diagonal
    return distance
