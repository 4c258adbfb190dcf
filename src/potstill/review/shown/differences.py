"""What differs between two texts, word by word."""

import re
from difflib import SequenceMatcher
from functools import lru_cache

from markupsafe import Markup, escape

MAX_PIECES = 3_000
"""Words and spaces of a text that are compared; what comes after them is not marked."""
_PIECE = re.compile(r"\s+|\w+|[^\w\s]")


@lru_cache(maxsize=128)
def differences(first: str, second: str) -> tuple[Markup, Markup]:
    """Both texts as HTML, with ``<mark>`` around the words that the other one does not have at that place."""
    pieces = [_PIECE.findall(text) for text in (first, second)]
    rest = ["".join(of_text[MAX_PIECES:]) for of_text in pieces]
    a, b = (of_text[:MAX_PIECES] for of_text in pieces)
    marked: tuple[list[Markup], list[Markup]] = ([], [])
    for kind, i, j, k, m in SequenceMatcher(None, a, b).get_opcodes():
        for out, piece in zip(marked, ("".join(a[i:j]), "".join(b[k:m])), strict=True):
            out.append(
                escape(piece) if kind == "equal" or not piece.strip() else Markup("<mark>{}</mark>").format(piece)
            )
    left, right = (Markup("").join(out) + escape(end) for out, end in zip(marked, rest, strict=True))
    return left, right
