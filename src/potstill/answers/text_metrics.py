"""Metrics of a text of several sentences: overlap with a reference, entity density, repetition, unsupported entities.

None of these decides which of two summaries is better; they are descriptive. Words are those of any script; of a text in ASCII
they are the tokens of ROUGE.
"""

import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

import regex

_ASCII_WORD = re.compile(r"[a-z0-9]+")
_UNSPACED_LETTERS = r"\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_UNSPACED = regex.compile(rf"[\p{{Han}}{_UNSPACED_LETTERS}]")
_WORD = regex.compile(
    rf"(?P<ideograph>\p{{Han}}\p{{M}}*+)|(?P<run>[{_UNSPACED_LETTERS}][{_UNSPACED_LETTERS}\p{{M}}]*+)"
    rf"|(?:(?![\p{{Han}}{_UNSPACED_LETTERS}])[\p{{L}}\p{{N}}\p{{M}}])++"
)
_CHARACTER = regex.compile(r"\P{M}\p{M}*+|\p{M}++")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]")
_CASED = regex.compile(r"(?!\p{Georgian})[\p{Lu}\p{Ll}\p{Lt}]")  # Georgian begins no word with a capital
_LETTER = regex.compile(r"\p{L}")
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_NAME = regex.compile(r"(?:\p{Lu}[\w\p{M}'’.&-]*[\w\p{M}&])(?:\s+(?:of|the|de|van|von|&)\s+(?=\p{Lu})|\s+(?=\p{Lu}))?")
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
    """The words of a text, folded in case, without punctuation; of ASCII the tokens of ROUGE (Lin 2004, ACL W04-1013).

    A word is a run of letters, digits and combining marks. Scripts without spaces between words have no words to find without a
    dictionary: each Han character is one (as in ROUGE for Chinese, Hu et al. 2015, LCSTS, arXiv 1506.05865), and of kana, Thai,
    Lao, Khmer and Burmese each pair of neighbouring characters, as in retrieval (Nie et al. 2000, 10.1145/355214.355235), because
    any two texts share single letters. A text without letters and digits consists of its signs.
    """
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    folded = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text).casefold())
    found: list[str] = []
    for match in _WORD.finditer(folded):
        if match["run"]:
            characters = _CHARACTER.findall(match[0])
            pairs = [a + b for a, b in itertools.pairwise(characters)]
            found += pairs or characters
        else:
            found.append(match[0])
    return found or _CHARACTER.findall("".join(folded.split()))


def word_count(text: str) -> int:
    """The number of pieces between spaces; of scripts without spaces between words each character counts."""
    pieces = len(text.split())
    if text.isascii() or not (unspaced := len(_UNSPACED.findall(text))):
        return pieces
    return len(_UNSPACED.sub(" ", text).split()) + unspaced


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


def has_entities(text: str) -> bool:
    """Whether the rule of `entities` works for a text: at least half of its letters have a case."""
    if text.isascii():
        return True
    letters = len(_LETTER.findall(text))
    return letters == 0 or 2 * len(_CASED.findall(text)) >= letters


def entity_density(text: str) -> float | None:
    """Entities per word (Adams et al. 2023, arXiv 2309.04269, who count tokens, and entities by spaCy); None for a script without
    capitals."""
    return len(entities(text)) / max(1, word_count(text)) if has_entities(text) else None


def unsupported_entities(source: str, text: str) -> list[str] | None:
    """Names and numbers of a text that its source does not contain; None for a script without capitals."""
    if not has_entities(text):
        return None
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
