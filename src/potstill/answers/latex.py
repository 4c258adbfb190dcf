"""Extract LaTeX from texts and convert plain mathematics to LaTeX. Linear time."""

import re

MAX_BOXES = 12
"""Boxes at the end of a text among which the last group is searched."""
MAX_BOX_CHARACTERS = 2000

_BOX = re.compile(r"boxed\s{0,2}(?=\{)")
_BOX_SEPARATOR = re.compile(r"[\s$,;.]{0,8}(?:\\quad|\\text\{\s?(?:and|or)\s?\}|and|or|\\ |[\s$,;.]){0,8}")
_DELIMITERS = (("$$", "$$"), ("$", "$"), (r"\[", r"\]"), (r"\(", r"\)"))
_FUNCTIONS = "sin|cos|tan|sec|csc|cot|arcsin|arccos|arctan|log|ln|exp|pi|infty"
_PROSE = re.compile(rf"(?<![A-Za-z\\])(?!(?:{_FUNCTIONS}|sqrt|or|and)(?![A-Za-z]))[A-Za-z]{{2,}}|[\u0370-\uffff]{{2,}}")
_MATH_SPAN = re.compile(r"\$(?=[^\s$])([^$\n]{1,400}?)(?<=\S)\$(?!\d)|\\\(([^\n]{1,400}?)\\\)|\\\[([^\n]{1,400}?)\\\]")
_COMMAND = re.compile(r"\\[A-Za-z]+")
_TEXT_COMMAND = re.compile(r"\\(?:text|mathrm|textbf|mathbf|mbox|operatorname)\s{0,2}\{[^{}]{0,200}\}")
_PLAIN_ROOT = re.compile(r"(?<![\\A-Za-z])sqrt\(([^()]{1,200})\)")
_UNICODE_ROOT = re.compile(r"√\s{0,2}(?:\(([^()]{1,200})\)|(\d{1,60}|[A-Za-z]))")
_LATEX_BY_SIGN = {
    "π": r"\pi ", "∞": r"\infty ", "²": "^2", "³": "^3", "×": r"\times ", "·": r"\cdot ", "÷": r"\div ", "≤": r"\leq ",
    "≥": r"\geq ", "≠": r"\neq ", "±": r"\pm ", "°": r"^\circ ", "∪": r"\cup ", "∩": r"\cap ", "∅": r"\emptyset ",
}  # fmt: skip
_SIGN = re.compile("|".join(_LATEX_BY_SIGN))
_FUNCTION = re.compile(rf"(?<![\\A-Za-z])({_FUNCTIONS})(?![A-Za-z])")


def last_box(text: str) -> tuple[str, int] | None:
    """The content of the last complete ``\\boxed{...}`` and the index where that starts; None where there is none.

    The contents of boxes with nothing but "and", "or" and commas between them are joined.
    """
    boxes: list[tuple[str, int]] = []
    for match in reversed(list(_BOX.finditer(text))[-MAX_BOXES:]):
        start, brace = match.start() - text[: match.start()].endswith("\\"), match.end()
        end = _closing_brace(text, brace)
        if end is None or (boxes and (end > boxes[0][1] or not _BOX_SEPARATOR.fullmatch(text, end, boxes[0][1]))):
            if boxes:
                break
            continue
        boxes.insert(0, (text[brace + 1 : end - 1].strip(), start))
    return (", ".join(content for content, _ in boxes), boxes[0][1]) if boxes else None


def as_formula(text: str) -> str | None:
    """The LaTeX of a text that is nothing but mathematics; None for any other."""
    text = text.strip().rstrip(".").strip("` \n\t")
    for start, end in _DELIMITERS:
        if text.startswith(start) and text.endswith(end) and len(text) > len(start + end):
            text = text[len(start) : -len(end)].strip()
            break
    without_commands = _COMMAND.sub(" ", _TEXT_COMMAND.sub(" ", text))
    if not any(c.isalnum() for c in text) or "$" in text or "\\boxed" in text or _PROSE.search(without_commands):
        return None
    text = unicode_to_latex(text).strip()
    text = text.replace("**", "^").replace("*", r"\cdot ").replace("<=", r"\leq ").replace(">=", r"\geq ")
    return _FUNCTION.sub(r"\\\1 ", _PLAIN_ROOT.sub(r"\\sqrt{\1}", text))


def math_spans(text: str) -> list[str]:
    """The contents of ``$...$`` (as Pandoc parses it: two prices are no formula), ``\\(...\\)`` and ``\\[...\\]``."""
    return [next(content for content in match.groups() if content) for match in _MATH_SPAN.finditer(text)]


def unicode_to_latex(text: str) -> str:
    """A text with Unicode's mathematical signs in LaTeX."""
    text = _UNICODE_ROOT.sub(lambda match: f"\\sqrt{{{match[1] or match[2]}}}", text)
    return _SIGN.sub(lambda match: _LATEX_BY_SIGN[match[0]], text)


def _closing_brace(text: str, start: int) -> int | None:
    """The index after the brace that closes the one at ``start``; None where it never closes, or too far away."""
    depth = 0
    for i in range(start, min(len(text), start + MAX_BOX_CHARACTERS)):
        depth += (text[i] == "{") - (text[i] == "}")
        if depth == 0:
            return i + 1
    return None
