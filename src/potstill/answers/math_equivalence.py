"""Compare the mathematics of two texts with math-verify. Slow to import; only `potstill.answers.math_worker` runs it."""

import logging
import re
from collections.abc import Iterator
from typing import Any, Literal

from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify
from sympy import Expr

from potstill.answers import latex, numbers
from potstill.answers.normalization import mixed_numbers_to_fractions

# math-verify warns that its own timeout is off; the process has one.
logging.getLogger("math_verify").setLevel(logging.ERROR)
_CONFIGS = {"latex": LatexExtractionConfig(), "expr": ExprExtractionConfig()}
_DECIMAL_COMMA = re.compile(r"-?(?:\d{1,40},(?:\d{1,2}|\d{4,40})|\d{4,40},\d{1,40})")
_TEXT_COMMAND = re.compile(r"\\(?:text|mathrm|textbf|mathbf|mbox)\s{0,2}\{([^{}]{0,200})\}")
_WORD = re.compile(r"(?<![A-Za-z\\])[A-Za-z]{3,}")
_CODE = re.compile(r"__\w{1,40}__|\blambda\b|\w\(\s{0,3}[\"']")


def equivalent(gold: str, prediction: str, kind: Literal["latex", "expr", "latex+expr"], precision: int) -> bool:
    """Whether two normalized texts give the same mathematics; see `potstill.answers.equivalence.equivalent`."""
    if _CODE.search(prediction):  # a program is no answer, whatever numbers it contains
        return False
    gold, prediction = mixed_numbers_to_fractions(gold), mixed_numbers_to_fractions(prediction)
    if (a := _single_formula(gold)) and (b := _single_formula(prediction)) and _canonical(a) == _canonical(b):
        return True
    golds, predictions = extract(gold, kind), extract(prediction, kind)
    return bool(verify(golds, predictions, float_rounding=precision, timeout_seconds=None))


def extract(text: str, kind: str) -> list[Any]:
    """What math-verify parses from a text: from its last boxes; or from its last line, if that is nothing but mathematics; or
    from the complete text, by its own rules.

    math-verify returns unparsed mathematics as a string; a list of strings alone is used only when nothing else parses.
    """
    strings: list[Any] = []
    for parsed in _candidates(text, kind):
        if any(not isinstance(part, str) for part in parsed):
            return parsed
        strings = strings or parsed
    return strings


def _candidates(text: str, kind: str) -> Iterator[list[Any]]:
    box = latex.last_box(text)
    if box and "final answer" not in text[box[1] :].lower():
        content = latex.unicode_to_latex(box[0])
        yield _parse(f"$\\boxed{{{content}}}$", "latex")
        yield _parse(content, "latex+expr")
    if formula := latex.as_formula(text.rpartition("\n")[2]):
        yield _parse_formula(formula)
    yield _parse(text, kind)
    yield _parse(text, "latex+expr")


def _parse_formula(formula: str) -> list[Any]:
    if _DECIMAL_COMMA.fullmatch(formula):
        formula = formula.replace(",", ".")
    body = formula.removesuffix("%").removesuffix("\\").strip()
    if body != formula and numbers.parse(body) is None:
        return [part / 100 for part in _parse(f"${body}$", "latex") if isinstance(part, Expr)]
    return _parse(f"${formula}$", "latex")


def _parse(text: str, kind: str) -> list[Any]:
    configs = [config for name, config in _CONFIGS.items() if name in kind]
    return list(parse(text, configs, parsing_timeout=None))


def _single_formula(text: str) -> str | None:
    """The content of the last box, or the complete text if it is one line."""
    box = latex.last_box(text)
    return box[0] if box else None if "\n" in text else text


def _canonical(formula: str) -> str:
    """A formula without spacing and text commands; two formulas with the same canonical form are equal."""
    formula = _TEXT_COMMAND.sub(r"\1", formula)
    formula = re.sub(r"\\(?:left|right|displaystyle|,|!|;|:|quad|\s)|[$\s]", "", formula)
    if _WORD.search(formula):  # words mean the same in any case, names of variables do not
        formula = formula.casefold()
    return formula.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac").strip(".")
