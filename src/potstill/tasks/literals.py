"""Lists and records that a cell of a table holds as text: JSON, or as Python or numpy writes them.

`csv`, pandas and numpy write a list into a cell by `str`, so that `['a', 'b']`, `['a' 'b']` (numpy has no commas) and
`{'text': array(['a'], dtype=object)}` are usual.
"""

import ast
import json
import re
import warnings
from typing import Any

MAX_CHARACTERS = 200_000
"""Longest text that is read as Python's or numpy's; a cell is not longer."""
MAX_DEPTH = 60
_TOKEN = re.compile(
    r"\s*+(?:(?P<text>'(?:[^'\\]++|\\.)*+'|\"(?:[^\"\\]++|\\.)*+\")|(?P<call>(?:np\.|numpy\.)?\w++\()"
    r"|(?P<number>[-+]?(?:\d++(?:\.\d*+)?|\.\d++)(?:e[-+]?\d++)?)(?![\w.])|(?P<name>[A-Za-z_]\w*+)|(?P<mark>[\[\]{}(),:=]))",
    re.DOTALL | re.IGNORECASE,
)
_NAMES = {
    "True": "True",
    "False": "False",
    "None": "None",
    "true": "True",
    "false": "False",
    "null": "None",
    "nan": "None",
}
_CALLS = re.compile(r"(?:np\.|numpy\.)?(?:array|list|tuple|(?:str|bool|int|float)(?:_|\d{1,3})?)\(", re.IGNORECASE)
_DTYPE = re.compile(r"\s*=\s*[^()\[\]]{1,40}(?=\))")
_CLOSING = {"[": "]", "{": "}", "(": ")", "call": ")"}


def decode(value: Any) -> Any:
    """The list or record that a text writes; any other value unchanged. Never raises, takes linear time."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("[", "{", "(", "a"):
        return value
    try:
        decoded = json.loads(value)
    except (ValueError, RecursionError):
        decoded = _from_python(value) if len(value) <= MAX_CHARACTERS else None
    return decoded if isinstance(decoded, list | dict) else value


def _from_python(text: str) -> Any:
    """The value of Python's or numpy's writing; None for any other text."""
    if (source := _as_python(text.strip())) is None:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an escape such as "\d"
            value = ast.literal_eval(source)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    if isinstance(value, set):
        return sorted(value, key=str)
    return list(value) if isinstance(value, tuple) else value


def _as_python(text: str) -> str | None:
    """Python's writing of it: with commas where numpy has none, without `array(` and `dtype`; None for any other text.

    Commas come first, since Python would join the texts of `['a' 'b']`.
    """
    pieces: list[str] = []
    open_marks: list[str] = []
    after_value = False  # whether the last token ends a value
    place = 0
    while place < len(text):
        if not (token := _TOKEN.match(text, place)):
            return None
        place, kind, piece = token.end(), token.lastgroup, token[0].strip()
        if kind == "mark" and piece in "]})":
            if not open_marks or _CLOSING[opened := open_marks.pop()] != piece:
                return None
            pieces.append("" if opened == "call" else piece)
            after_value = True
            continue
        if kind == "mark" and piece in ",:":
            pieces.append(piece)
            after_value = False
            continue
        if kind == "name" and piece == "dtype" and open_marks[-1:] == ["call"] and pieces[-1:] == [","]:
            if not (ended := _DTYPE.match(text, place)):
                return None
            pieces.pop()
            place, after_value = ended.end(), True
            continue
        if (kind == "mark" and piece == "=") or (kind == "call" and not _CALLS.fullmatch(piece)):
            return None
        if kind == "name":
            if piece not in _NAMES:
                return None
            piece = _NAMES[piece]
        pieces.append("," if after_value else "")
        if kind == "call" or piece in ("[", "{", "("):
            open_marks.append("call" if kind == "call" else piece)
            pieces.append("" if kind == "call" else piece)
            after_value = False
        else:
            pieces.append(piece)
            after_value = True
        if len(open_marks) > MAX_DEPTH:
            return None
    return None if open_marks else " ".join(pieces)
