"""Numbers in words of other languages than English, as digits: "zweiundvierzig", "quatre-vingt-dix-sept euros".

The library text2num reads them. What it would read falsely is left in words: fractions, dozens and ordinals.
"""

import re

CODES = {
    "dutch": "nl", "french": "fr", "german": "de", "italian": "it", "portuguese": "pt",
    "spanish": "es",
}  # fmt: skip
"""The languages whose number words are read, by their English names."""
MAX_CHARACTERS = 400
"""Longer texts are no number in words."""
_PARTS = re.compile(
    r"(?<!\w)(?:demi\w{0,2}|moitiés?|tiers|quarts?|(?:diz|douz|quinz|vingt|trent|quarant|cinquant|soixant|cent)aines?|"
    r"(?:ein|andert|dritt)?halb\w{0,2}|hälfte\w?|\w{0,9}(?:drit|vier|fünf|sechs|sieb|ach|acht|neun|zehn|zigs|ßigs|derts|sends)tel\w?|dutzend\w?|"
    r"medi[oa]s?|mitad|tercios?|cuartos?|docenas?|mezz[oaie]|metà|terz[oi]|quart[oi]|dozzin[ae]|mei[oa]s?|metade|terços?|quartos?|"
    r"dúzias?|half|halve|anderhalve?|helft|derden?|kwart\w{0,2}|dozijn\w{0,2})(?!\w)",
    re.IGNORECASE,
)
"""Words for parts and dozens: three quarters are not 3."""
_DUTCH_MINUS = re.compile(r"(?<!\w)min (?=\d)")
_ORDINAL = re.compile(r"\d(?:[^\W\d_]|[º°ª]|\.(?!\d))")


def words_to_digits(text: str, language: str) -> str:
    """The text with the number words of a language as digits, if it has no digit and is short; otherwise unchanged.

    A word for one that is an article too becomes a digit only where it is the complete text.
    """
    code = CODES.get(language)
    if code is None or len(text) > MAX_CHARACTERS or any(c.isdigit() for c in text) or _PARTS.search(text):
        return text
    from text_to_num import alpha2digit, text2num

    bare = text.strip(" .*$\n")
    try:
        return str(text2num(bare, code))
    except ValueError:
        read: str = _DUTCH_MINUS.sub("-", alpha2digit(bare, code, threshold=2))
    return text if _ORDINAL.search(read) else read
