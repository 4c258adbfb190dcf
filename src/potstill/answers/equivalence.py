"""Compare a model's answer with the gold answer."""

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

from potstill.answers import letters, math_forms, math_worker_pool, numbers
from potstill.answers.extraction import text_after_answer
from potstill.answers.folding import fold_words
from potstill.answers.normalization import normalize

Kind = Literal["latex", "expr", "latex+expr", "multiple-choice", "text"]
Location = Literal["begin", "end", "any", "exact", "letter", "word", "line"]
DEFAULT_PRECISION_DECIMALS = 6


def equivalent(
    gold: str | Sequence[str],
    prediction: str,
    *,
    kind: Kind = "latex+expr",
    language: str = "english",
    precision: int | None = DEFAULT_PRECISION_DECIMALS,
    location: Location = "end",
) -> bool:
    """Whether a model's text gives the gold answer, or any of several.

    Args:
        gold: the reference, on its own or within a text.
        prediction: the model's text; only its last `normalization.MAX_CHARACTERS` characters are used.
        kind: `latex` and `expr` (plain text) are mathematics, `multiple-choice` is a letter, `text` is words.
        language: the English name of the texts' language; it decides whether a comma is a decimal point. The words that
            announce an answer ("answer", "réponse", "答案") are recognized in all languages.
        precision: decimal places to which numbers must agree when one of them is not exact; None: 6.
        location: where the answer is: at the `end` (or after the last "answer:", or boxed), at the `begin`ning, `any`where,
            or the `exact` text; or `letter`, `word`, `line`: that much after the last "ANSWER:".

    Never raises for any text; raises `ValueError` for an unknown kind or location. Mathematics is compared by math-verify
    (Kydlíček 2025) in a separate process, within `math_worker.CPU_SECONDS_PER_COMPARISON`; what takes longer is unequal.
    """
    if kind not in Kind.__args__ or location not in Location.__args__:  # type: ignore[attr-defined]
        raise ValueError(f"kind {kind!r} or location {location!r} is unknown")
    golds = [gold] if isinstance(gold, str) else gold
    decimals = DEFAULT_PRECISION_DECIMALS if precision is None else precision
    return any(
        _equivalent(reference, prediction, kind=kind, language=language, precision=decimals, location=location)
        for reference in golds
    )


def same_number(gold: str, answer: str) -> bool:
    """Whether two answers have the same value: plain numbers exactly, anything else by form (`math_forms`) and as mathematics.

    If only one of them has a percent sign, it may be the requested unit: 50% equals 50, and equals 0.5. A number equals it with
    a unit."""
    a, b = numbers.parse(gold), numbers.parse(answer)
    if a is None or b is None:
        by_form = math_forms.decide(gold, answer)
        if by_form is not None:
            return by_form
        interval, own = map(math_forms.intervals_for_comparisons, (gold, answer))
        return equivalent(interval, own)
    percent = ("%" in gold) - ("%" in answer)
    return a == b or (percent != 0 and a == b * Fraction(100) ** -percent)


def _equivalent(gold: str, prediction: str, *, kind: Kind, language: str, precision: int, location: Location) -> bool:
    gold, prediction = normalize(gold, language), normalize(prediction, language)
    if location in ("letter", "word", "line"):
        answer = text_after_answer(prediction, location)
        return answer is not None and _equivalent(
            gold, answer, kind=kind, language=language, precision=precision, location="exact"
        )
    if kind == "text":
        return _has_words(gold, prediction, location)
    if kind == "multiple-choice":
        letter = letters.extract(gold)
        return letter is not None and letters.extract(prediction, location) == letter
    if location in ("begin", "any", "exact"):
        return _has_number(gold, prediction, location)
    return math_worker_pool.compare(gold, prediction, kind, precision) is True


def _has_number(gold: str, prediction: str, location: Location) -> bool:
    """Whether a text has the number of the gold answer there; `exact` compares words where one of them is no number."""
    expected = numbers.parse(gold)
    if location == "exact" and (expected is None or numbers.parse(prediction) is None):
        return fold_words(gold) == fold_words(prediction)
    values = [numbers.parse(number) for number in numbers.extract(prediction)]
    if location == "begin":
        values = values[:1]
    elif location == "exact":
        values = [numbers.parse(prediction)]
    return expected is not None and expected in values


def _has_words(gold: str, prediction: str, location: Location) -> bool:
    """Whether a text has the words of the gold answer there."""
    gold, prediction = fold_words(gold), fold_words(prediction)
    if location == "exact" or not gold:
        return gold == prediction
    edges = (r"(?<!\w)" if gold[0].isalnum() else "", r"(?!\w)" if gold[-1].isalnum() else "")
    pattern = edges[0] + re.escape(gold) + edges[1]
    match location:
        case "begin":
            return re.match(pattern, prediction) is not None
        case "any":
            return re.search(pattern, prediction) is not None
        case _:
            return prediction.endswith(gold) and re.search(pattern + r"\Z", prediction) is not None
