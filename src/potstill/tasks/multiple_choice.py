"""One of several options. They are shuffled by seed, and ``order`` keeps where each stood, so that a preference for a place
can be told from knowledge."""

import random
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from potstill.answers import letters, text
from potstill.answers.reading import lines
from potstill.tasks import Column, Example, Found, Task

POSITIONAL = re.compile(
    r"\b(?:all|none|both|neither|either|any) of\b|\b[A-H] (?:and|or|nor) [A-H]\b|\babove\b|\bbelow\b", re.I
)
"""Options that speak of others by their place: such questions are not shuffled."""
_GOES_ON = re.compile(r"\w|[.,]\d")
_CLOSED = re.compile(r"[\s*(\[\"'`]*([A-Za-z]|\d{1,2})\s?[).:\]](?!\d)")
"""A mark as it stands before an option: "B)", "(b)", "B:"."""
_OPENING = re.compile(
    r"[\s*(\[\"'`]*([B-HJ-Z](?![\w'’])|[AI](?![\w'’]|\s+[a-z])|[AI](?=\s+(?:because|since|as|is)\b)"
    r"|\d{1,2}(?![\w'’]|[.,]\d|\s*[-+*/=%]))"
)
"""A mark that a text opens with, which is no word ("A bird") nor number of its own."""


class MultipleChoice(Task):
    name: Literal["multiple_choice"] = "multiple_choice"
    """Which task it is."""
    shuffle: bool = True
    """Whether options are put in an order drawn by seed; those that speak of others ("all of the above") stay, and those of
    rows with a prompt or rationale of their own."""
    marks: Literal["letters", "numbers"] = "letters"
    """What stands before the options, and is answered."""

    answer_placeholder = "MARK"

    @property
    def closed_set(self) -> bool:
        return True

    @property
    def columns(self) -> Mapping[str, Column]:
        return {"question": Column.TEXT, "options": Column.OPTIONS}

    @property
    def derived_columns(self) -> Mapping[str, Column]:
        return {"order": Column.PLACES}

    def expand(self, example: dict[str, Any], seed: int) -> list[dict[str, Any]]:
        order = list(range(len(example["options"])))
        written = example.get("prompt") or example.get("rationale")  # which may name options by their marks
        if self.shuffle and not written and not any(POSITIONAL.search(option) for option in example["options"]):
            random.Random(f"{seed}:{example['id']}").shuffle(order)
        gold = example["gold"]
        if gold is not None:
            gold = self._mark(order.index(self._marks(example).index(gold)))
        return [example | {"options": [example["options"][i] for i in order], "order": order, "gold": gold}]

    def variables(self, example: Example) -> dict[str, Any]:
        marked = zip(self._marks(example), example["options"], strict=True)
        return {"choices": "\n".join(f"{mark}) {option}" for mark, option in marked)}

    def parse_gold(self, value: Any, example: Example) -> str:
        """An option's place counted from nought (a number), its mark as a letter, its text, or its place counted from one (in
        digits); the first of these that it can be."""
        options = [text.bare(option) for option in example["options"]]
        said = str(value).strip()
        if isinstance(value, int):
            place = value
        elif re.fullmatch(r"[(]?[A-Z][).]?", said):
            place = ord(said.strip("().")) - ord("A")
        elif text.bare(said) in options:
            place = options.index(text.bare(said))
        elif re.fullmatch(r"[(]?[a-z][).]?", said):
            place = ord(said.strip("().")) - ord("a")
        else:
            place = int(said) - 1 if said.isdecimal() else -1
        if not 0 <= place < len(options):
            raise ValueError(f"{said[:60]!r} is none of the {len(options)} options, nor the mark of one")
        return self._mark(place)

    def find_answer(self, text: str, example: Example, *, strict: bool) -> Found | None:
        marks = self._marks(example)
        for said, start in reversed(lines(text)):
            if mark := self._marked(said, example):
                return Found(mark, "answer-line", start)
        if "\n" not in text.strip() and (mark := self._exactly(text, example)):
            return Found(mark, "bare")
        if strict:
            return None
        mark = letters.read(text) if self.marks == "letters" else None
        return Found(mark, "last-mark", text.rfind(mark)) if mark and mark in marks else None

    def scores(self, answer: str, example: Example) -> dict[str, float]:
        return {} if example["gold"] is None else {"accuracy": float(answer == example["gold"])}

    def answer_schema(self, example: Example) -> dict[str, Any]:
        return {"enum": self._marks(example)}

    @property
    def shots(self) -> Sequence[Example]:
        """The task's own solved examples, with its marks."""
        return [dict(shot) | {"gold": self._mark(ord(shot["gold"]) - ord("A"))} for shot in super().shots]

    def _marked(self, said: str, example: Example) -> str | None:
        """The mark of the option that a short text gives: exactly, or by the mark or text that it begins with."""
        if mark := self._exactly(said, example):
            return mark
        marks = self._marks(example)
        if (closed := _CLOSED.match(said)) and closed[1].upper() in marks:
            return closed[1].upper()
        begins = text.bare(said)
        options = dict(zip(map(text.bare, example["options"]), marks, strict=True))
        found = [one for one in options if one and begins.startswith(one) and not _GOES_ON.match(begins, len(one))]
        if found:
            return options[max(found, key=len)]
        opening = _OPENING.match(said)
        return opening[1] if opening and opening[1] in marks else None

    def _exactly(self, said: str, example: Example) -> str | None:
        """The mark of an option that is given by its mark or text, and nothing else."""
        said = text.bare(said.strip('()[]*`" \n'))
        marked = list(zip(self._marks(example), map(text.bare, example["options"]), strict=True))
        by_mark = {way: mark for mark, option in marked for way in _ways(mark.casefold(), option)}
        return by_mark.get(said) or {option: mark for mark, option in marked if option}.get(said)

    def _marks(self, example: Example) -> list[str]:
        return [self._mark(place) for place in range(len(example["options"]))]

    def _mark(self, place: int) -> str:
        return chr(ord("A") + place) if self.marks == "letters" else str(place + 1)


def _ways(mark: str, option: str) -> tuple[str, ...]:
    return mark, f"{mark}) {option}", f"{mark}. {option}", f"{mark}: {option}", f"{mark} {option}", f"option {mark}"
