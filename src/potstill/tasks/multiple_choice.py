"""One of several options. They are shuffled by seed, and ``order`` stores their original indices, so that a preference for a
position can be told from knowledge."""

import random
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from potstill.answers import letters
from potstill.answers.folding import fold_words
from potstill.answers.labels import extract_label, labels_by_spelling, without_markup
from potstill.answers.latex import last_box
from potstill.tasks import Column, Example, ExtractedAnswer, Task, answer_lines

POSITIONAL = re.compile(
    r"\b(?:all|none|both|neither|either|any) of\b|\b[A-H] (?:and|or|nor) [A-H]\b|\babove\b|\bbelow\b", re.I
)
"""Options that refer to others by position: such questions are not shuffled."""
_CONTINUES = re.compile(r"\w|[.,]\d")
_PUNCTUATED_MARK = re.compile(r"[\s*(\[\"'`]*([A-Za-z]|\d{1,2})\s?[).:\]](?!\d)")
"""A mark as it is written before an option: "B)", "(b)", "B:"."""
_OPENING_MARK = re.compile(
    r"[\s*(\[\"'`]*([B-HJ-Z](?![\w'’])|[AI](?![\w'’]|\s+[a-z])|[AI](?=\s+(?:because|since|as|is)\b)"
    r"|\d{1,2}(?![\w'’]|[.,]\d|\s*[-+*/=%]))"
)
"""A mark at the beginning of a text that is neither a word ("A bird") nor part of a number or calculation."""


_JOINT = re.compile(r"\s?(?:[,;/&+|]\s?(?:(?:or|and)\s)?|\s(?:or|and|und|oder|et|ou|y|o|e|или|и)\s|或|和|と|か)\s?")
_TWO = "two"
"""The value of an answer that names two options."""


class MultipleChoice(Task):
    name: Literal["multiple_choice"] = "multiple_choice"
    """The task's name."""
    shuffle: bool = True
    """Whether to shuffle the options by seed. Not shuffled: options that refer to others ("all of the above"), and those of rows
    with their own prompt or rationale."""
    marks: Literal["letters", "numbers"] = "letters"
    """The marks before the options, which are the answers."""

    first_index: Literal[0, 1] | None = None
    """What gold calls the first option where it is a number. Left out: an integer counts from 0, digits in text from 1, unless
    they are the text of an option."""

    answer_placeholder = "MARK"
    labels_are_places = True
    question_tells_task = True

    @property
    def label_score(self) -> str:
        """Options are shuffled, so that F1 by mark shows a preference for a place and no knowledge of a class."""
        return "answers_by_place"

    @property
    def columns(self) -> Mapping[str, Column]:
        return {"question": Column.TEXT, "options": Column.OPTIONS}

    @property
    def derived_columns(self) -> Mapping[str, Column]:
        return {"order": Column.INDICES}

    def expand(self, example: dict[str, Any], seed: int) -> list[dict[str, Any]]:
        order = list(range(len(example["options"])))
        own_text = example.get("prompt") or example.get("rationale")  # which may name options by their marks
        if self.shuffle and not own_text and not any(POSITIONAL.search(option) for option in example["options"]):
            random.Random(f"{seed}:{example['id']}").shuffle(order)
        gold = example["gold"]
        if gold is not None:
            gold = self._mark(order.index(self._marks(example).index(gold)))
        return [example | {"options": [example["options"][i] for i in order], "order": order, "gold": gold}]

    def variables(self, example: Example) -> dict[str, Any]:
        marked = zip(self._marks(example), example["options"], strict=True)
        return {"choices": "\n".join(f"{mark}) {option}" for mark, option in marked)}

    def parse_gold(self, value: Any, example: Example) -> str:
        """The mark of an option that is given by its number (`first_index`), its index counted from zero (an integer), a capital
        letter, its text, a small letter, or its position counted from one (digits); the first of these that applies. Raises
        `ValueError`."""
        options = [fold_words(option) for option in example["options"]]
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        text = str(value).strip()
        if self.first_index is not None and (number := re.fullmatch(r"(\d{1,3})(?:\.0+)?", text)):
            index = int(number[1]) - self.first_index
        elif isinstance(value, int) and not isinstance(value, bool):
            index = value
        elif re.fullmatch(r"[(]?[A-Z][).]?", text):
            index = ord(text.strip("().")) - ord("A")
        elif fold_words(text) in options:
            index = options.index(fold_words(text))
        elif re.fullmatch(r"[(]?[a-z][).]?", text):
            index = ord(text.strip("().")) - ord("a")
        else:
            index = int(text) - 1 if text.isdecimal() else -1
        if not 0 <= index < len(options):
            is_number = text in ("0", str(len(options)))
            hint = f"; if options are counted from {int(text != '0')}, set task.first_index" if is_number else ""
            raise ValueError(f"{text[:60]!r} is none of the {len(options)} options, nor the mark of one{hint}")
        return self._mark(index)

    def gold_text(self, example: Example) -> str:
        return str(example["options"][self._marks(example).index(example["gold"])])

    def find_answer(self, text: str, example: Example, *, strict: bool) -> ExtractedAnswer | None:
        for line, start in reversed(answer_lines(text)):
            if mark := self._leading_option(line, example):
                return ExtractedAnswer(mark, "answer-line", start) if mark != _TWO else None
        if (box := last_box(text)) and (mark := self._leading_option(box[0], example)):
            return ExtractedAnswer(mark, "boxed", box[1]) if mark != _TWO else None
        if "\n" not in text.strip() and (mark := self._exact_option(text, example)):
            return ExtractedAnswer(mark, "bare")
        if strict:
            return None
        if self.marks == "numbers":
            return extract_label(text, labels_by_spelling(self._marks(example)), strict=False)
        mark = letters.extract(text)
        return ExtractedAnswer(mark, "last-mark", text.rfind(mark)) if mark in self._marks(example) else None

    def scores(self, answer: str, example: Example) -> dict[str, float]:
        return {} if example["gold"] is None else {"accuracy": float(answer == example["gold"])}

    def answer_schema(self, example: Example) -> dict[str, Any]:
        return {"enum": self._marks(example)}

    @property
    def shots(self) -> Sequence[Example]:
        """The task's own solved examples, with the marks of this task."""
        return [dict(shot) | {"gold": self._mark(ord(shot["gold"]) - ord("A"))} for shot in super().shots]

    def _leading_option(self, text: str, example: Example) -> str | None:
        """The mark of the option that a short text is, or whose mark or text it begins with; `_TWO` where another is joined to
        it."""
        text = without_markup(text).strip()
        if mark := self._exact_option(text, example):
            return mark
        marks = self._marks(example)
        if (punctuated := _PUNCTUATED_MARK.match(text)) and punctuated[1].upper() in marks:
            mark = punctuated[1].upper()
            return _TWO if letters.has_second(text, punctuated.end(), mark) else mark
        folded = fold_words(text)
        leading = [
            option
            for option in self._mark_of(example)
            if folded.startswith(option) and not _CONTINUES.match(folded, len(option))
        ]
        if leading:
            option = max(leading, key=len)
            return _TWO if self._has_second_option(folded, option, example) else self._mark_of(example)[option]
        opening = _OPENING_MARK.match(text)
        if not opening or opening[1] not in marks:
            return None
        return _TWO if letters.has_second(text, opening.end(), opening[1]) else opening[1]

    def _has_second_option(self, folded: str, option: str, example: Example) -> bool:
        """Whether the text of another option follows that of the first after an "or", an "and" or a comma."""
        joint = _JOINT.match(folded, len(option))
        rest = folded[joint.end() :] if joint else ""
        return any(other != option and rest.startswith(other) for other in self._mark_of(example))

    def _exact_option(self, text: str, example: Example) -> str | None:
        """The mark of the option that a text gives by mark, by text or by both, with nothing else."""
        text = fold_words(text.strip('()[]*`" \n'))
        marked = list(zip(self._marks(example), map(fold_words, example["options"]), strict=True))
        by_mark = {spelling: mark for mark, option in marked for spelling in _spellings(mark.casefold(), option)}
        return by_mark.get(text) or self._mark_of(example).get(text)

    def _mark_of(self, example: Example) -> dict[str, str]:
        """The mark of each option by its folded text, if no other has the same."""
        options = list(map(fold_words, example["options"]))
        return {
            option: mark
            for mark, option in zip(self._marks(example), options, strict=True)
            if option and options.count(option) == 1
        }

    def _marks(self, example: Example) -> list[str]:
        return [self._mark(index) for index in range(len(example["options"]))]

    def _mark(self, index: int) -> str:
        return chr(ord("A") + index) if self.marks == "letters" else str(index + 1)


def _spellings(mark: str, option: str) -> tuple[str, ...]:
    return mark, f"{mark}) {option}", f"{mark}. {option}", f"{mark}: {option}", f"{mark} {option}", f"option {mark}"
