"""Names and numbers of a text, their density, and those that its source does not have."""

import re
from collections import Counter

import regex

from potstill.metrics.splitting import word_count, words

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
