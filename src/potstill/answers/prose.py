"""What can be counted in a text of several sentences: overlap, density, repetition, and what its source lacks.

None of these decides which of two summaries is better; they show where to look.
"""

import re
from collections import Counter
from collections.abc import Sequence

_WORD = re.compile(r"[a-z0-9]+")
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_NAME = re.compile(r"(?:[A-Z][\w'’.&-]*[\w&])(?:\s+(?:of|the|de|van|von|&)\s+(?=[A-Z])|\s+(?=[A-Z]))?", re.UNICODE)
_NUMBER = re.compile(r"(?<!\w)[$€£¥]?(?:\d[\d,.:/-]*\d|\d)%?")
_OPENINGS = """
i a an the he she it we they you this that these those there here his her its their our my your no not yes all some on in
at by for from with after before when while if as to and but or nor so then since until during because although both each
every many most one two three what who how why where which is are was were do does did can could
"""
_COMMON = frozenset(_OPENINGS.split())
"""Words that open a sentence with a capital and are no part of a name."""
LONGEST_WORDS = 3000
"""Words that the longest common subsequence looks at; its time grows with their square."""


def words(text: str) -> list[str]:
    """Lower-case runs of letters and digits, as ROUGE reads a text (Lin 2004, ACL W04-1013)."""
    return _WORD.findall(text.lower())


def rouge_n(reference: str, said: str, n: int) -> float:
    """ROUGE-N as F1: shared runs of n words."""
    a, b = (Counter(zip(*(w[i:] for i in range(n)), strict=False)) for w in (words(reference), words(said)))
    return _f1(sum((a & b).values()), sum(a.values()), sum(b.values()))


def rouge_l(reference: str, said: str) -> float:
    """ROUGE-L as F1: the longest common subsequence of words, in the whole text."""
    a, b = words(reference)[:LONGEST_WORDS], words(said)[:LONGEST_WORDS]
    return _f1(_common(a, b), len(a), len(b))


def repetition(text: str) -> float:
    """Part of the runs of three words that were there before."""
    said = words(text)
    runs = list(zip(said, said[1:], said[2:], strict=False))
    return 1 - len(set(runs)) / len(runs) if runs else 0.0


def entities(text: str) -> list[str]:
    """Names and numbers, by a rule that needs no model: capitalized words in a row, but a sentence's first word only where
    it is capitalized elsewhere too or a second follows, and numbers with what belongs to them."""
    elsewhere: Counter[str] = Counter()
    found: list[tuple[str, bool]] = []
    for sentence in _SENTENCE.split(text):
        opening = len(sentence) - len(sentence.lstrip("\"'“‘(*- \t"))
        for start, name in _runs(sentence):
            first = start <= opening
            found.append((name, first and " " not in name))
            elsewhere[name] += not first
    names = [name for name, lone in found if not lone or elsewhere[name]]
    return [n for n in names if n.lower() not in _COMMON] + _NUMBER.findall(text)


def density(text: str) -> float:
    """Entities for each word (Adams et al. 2023, arXiv 2309.04269, who count tokens, and entities by spaCy)."""
    return len(entities(text)) / max(1, len(text.split()))


def unsupported(source: str, said: str) -> list[str]:
    """Names and numbers of a text that its source does not hold."""
    there = words(source)
    parts = [(entity, tuple(words(entity))) for entity in entities(said)]
    held = {n: set(zip(*(there[i:] for i in range(n)), strict=False)) for n in {len(part) for _, part in parts}}
    return [entity for entity, part in parts if part and part not in held[len(part)]]


def _runs(sentence: str) -> list[tuple[int, str]]:
    """Capitalized words in a row, with their places."""
    runs: list[tuple[int, str]] = []
    end = -1
    for match in _NAME.finditer(sentence):
        if runs and match.start() == end:
            runs[-1] = (runs[-1][0], runs[-1][1] + match[0])
        else:
            runs.append((match.start(), match[0]))
        end = match.end()
    return [_without_opening(start, name.strip()) for start, name in runs]


def _without_opening(start: int, name: str) -> tuple[int, str]:
    first, _, rest = name.partition(" ")
    return (start + len(first) + 1, rest) if rest and first.lower() in _COMMON else (start, name)


def _f1(shared: int, in_reference: int, in_said: int) -> float:
    return 2 * shared / (in_reference + in_said) if shared else 0.0


def _common(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest common subsequence, by the bits of whole numbers (Allison and Dix 1986, IPL 23:305)."""
    places: dict[str, int] = {}
    for i, word in enumerate(a):
        places[word] = places.get(word, 0) | 1 << i
    row = 0
    for word in b:
        x = row | places.get(word, 0)
        row = x & ~(x - (row << 1 | 1))
    return row.bit_count()
