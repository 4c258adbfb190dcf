"""Mathematics in a text, compared by math-verify; slow to load, and only ever run inside `potstill.answers.worker`."""

import logging
import re
from collections.abc import Iterator
from typing import Any, Literal

from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify
from sympy import Expr

from potstill.answers import numbers
from potstill.answers import text as text_

logging.getLogger("math_verify").setLevel(logging.ERROR)  # that no limit of its own is set: the process has one
_CONFIGS = {"latex": LatexExtractionConfig(), "expr": ExprExtractionConfig()}
_DECIMAL_COMMA = re.compile(r"-?(?:\d{1,40},(?:\d{1,2}|\d{4,40})|\d{4,40},\d{1,40})")
_TEXT = re.compile(r"\\(?:text|mathrm|textbf|mathbf|mbox)\s{0,2}\{([^{}]{0,200})\}")
_WORD = re.compile(r"(?<![A-Za-z\\])[A-Za-z]{3,}")
_CODE = re.compile(r"__\w{1,40}__|\blambda\b|\w\(\s{0,3}[\"']")


def agree(gold: str, prediction: str, kind: Literal["latex", "expr", "latex+expr"], precision: int) -> bool:
    """Whether two tidy texts give the same mathematics; see `potstill.answers.equivalent`."""
    if _CODE.search(prediction):  # a program is no answer, whatever number stands in it
        return False
    gold, prediction = text_.improper(gold), text_.improper(prediction)
    if (a := _final(gold)) and (b := _final(prediction)) and _plain(a) == _plain(b):
        return True
    return bool(verify(read(gold, kind), read(prediction, kind), float_rounding=precision, timeout_seconds=None))


def read(text: str, kind: str) -> list[Any]:
    """What math-verify reads out of a text: of its last boxes, of its last line where that is nothing but mathematics, or
    of all of it, by its own rules. What it can make nothing of it gives back as a string, which counts only where there is
    nothing else."""
    strings: list[Any] = []
    for found in _readings(text, kind):
        if any(not isinstance(part, str) for part in found):
            return found
        strings = strings or found
    return strings


def _readings(text: str, kind: str) -> Iterator[list[Any]]:
    box = text_.boxed(text)
    if box and "final answer" not in text[box[1] :].lower():
        inside = text_.latex(box[0])
        yield _parsed(f"$\\boxed{{{inside}}}$", "latex")
        yield _parsed(inside, "latex+expr")
    if formula := text_.formula(text.rpartition("\n")[2]):
        yield _formula(formula)
    yield _parsed(text, kind)
    yield _parsed(text, "latex+expr")


def _formula(formula: str) -> list[Any]:
    if _DECIMAL_COMMA.fullmatch(formula):
        formula = formula.replace(",", ".")
    body = formula.removesuffix("%").removesuffix("\\").strip()
    if body != formula and numbers.value(body) is None:
        return [part / 100 for part in _parsed(f"${body}$", "latex") if isinstance(part, Expr)]
    return _parsed(f"${formula}$", "latex")


def _parsed(text: str, kind: str) -> list[Any]:
    chosen = [config for name, config in _CONFIGS.items() if name in kind]
    return list(parse(text, chosen, parsing_timeout=None))


def _final(text: str) -> str | None:
    """What the last box holds, or the whole text where it is one line."""
    box = text_.boxed(text)
    return box[0] if box else None if "\n" in text else text


def _plain(formula: str) -> str:
    formula = _TEXT.sub(r"\1", formula)
    formula = re.sub(r"\\(?:left|right|displaystyle|,|!|;|:|quad|\s)|[$\s]", "", formula)
    if _WORD.search(formula):  # words mean the same in any case, names of variables do not
        formula = formula.casefold()
    return formula.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac").strip(".")
