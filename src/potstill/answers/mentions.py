"""Where a text names the labels of a task, and where it rejects them. Linear time.

All texts here are folded (`potstill.answers.folding`). A sign, a grade suffix and decimals belong to a label: "A-" does not name A,
"-1" not 1, "4.5" not 4, "non-toxic" not toxic.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from potstill.answers import languages
from potstill.answers.folding import fold

_JOINT = re.compile(r"(?<=\w)(?:[_ ]|(?<!\d)-|-(?!\d))(?=\w)")
"""What may stand between the words of a label: food_quality, food-quality and food quality are one."""
_SHORT = 3
"""Characters of a label that may be a grade, so that a + or - after it is a suffix."""
_COMMON_WORDS = frozenset(
    [
        "no",
        "not",
        "none",
        "non",
        "nein",
        "nicht",
        "nie",
        "not",
        "other",
        "a",
        "i",
        "an",
        "in",
        "on",
        "or",
        "it",
        "is",
        "he",
        "as",
        "to",
        "so",
        "us",
        "y",
        "o",
        "e",
        "u",
        "si",
        "da",
        "do",
        "be",
        "we",
        "me",
        "at",
        "by",
        "my",
        "of",
        "up",
    ]
)
"""Labels that are common words too. Like letters and numbers they name a label only where a clause ends after them."""
_CLAUSE_END = re.compile(
    r"[)\]\"'*}$]{0,4}(?:\s?(?:[.,;:!?)\]}|(\-]|$)|\s(?:because|since|as|denn|weil|car|parce|porque|perché|omdat|ponieważ|потому|"
    r"stars?|points?|punkte|sterne|étoiles?|estrellas|puntos|stelle|sterren|баллов|балла)(?!\w))"
)
_LIST_MARKER = re.compile(r"[.):] ?\w")
_DECIMALS = re.compile(r"[.,](\d+)")
_ZEROS = re.compile(r"[.,]0{1,9}(?!\d)")
_SCALE = re.compile(
    r"\s?(?:/|(?:\w{1,10} )?(?:out of|von|sur|de|su|van|uit|av|из|z)(?: the| a)?(?: maximum| possible)?)\s?(\d{1,6})(?![\w.,]\d)"
)
_RANGE_AFTER = re.compile(r"\s?(?:-|~|to|bis|à|a|до)\s?[-+]?\d")
_BETWEEN_AFTER = re.compile(r" (?:and|und|et|y|e|to|bis|à|a) [-+]?\d")
_SCALE_BEFORE = re.compile(
    r"(?:\d\s?/\s?|out of (?:the |a )?(?:maximum |possible )?|\d (?:\w{1,10} )?(?:of|von|sur|de|su|van|uit|av|из|z) |(?:scale|range) (?:of|from) |"
    r"(?:between|from) [-+]?\d{1,6} (?:and|to) |[-+]?\d{1,6}(?:\s?-\s?| to | bis | à ))\Z"
)
_RANGE_WORD_BEFORE = re.compile(r"(?:between|from|von|zwischen|de|entre|scale of) \Z")
_MINUS_WORD = re.compile(r"(?<!\w)(?:minus|negative|moins|menos|meno|минус|负|負|マイナス|마이너스)\s?(?=\d)")
_CLAUSE = re.compile(
    r"[.!?;:](?= |$)|[。！？；，]|,? (?:but|because|since|aber|sondern|mais|pero|sino|mas|maar|ale|lecz|но)(?= )|"
    r"(?:,| and) (?:so|thus|hence|therefore|then|also|daher|donc|dus|więc|поэтому)(?= )| so (?=(?:it|the|this|that|we|i|my) )|"
    r", (?:it|this|that|they|which|and|the|es|das|c'est|è|é|to|это) |^(?:no|nein|non|não|nee|nej|nie|нет|не) ?,"
)
_NEGATION = re.compile(rf"(?<![\w])(?:{languages.NEGATIONS})(?!\w)|(?:{languages.NEGATIONS_UNSPACED})")
_NOT_NEGATION = re.compile(rf"(?<!\w)(?:{languages.NOT_NEGATIONS})(?!\w)")
_DOUBT = re.compile(rf"(?<!\w)(?:{languages.DOUBTS})(?!\w)|可能|也许|或许")
_DIRECT_NEGATION = re.compile(
    r"(?<!\w)(?:not|\w{2,6}n't|nicht|pas|no|non|não|niet|inte|ikke|nie|не|isnt)(?: (?:at all|really|actually|even|wirklich|vraiment|\w{1,12}ly))? ?(?:an? |the )?\Z"
)
_REJECTED_AFTER = re.compile(rf"[)\]\"'*]{{0,3}} ?(?:{languages.REJECTED_AFTER})")
_QUESTION_AFTER = re.compile(r"[^.!?]{0,80}\?")
_GRADE_SUFFIX = re.compile(r"(?<!\w)([a-z]{1,3}) (minus|plus|[-+](?=$|[.,;:)]))(?!\w)")
_EM_DASH = re.compile("[—―]")
_EMPHASIS = re.compile(r"(?<![^\W_])_+|_+(?![^\W_])")
_ENDINGS = re.compile(
    r"(?:입니다|이다|예요|이에요|이라고|적이다|적입니다|적|으로|로|이며|임|이고|은|는|이|가|을|를|です|だ|である|的|性|类|類|。|，|、)"
)
"""What follows a label without a space in scripts that have few of them."""
_CLAUSE_CHARACTERS = 120
"""Characters before a label in which words reject it."""


@dataclass(frozen=True)
class Mention:
    """A label, or None for one that is only part of something else ("A-", "4.5"), and its index in the folded text."""

    label: str | None
    start: int
    end: int
    rejected: bool = False
    complement: bool = False
    """Whether `label` is the opposite of the label that the text rejects: "isn't toxic" where "not toxic" is a label."""


class Labels:
    """The labels of a task by their spellings."""

    def __init__(self, spellings: Mapping[str, str]) -> None:
        """``spellings``: each folded spelling, to its label."""
        self.spellings = dict(spellings)
        joined: dict[str, str | None] = {}
        for spelling, label in spellings.items():
            key = _JOINT.sub(" ", spelling)
            joined[key] = label if joined.get(key, label) == label else None
        self._joined = joined
        self._numbers = [float(spelling) for spelling in spellings if is_number(spelling)]
        for spelling, label in spellings.items():
            if spelling[:1] == "+" and is_number(spelling):
                self.spellings.setdefault(spelling[1:], label)
        self._are_grades = any(spelling[-1:] in ("+", "-") for spelling in spellings) or all(
            len(spelling) == 1 and spelling.isalpha() for spelling in spellings
        )
        self.negate = any(_NEGATION.search(spelling) for spelling in spellings)
        """Whether a label has a word that would reject another label."""
        ordered = sorted(self.spellings, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(_spelling_pattern, ordered))) if ordered else re.compile(r"(?!)")

    @staticmethod
    def of(spellings: Mapping[str, str]) -> "Labels":
        """The same, made once."""
        return _labels(tuple(spellings.items()))

    def exact(self, folded: str) -> str | None:
        """The label that a folded text is."""
        return self.spellings.get(folded) or self._joined.get(_JOINT.sub(" ", folded))

    def fold(self, text: str) -> str:
        """The text in the form in which `mentions` finds labels."""
        folded = fold(_EM_DASH.sub(" - ", text))
        folded = _EMPHASIS.sub(" ", folded) if "_" in folded else folded
        if self._are_grades:
            folded = _GRADE_SUFFIX.sub(lambda match: match[1] + ("+" if match[2] in ("plus", "+") else "-"), folded)
        return _MINUS_WORD.sub("-", folded) if self._numbers else folded

    def mentions(self, folded: str, *, prose: bool = False) -> list[Mention]:
        """The labels that a folded text names, in order. In ``prose`` letters, numbers and common words name a label only where
        a clause ends after them, and doubts and questions name none."""
        found: list[Mention] = []
        phrases = [match.span() for match in _NOT_NEGATION.finditer(folded)] if self.negate else []
        for match in self._pattern.finditer(folded):
            if self._is_scale(folded, match) or (prose and self._is_only_word(folded, match)):
                continue
            while phrases and phrases[0][1] <= match.start():
                phrases.pop(0)
            if phrases and phrases[0][0] <= match.start() and match.end() <= phrases[0][1]:
                continue  # the "no" of "no doubt"
            label = self.exact(match[0])
            label = label if label and self._is_whole(folded, match) else None
            found.append(Mention(label, match.start(), match.end()))
        return [_with_rejection(self, folded, found, i, prose) for i in range(len(found))]

    @property
    def are_numbers(self) -> bool:
        """Whether any label is a number."""
        return bool(self._numbers)

    def _is_only_word(self, text: str, match: re.Match[str]) -> bool:
        """Whether a letter, number or common word is no label in a text of sentences."""
        if not (len(match[0]) == 1 or match[0] in _COMMON_WORDS or is_number(match[0])):
            return False
        if match.start() == 0 and _LIST_MARKER.match(text, match.end()):
            return True
        is_rating = match[0][-1].isdigit() and _SCALE.match(text, match.end())
        return not is_rating and not _CLAUSE_END.match(text, match.end())

    def _is_whole(self, text: str, match: re.Match[str]) -> bool:
        """Whether a label is a word of its own: no sign, suffix, decimals, or hyphen joins it to something else."""
        spelling, before = match[0], text[max(0, match.start() - 3) : match.start()]
        after = text[match.end() : match.end() + 40]
        if before[-1:] in "'" and before[-2:-1].isalnum():
            return False
        if before[-1:] == "-" and (before[-2:-1].isalnum() or spelling[0].isdigit()):
            return False
        if before[-1:] == "/" and before[-2:-1].isalnum():
            return False
        if spelling[0].isdigit() and (before[-1:] in ("±", "≤", "≥") or self._may_be_negative(spelling, before)):
            return False
        if spelling[0].isdigit() and before[-1:] in (".", ",") and before[-2:-1].isdigit():
            return False
        if spelling[0] in "+-" and before[-1:].isalnum():
            return False
        if after[:1] in ("-", "+", "/") and after[1:2].isalnum() and not (spelling[-1].isdigit() and after[0] == "/"):
            return False
        if after[:1] == "'" and after[1:2].isalpha():
            return False
        if after[:1] in ("+", "#") or (after[:1] == "-" and (len(spelling) <= _SHORT or is_number(spelling))):
            return False
        return not (spelling[-1].isdigit() and not self._is_whole_number(after))

    def _may_be_negative(self, number: str, before: str) -> bool:
        """Whether the dash before a number may be its sign: "- 1"."""
        return before.endswith("- ") and self.exact(f"-{number}") is not None

    def _is_whole_number(self, after: str) -> bool:
        """Whether what follows a number leaves its value: no decimals, percents, ranges or other scales than that of the labels."""
        if zeros := _ZEROS.match(after):
            after = after[zeros.end() :]
        if (
            _DECIMALS.match(after)
            or after.lstrip().startswith("%")
            or re.match(r":\d", after)
            or _RANGE_AFTER.match(after)
        ):
            return False
        scale = _SCALE.match(after)
        return scale is None or not self._numbers or int(scale[1]) == max(self._numbers) > 1

    def _is_scale(self, text: str, match: re.Match[str]) -> bool:
        """Whether a number is the end of a scale or range, or decimals: the 5 of "4 out of 5" and of "4.5"."""
        if not match[0][-1].isdigit():
            return False
        before = text[max(0, match.start() - 40) : match.start()]
        if match[0].isdigit() and re.search(r"\d[.,]\Z", before):
            return True
        return _SCALE_BEFORE.search(before) is not None or (
            _RANGE_WORD_BEFORE.search(before) is not None and _BETWEEN_AFTER.match(text, match.end()) is not None
        )

    def opposite(self, label: str | None) -> str | None:
        """The label that is "not" followed by this one."""
        if label is None:
            return None
        words = _JOINT.sub(" ", fold(label))
        return next(
            (
                found
                for no in ("not", "non", "no", "nicht", "kein", "pas", "não")
                if (found := self._joined.get(f"{no} {words}"))
            ),
            None,
        )


def _with_rejection(labels: Labels, text: str, found: list[Mention], index: int, prose: bool) -> Mention:
    """A mention, rejected if words of its clause say so."""
    mention = found[index]
    begin = max(0, mention.start - _CLAUSE_CHARACTERS)
    clause = text[begin : mention.start]
    for other in reversed(found[max(0, index - _CLAUSE_CHARACTERS) : index]) if labels.negate else ():
        if other.start < begin:
            break
        if other.label is not None:
            clause = _blank(clause, other.start - begin, other.end - begin)
    clause = _NOT_NEGATION.sub(lambda match: "_" * len(match[0]), clause)
    clause = clause[max((match.end() for match in _CLAUSE.finditer(clause)), default=0) :]
    if prose and (_DOUBT.search(clause) or _QUESTION_AFTER.match(text, mention.end)):
        return replace(mention, rejected=True)
    if _REJECTED_AFTER.match(text, mention.end):
        return replace(mention, rejected=True)
    if not _NEGATION.search(clause):
        return mention
    if _DIRECT_NEGATION.search(clause) and (opposite := labels.opposite(mention.label)):
        return replace(mention, label=opposite, complement=True)
    return replace(mention, rejected=True)


@lru_cache(maxsize=256)
def _labels(spellings: tuple[tuple[str, str], ...]) -> Labels:
    return Labels(dict(spellings))


def _spelling_pattern(spelling: str) -> str:
    """A regular expression of a spelling that is no part of a longer word."""
    pattern = "[-_ ]{1,3}".join(map(re.escape, _JOINT.split(spelling)))
    if languages.is_unspaced(spelling) and len(spelling) > 1:
        return pattern
    before = r"(?<!\w)" if re.match(r"\w", spelling) else ""
    after = ""
    if re.search(r"\w\Z", spelling):
        after = rf"(?=\W|\Z|{_ENDINGS.pattern})" if not spelling.isascii() or len(spelling) > 1 else r"(?!\w)"
    return before + pattern + after


def _blank(text: str, start: int, end: int) -> str:
    return text[:start] + "_" * (end - start) + text[end:]


def is_number(text: str) -> bool:
    """Whether a text is a plain number."""
    try:
        return "_" not in text and math.isfinite(float(text))
    except ValueError:
        return False
