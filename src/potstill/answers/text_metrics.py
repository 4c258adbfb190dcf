"""Metrics of a text of several sentences: overlap with a reference, entity density, repetition, unsupported entities.

None of these decides which of two summaries is better; they are descriptive.
"""

import re
from collections import Counter
from collections.abc import Sequence

_WORD = re.compile(r"[a-z0-9]+")
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_NAME = re.compile(r"(?:[A-Z][\w'’.&-]*[\w&])(?:\s+(?:of|the|de|van|von|&)\s+(?=[A-Z])|\s+(?=[A-Z]))?", re.UNICODE)
_NUMBER = re.compile(r"(?<!\w)[$€£¥]?(?:\d[\d,.:/-]*\d|\d)%?")
_NOT_NAMES_TEXT = """
i a an the he she it we they you this that these those there here his her its their our my your no not yes all some on in
at by for from with after before when while if as to and but or nor so then since until during because although both each
every many most one two three what who how why where which is are was were do does did can could
"""
_NOT_NAMES = frozenset(_NOT_NAMES_TEXT.split())
"""Words that may open a sentence with a capital and are never part of a name."""
MAX_LCS_WORDS = 3000
"""Words per text that the longest common subsequence uses; its time is quadratic."""


def words(text: str) -> list[str]:
    """Lower-case runs of ASCII letters and digits, the tokens of ROUGE (Lin 2004, ACL W04-1013)."""
    return _WORD.findall(text.lower())


def rouge_n(reference: str, candidate: str, n: int) -> float:
    """ROUGE-N as F1: shared n-grams of words."""
    a, b = (Counter(zip(*(w[i:] for i in range(n)), strict=False)) for w in (words(reference), words(candidate)))
    return _f1(sum((a & b).values()), sum(a.values()), sum(b.values()))


def rouge_l(reference: str, candidate: str) -> float:
    """ROUGE-L as F1: the longest common subsequence of words, over the complete text."""
    a, b = words(reference)[:MAX_LCS_WORDS], words(candidate)[:MAX_LCS_WORDS]
    return _f1(_lcs_length(a, b), len(a), len(b))


def repetition(text: str) -> float:
    """Fraction of the trigrams of words that repeat an earlier one."""
    tokens = words(text)
    trigrams = list(zip(tokens, tokens[1:], tokens[2:], strict=False))
    return 1 - len(set(trigrams)) / len(trigrams) if trigrams else 0.0


def entities(text: str) -> list[str]:
    """Names and numbers, by a rule that needs no model: consecutive capitalized words, and numbers with their unit signs.

    The first word of a sentence counts only if a second capitalized word follows or it is capitalized elsewhere too.
    """
    elsewhere: Counter[str] = Counter()
    candidates: list[tuple[str, bool]] = []
    for sentence in _SENTENCE.split(text):
        opening = len(sentence) - len(sentence.lstrip("\"'“‘(*- \t"))
        for start, name in _capitalized_runs(sentence):
            opens_sentence = start <= opening
            candidates.append((name, opens_sentence and " " not in name))
            elsewhere[name] += not opens_sentence
    names = [name for name, ambiguous in candidates if not ambiguous or elsewhere[name]]
    return [n for n in names if n.lower() not in _NOT_NAMES] + _NUMBER.findall(text)


def entity_density(text: str) -> float:
    """Entities per word (Adams et al. 2023, arXiv 2309.04269, who count tokens, and entities by spaCy)."""
    return len(entities(text)) / max(1, len(text.split()))


def unsupported_entities(source: str, text: str) -> list[str]:
    """Names and numbers of a text that its source does not contain."""
    source_words = words(source)
    tokenized = [(entity, tuple(words(entity))) for entity in entities(text)]
    lengths = {len(tokens) for _, tokens in tokenized}
    n_grams = {n: set(zip(*(source_words[i:] for i in range(n)), strict=False)) for n in lengths}
    return [entity for entity, tokens in tokenized if tokens and tokens not in n_grams[len(tokens)]]


def _capitalized_runs(sentence: str) -> list[tuple[int, str]]:
    """Runs of capitalized words, with their start indices."""
    runs: list[tuple[int, str]] = []
    end = -1
    for match in _NAME.finditer(sentence):
        if runs and match.start() == end:
            runs[-1] = (runs[-1][0], runs[-1][1] + match[0])
        else:
            runs.append((match.start(), match[0]))
        end = match.end()
    return [_without_opening_word(start, name.strip()) for start, name in runs]


def _without_opening_word(start: int, name: str) -> tuple[int, str]:
    first, _, rest = name.partition(" ")
    return (start + len(first) + 1, rest) if rest and first.lower() in _NOT_NAMES else (start, name)


def _f1(shared: int, in_reference: int, in_candidate: int) -> float:
    return 2 * shared / (in_reference + in_candidate) if shared else 0.0


def _lcs_length(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest common subsequence, bit-parallel with integers (Allison and Dix 1986, IPL 23:305)."""
    positions: dict[str, int] = {}
    for i, word in enumerate(a):
        positions[word] = positions.get(word, 0) | 1 << i
    row = 0
    for word in b:
        x = row | positions.get(word, 0)
        row = x & ~(x - (row << 1 | 1))
    return row.bit_count()
