"""Finding the answer in a text, and telling whether two answers say the same. Nothing here ever runs what a text says."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

from potstill.answers import letters, numbers, text, workers

Kind = Literal["latex", "expr", "latex+expr", "multiple-choice", "text"]
Location = Literal["begin", "end", "any", "exact", "letter", "word", "line"]


def equivalent(
    gold: str | Sequence[str],
    prediction: str,
    *,
    kind: Kind = "latex+expr",
    language: str = "english",
    precision: int | None = 6,
    location: Location = "end",
) -> bool:
    """Whether a model's text gives the gold answer, or any of several.

    Args:
        gold: the reference, bare or in a text of its own.
        prediction: the model's text; its last `text.LONGEST` characters are read.
        kind: `latex` and `expr` (plain) are mathematics, `multiple-choice` a letter, `text` words.
        language: that of the texts, by its English name: it says whether a comma is a decimal point. The words around an
            answer ("answer", "réponse", "答案") are known for all.
        precision: decimal places in which numbers must agree when one of them is not exact.
        location: where the answer stands: at the `end` (or after the last "answer:", or boxed), at the `begin`ning,
            `any`where, or as the text `exact`ly; or `letter`, `word`, `line`: that much after the last "ANSWER:".

    Never raises for any text. Mathematics is compared by math-verify (Kydlíček 2025) in a process of its own, within
    `workers.SECONDS` of its time; what takes longer is not equal.
    """
    if kind not in Kind.__args__ or location not in Location.__args__:  # type: ignore[attr-defined]
        raise ValueError(f"kind {kind!r} or location {location!r} is unknown")
    golds = [gold] if isinstance(gold, str) else gold
    return any(
        _equivalent(one, prediction, kind, language, 6 if precision is None else precision, location) for one in golds
    )


def same_number(gold: str, answer: str) -> bool:
    """Whether two answers have the same value: plain numbers exactly, anything else as mathematics. Where one of them alone
    has a percent sign, it may be the unit that was asked for: 50% is 50, and is 0.5."""
    a, b = numbers.value(gold), numbers.value(answer)
    if a is None or b is None:
        return equivalent(gold, answer)
    percent = ("%" in gold) - ("%" in answer)
    return a == b or (percent != 0 and a == b * Fraction(100) ** -percent)


def _equivalent(gold: str, prediction: str, kind: Kind, language: str, precision: int, location: Location) -> bool:
    gold, prediction = text.tidy(gold, language), text.tidy(prediction, language)
    if location in ("letter", "word", "line"):
        found = text.announced(prediction, location)
        return found is not None and _equivalent(gold, found, kind, language, precision, "exact")
    if kind == "text":
        return text.says(gold, prediction, location)
    if kind == "multiple-choice":
        wanted = letters.read(gold)
        return wanted is not None and letters.read(prediction, location) == wanted
    if location in ("begin", "any", "exact"):
        return _number_at(gold, prediction, location)
    return workers.ask({"gold": gold, "prediction": prediction, "kind": kind, "precision": precision}) is True


def _number_at(gold: str, prediction: str, location: Location) -> bool:
    wanted = numbers.value(gold)
    if location == "exact" and (wanted is None or numbers.value(prediction) is None):
        return text.bare(gold) == text.bare(prediction)
    found = [numbers.value(token) for token in numbers.find(prediction)]
    if location == "begin":
        found = found[:1]
    elif location == "exact":
        found = [numbers.value(prediction)]
    return wanted is not None and wanted in found
