"""The words of a text in any script, their number, and its tokens."""

import itertools
import re
import unicodedata

import regex

_ASCII_WORD = re.compile(r"[a-z0-9]+")
_ASCII_TOKEN = re.compile(r"[a-z0-9]+|[^a-z0-9\s]")
_UNSPACED_LETTERS = r"\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_UNSPACED = regex.compile(rf"[\p{{Han}}{_UNSPACED_LETTERS}]")
_WORD = regex.compile(
    rf"(?P<ideograph>\p{{Han}}\p{{M}}*+)|(?P<run>[{_UNSPACED_LETTERS}][{_UNSPACED_LETTERS}\p{{M}}]*+)"
    rf"|(?:(?![\p{{Han}}{_UNSPACED_LETTERS}])[\p{{L}}\p{{N}}\p{{M}}])++"
)
_TOKEN = regex.compile(
    rf"[\p{{Han}}{_UNSPACED_LETTERS}]\p{{M}}*+|(?:(?![\p{{Han}}{_UNSPACED_LETTERS}])[\p{{L}}\p{{N}}\p{{M}}])++|\S"
)
_CHARACTER = regex.compile(r"\P{M}\p{M}*+|\p{M}++")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]")


def words(text: str) -> list[str]:
    """The words of a text, folded in case, without punctuation; of ASCII the tokens of ROUGE (Lin 2004, ACL W04-1013).

    A word is a run of letters, digits and combining marks. Scripts without spaces between words have no words to find without a
    dictionary: each Han character is one (as in ROUGE for Chinese, Hu et al. 2015, LCSTS, arXiv 1506.05865), and of kana, Thai,
    Lao, Khmer and Burmese each pair of neighbouring characters, as in retrieval (Nie et al. 2000, 10.1145/355214.355235), because
    any two texts share single letters. A text without letters and digits consists of its signs.
    """
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    folded = _folded(text)
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


def tokens(text: str) -> list[str]:
    """The words of a text and each of its punctuation marks, folded in case; of scripts without spaces each character."""
    if text.isascii():
        return _ASCII_TOKEN.findall(text.lower())
    return _TOKEN.findall(_folded(text))


def _folded(text: str) -> str:
    return _INVISIBLE.sub("", unicodedata.normalize("NFKC", text).casefold())
