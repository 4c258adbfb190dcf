"""One spelling for texts that differ only in how their characters are encoded or typed.

Labels, options, exact answers and JSON values are compared in this spelling. Linear time.
"""

import re
import unicodedata
from functools import lru_cache
from itertools import groupby

PUNCTUATION = ".,;:!?\"'`*。，！？ \t\n"
_SAFE_DECOMPOSITIONS = frozenset(
    f"<{kind}>"
    for kind in ("wide", "narrow", "compat", "font", "noBreak", "initial", "medial", "final", "isolated", "small", "vertical")
)  # fmt: skip
"""Of the compatibility decompositions (UAX #15) those that keep the meaning. In <super>, <sub> and <fraction>, 10² would be
102."""
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2043\u02d7\ufe58\ufe63\uff0d"
_APOSTROPHES = "\u2018\u2019\u201a\u201b\u2032\u02bc\u02b9\u02bb\u00b4\u0060\u2039\u203a\uff07"
_QUOTES = "\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb\u300c\u300d\u300e\u300f\uff02"
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufe00-\ufe0f\ufeff]"
)
_SAME = (
    dict.fromkeys(map(ord, _DASHES), "-")
    | dict.fromkeys(map(ord, _APOSTROPHES), "'")
    | dict.fromkeys(map(ord, _QUOTES), '"')
)
_MAX_MARKS = 30
"""Combining marks that one letter keeps (UAX #15, stream-safe text); normalizing more takes quadratic time."""


def fold(text: str) -> str:
    """The text in lower case with single spaces, ASCII quotes and dashes, composed letters, without invisible characters.

    Full-width and other compatibility characters become the plain ones where that keeps the meaning. The Turkish İ and ı are i.
    """
    text = text.replace("`", "'")
    if not text.isascii():
        text = _fold_unicode(text)
    return " ".join(text.casefold().split())


def fold_words(text: str) -> str:
    """The folded text without punctuation around it."""
    return fold(text).strip(PUNCTUATION)


def _fold_unicode(text: str) -> str:
    text = _compose(_INVISIBLE.sub("", text)).translate(_SAME)
    text = "".join(c if c.isascii() else _plain(c) for c in text)
    text = _compose(text.casefold()).replace("i\u0307", "i").replace("ı", "i")
    return text.translate(_SAME)


def _compose(text: str) -> str:
    """The text in NFC."""
    if unicodedata.is_normalized("NFC", text):
        return text
    return unicodedata.normalize("NFC", _with_few_marks(text))


def _with_few_marks(text: str) -> str:
    pieces = groupby(text, lambda c: not c.isascii() and unicodedata.combining(c) > 0)
    return "".join("".join(piece)[: _MAX_MARKS if are_marks else None] for are_marks, piece in pieces)


@lru_cache(maxsize=4096)
def _plain(c: str) -> str:
    """A character without its typographic variant: full-width, ligature, presentation form."""
    kind = unicodedata.decomposition(c).partition(" ")[0]
    return unicodedata.normalize("NFKC", c) if kind in _SAFE_DECOMPOSITIONS else c
