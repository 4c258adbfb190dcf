"""Texts as words that can be compared: without case, space and punctuation, and with numbers and names masked."""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt
import regex

from potstill.answers.folding import fold
from potstill.tasks import Column, Example, Task

Ids = npt.NDArray[np.int64]
"""The words of a text as numbers [words]; the same word has the same number."""

MAX_CHARACTERS = 100_000
"""Characters of a text that are compared."""
TEMPLATE_WORDS = 5
"""Words beside numbers and names that a template has at least: fewer are a phrase."""
_OPERATOR = r"(?:(?<=[\d)])|(?<=[\d)] ))[-+*/^](?= ?[\da-z(])|[-+](?=\d)|[<>=%]"
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_ASCII_WORD = re.compile(rf"[a-z]+|\d+(?:[.,]\d+)*|{_OPERATOR}")
_WORD = regex.compile(
    rf"[{_UNSPACED}]\p{{M}}*+|(?:(?![{_UNSPACED}])[\p{{L}}\p{{M}}])++|\d+(?:[.,]\d+)*|{_OPERATOR}|[×÷≤≥≠±√]"
)
_LETTERS = regex.compile(r"[\p{L}\p{M}]++")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_CAPITALISED = regex.compile(r"(?<![\p{L}\p{M}])\p{Lu}[\p{L}\p{M}]*+")
_NAMES = re.compile(r"\bX(?:\s+X\b)+")


def words(text: str) -> list[str]:
    """The words and numbers of a text, folded in case, Unicode and space; of scripts without spaces its characters.

    Punctuation is left out, but not the operators beside numbers: 3 - 2 is another question than 3 + 2. A text without words
    consists of its signs. Linear time.
    """
    folded = fold(text[:MAX_CHARACTERS])
    found: list[str] = (_ASCII_WORD if folded.isascii() else _WORD).findall(folded)
    return found or list(folded.replace(" ", ""))


class Vocabulary:
    """Numbers for words, the same for all texts; each text is read once."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._read: dict[str, Ids] = {}

    def ids(self, text: str) -> Ids:
        """The words of a text as numbers."""
        if text not in self._read:
            numbers = self._numbers
            listed = [numbers.setdefault(word, len(numbers)) for word in words(text)]
            self._read[text] = np.array(listed, dtype=np.int64)
        return self._read[text]


class Masker:
    """Masks what the questions of one template differ in: numbers, and names.

    A name is a capitalised word that ``texts`` never have in lower case; in German that is any noun.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._lower = {
            word for text in texts for word in _LETTERS.findall(text[:MAX_CHARACTERS]) if not word[0].isupper()
        }

    def mask(self, text: str) -> str:
        """The text with 0 for each number and X for each name, or several in a row."""
        text = _NUMBER.sub("0", text[:MAX_CHARACTERS])
        masked = _CAPITALISED.sub(lambda match: match[0] if match[0].lower() in self._lower else "X", text)
        return _NAMES.sub("X", masked)


def keys(turns: Iterable[Ids]) -> list[int]:
    """A number for each beginning of a sequence of texts: the same for the same words, and for no others (64 bits)."""
    return list(accumulate(turns, lambda before, turn: hash((before, turn.tobytes())), initial=0))[1:]


def user_turns(messages: Sequence[Mapping[str, str]]) -> list[str]:
    """What the user says in a chat."""
    return [message["content"] for message in messages if message["role"] == "user"]


def parts(task: Task, example: Example) -> list[str]:
    """The texts that a question consists of: its columns, each option alone, of a chat the last turn."""
    texts: list[str] = []
    for name, column in task.columns.items():
        value = example.get(name)
        if value:
            texts += map(str, value) if column is Column.OPTIONS else [column.display(value)]
    return texts


def identity(task: Task, example: Example) -> tuple[str, ...]:
    """What a question says, in words: the same for examples that ask the same, whatever the order of the options."""
    said: list[str] = []
    for column_name, column in task.columns.items():
        value: Any = example.get(column_name) or ""
        if column is Column.OPTIONS:
            said += sorted(" ".join(words(str(option))) for option in value)
        elif column is Column.MESSAGES:
            said += [" ".join(words(message["content"])) for message in value]
        else:
            said.append(" ".join(words(str(value))))
    said += [" ".join(words(example.get(own) or "")) for own in ("system", "prompt")]
    return tuple(said)


def is_template(masked: str) -> bool:
    """Whether a masked text says enough to be a template: five words beside its numbers and names."""
    return sum(word not in ("x", "0") and word[0].isalpha() for word in words(masked)) >= TEMPLATE_WORDS
