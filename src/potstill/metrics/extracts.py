"""How much of a summary is copied from its source."""

from dataclasses import dataclass

from potstill.metrics.splitting import tokens


@dataclass(frozen=True)
class Extractiveness:
    """coverage: fraction of the summary's tokens that are in copied fragments. density: mean length, in tokens, of the fragment
    that a token of the summary is in. compression: tokens of the source for each of the summary."""

    coverage: float
    density: float
    compression: float


def extractiveness(summary: str, source: str) -> Extractiveness:
    """Coverage, density and compression (Grusky, Naaman and Artzi 2018, Newsroom, arXiv 1804.11283, equations 1 to 3).

    Fragments are found from left to right, each the longest run of tokens that the source has too. Time is linear in the length
    of both. All are 0 for a summary without tokens.
    """
    split, of_source = tokens(summary), tokens(source)
    if not split:
        return Extractiveness(0.0, 0.0, 0.0)
    runs = _Runs(of_source)
    fragments, start = [], 0
    while start < len(split):
        length = runs.longest(split, start)
        fragments.append(length)
        start += max(length, 1)
    return Extractiveness(
        coverage=sum(fragments) / len(split),
        density=sum(length**2 for length in fragments) / len(split),
        compression=len(of_source) / len(split),
    )


class _Runs:
    """All runs of tokens of a text, as the suffix automaton (Blumer et al. 1985, Theor. Comput. Sci. 40:31)."""

    def __init__(self, text: list[str]) -> None:
        self._next: list[dict[str, int]] = [{}]
        self._link, self._length, self._last = [-1], [0], 0
        for token in text:
            self._extend(token)

    def longest(self, text: list[str], start: int) -> int:
        """The length of the longest run that begins at ``start`` of another text."""
        state, end = 0, start
        while end < len(text) and (following := self._next[state].get(text[end])) is not None:
            state, end = following, end + 1
        return end - start

    def _extend(self, token: str) -> None:
        new = self._add(self._length[self._last] + 1, {})
        state, self._last = self._last, new
        while state >= 0 and token not in self._next[state]:
            self._next[state][token] = new
            state = self._link[state]
        if state < 0:
            self._link[new] = 0
            return
        target = self._next[state][token]
        if self._length[target] == self._length[state] + 1:
            self._link[new] = target
            return
        clone = self._add(self._length[state] + 1, dict(self._next[target]))
        self._link[clone] = self._link[target]
        self._link[target] = self._link[new] = clone
        while state >= 0 and self._next[state].get(token) == target:
            self._next[state][token] = clone
            state = self._link[state]

    def _add(self, length: int, following: dict[str, int]) -> int:
        self._next.append(following)
        self._link.append(0)
        self._length.append(length)
        return len(self._next) - 1
