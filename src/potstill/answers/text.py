"""A text as it is read: one form for what can be written in several, bounded, in time linear in its length."""

import re
import unicodedata
from decimal import Decimal

LONGEST = 20_000
"""Characters of a text that are read, counted from its end."""

ANSWER_WORDS = (
    "answer|réponse|respuesta|antwort|risposta|resposta|antwoord|svar|vastaus|odpowiedź|odpověď|válasz|răspuns|ответ|"
    "відповідь|απάντηση|cevap|yanıt|jawaban|jawapan|sagot|câu trả lời|trả lời|đáp án|答案|答え|回答|정답|답|الإجابة|الجواب|"
    "پاسخ|תשובה|उत्तर|উত্তর|பதில்|คำตอบ|jibu"
)
"""The word that announces an answer, in the languages of the field's multilingual sets."""

WITH_DECIMAL_COMMA = frozenset(
    ["afrikaans", "bulgarian", "catalan", "croatian", "czech", "danish", "dutch", "estonian", "finnish", "french", "german",
     "greek", "hungarian", "indonesian", "italian", "latvian", "lithuanian", "norwegian", "polish", "portuguese", "romanian",
     "russian", "serbian", "slovak", "slovenian", "spanish", "swedish", "turkish", "ukrainian", "vietnamese"]
)  # fmt: skip
_BETWEEN = r"[. \u00a0\u202f]"
_COMMA = re.compile(
    rf"(?<![\d.,(\[{{])(\d{{1,3}}(?:{_BETWEEN}\d{{3}}){{1,9}}|\d{{1,30}}),(\d{{1,30}})(?![\d,)\]}}]|\.\d)"
)
_TOKEN = re.compile(r"<\|[^<>|]{1,40}\|>")
_THIN = re.compile(r"(?<=\d)(?:\\[,;:!]|\{,\}|,\\!)\s{0,3}(?=\d{3}(?!\d))")
_MIXED = re.compile(r"(?<![\w./,])(\d{1,15}) (\d{1,4})/(\d{1,4})(?![\d/])")
_MINUS = re.compile(r"−|(?<![\w)\]}])–(?=\d)")
_SIGNED = re.compile(r"(?<![\w)\]}$])([-+])([$€£¥])(?=\d)")
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:\.\d{3}){2,9}(?![\d.,])")
_VULGAR = re.compile(r"(\d{1,15})?\s?([¼½¾⅐-⅞])")
_GLUED = re.compile(
    r"(?<=[\u3000-\u9fff\uac00-\ud7a3\uff00-\uffef])(?=[-\d$\\])|(?<=[\d$])(?=[\u3040-\u9fff\uac00-\ud7a3])"
)
_EXPONENT = re.compile(r"(?<![\w.])(\d{1,15}(?:\.\d{1,15})?)[eE]([-+]?\d{1,2})(?![\w.])")
_PERCENT = re.compile(r"(?<=[\d}])\s{0,3}(?:\\text\{\s{0,3})?per\s?cent(?:age)?\b(?:\s{0,3}\})?", re.IGNORECASE)
_ANNOUNCED = re.compile(r"answer\s{0,3}:[ \t]{0,8}", re.IGNORECASE)
MOST_BOXES, LONGEST_BOX = 12, 2000
_BOX = re.compile(r"boxed\s{0,2}(?=\{)")
_JOINED = re.compile(r"[\s$,;.]{0,8}(?:\\quad|\\text\{\s?(?:and|or)\s?\}|and|or|\\ |[\s$,;.]){0,8}")
_FENCES = (("$$", "$$"), ("$", "$"), (r"\[", r"\]"), (r"\(", r"\)"))
_FUNCTIONS = "sin|cos|tan|sec|csc|cot|arcsin|arccos|arctan|log|ln|exp|pi|infty"
_PROSE = re.compile(rf"(?<![A-Za-z\\])(?!(?:{_FUNCTIONS}|sqrt|or|and)(?![A-Za-z]))[A-Za-z]{{2,}}|[\u0370-\uffff]{{2,}}")
_SPAN = re.compile(r"\$(?=[^\s$])([^$\n]{1,400}?)(?<=\S)\$(?!\d)|\\\(([^\n]{1,400}?)\\\)|\\\[([^\n]{1,400}?)\\\]")
_COMMAND = re.compile(r"\\[A-Za-z]+")
_TEXTS = re.compile(r"\\(?:text|mathrm|textbf|mathbf|mbox|operatorname)\s{0,2}\{[^{}]{0,200}\}")
_ROOT = re.compile(r"(?<![\\A-Za-z])sqrt\(([^()]{1,200})\)")
_OF = re.compile(r"√\s{0,2}(?:\(([^()]{1,200})\)|(\d{1,60}|[A-Za-z]))")
_SIGNS = {
    "π": r"\pi ", "∞": r"\infty ", "²": "^2", "³": "^3", "×": r"\times ", "·": r"\cdot ", "÷": r"\div ", "≤": r"\leq ",
    "≥": r"\geq ", "≠": r"\neq ", "±": r"\pm ", "°": r"^\circ ", "∪": r"\cup ", "∩": r"\cap ", "∅": r"\emptyset ",
}  # fmt: skip
_SIGN = re.compile("|".join(_SIGNS))
_FUNCTION = re.compile(rf"(?<![\\A-Za-z])({_FUNCTIONS})(?![A-Za-z])")
_PUNCTUATION = ".,;:!?\"'`*。，！？ \t\n"


def tidy(text: str, language: str = "english") -> str:
    """Its last `LONGEST` characters with plain digits, signs, fractions, percents and no marks of a chat template.

    In a language that writes 1.234,5 that becomes 1234.5.
    """
    text = text[-LONGEST:]
    if language.lower() in WITH_DECIMAL_COMMA:
        text = _COMMA.sub(lambda match: f"{re.sub(_BETWEEN, '', match[1])}.{match[2]}", text)
        text = _THOUSANDS.sub(lambda match: match[0].replace(".", ""), text)
    text = _VULGAR.sub(_fraction, text)
    text = "".join(c if c.isascii() else _plain(c) for c in text)
    text = _SIGNED.sub(r"\2\1", _MINUS.sub("-", text))
    text = text.replace("\u00a0", " ").replace("\u202f", " ").replace("⁄", "/")
    text = _TOKEN.sub(" ", text)
    text = _GLUED.sub(" ", _THIN.sub("", text))
    text = _EXPONENT.sub(lambda match: f"{Decimal(match[0]):f}", text)
    return _PERCENT.sub(r"\%", text).strip()


def _plain(c: str) -> str:
    """A digit of any script, or a letter of full width, as the ASCII one."""
    if c.isdecimal():
        return str(unicodedata.decimal(c))
    return unicodedata.normalize("NFKC", c) if "Ａ" <= c <= "ｚ" and c.isalpha() else c


def _fraction(match: re.Match[str]) -> str:
    whole, sign = match[1], unicodedata.normalize("NFKC", match[2])
    above, _, below = sign.partition("⁄")
    return f"{int(whole or 0) * int(below) + int(above)}/{below}"


def boxed(text: str) -> tuple[str, int] | None:
    """What stands in the last ``\\boxed{...}``, and where that starts; None where there is none that ends.

    Boxes with nothing but "and", "or" and commas between them are read together.
    """
    found: list[tuple[str, int]] = []
    for match in reversed(list(_BOX.finditer(text))[-MOST_BOXES:]):
        at, opens = match.start() - text[: match.start()].endswith("\\"), match.end()
        end = _closed(text, opens)
        if end is None or (found and (end > found[0][1] or not _JOINED.fullmatch(text, end, found[0][1]))):
            if found:
                break
            continue
        found.insert(0, (text[opens + 1 : end - 1].strip(), at))
    return (", ".join(inside for inside, _ in found), found[0][1]) if found else None


def _closed(text: str, start: int) -> int | None:
    """Where the brace that opens at ``start`` has closed; None where it never does, or too far away."""
    depth = 0
    for i in range(start, min(len(text), start + LONGEST_BOX)):
        depth += (text[i] == "{") - (text[i] == "}")
        if depth == 0:
            return i + 1
    return None


def formula(text: str) -> str | None:
    """The LaTeX of a text that is mathematics and no prose; None for any other."""
    text = text.strip().rstrip(".").strip("` \n\t")
    for start, end in _FENCES:
        if text.startswith(start) and text.endswith(end) and len(text) > len(start + end):
            text = text[len(start) : -len(end)].strip()
            break
    without = _COMMAND.sub(" ", _TEXTS.sub(" ", text))
    if not any(c.isalnum() for c in text) or "$" in text or "\\boxed" in text or _PROSE.search(without):
        return None
    text = (
        latex(text).strip().replace("**", "^").replace("*", r"\cdot ").replace("<=", r"\leq ").replace(">=", r"\geq ")
    )
    return _FUNCTION.sub(r"\\\1 ", _ROOT.sub(r"\\sqrt{\1}", text))


def spans(text: str) -> list[str]:
    """What stands between marks of mathematics: ``$...$`` (as Pandoc reads it: two prices are none), ``\\(...\\)``, ``\\[...\\]``."""
    return [next(inside for inside in match.groups() if inside) for match in _SPAN.finditer(text)]


def improper(text: str) -> str:
    """A text with its mixed numbers as fractions: 3 1/2 as 7/2; 10 20/3 is none."""

    def fraction(match: re.Match[str]) -> str:
        whole, above, below = map(int, match.groups())
        return f"{whole * below + above}/{below}" if 0 < above < below else match[0]

    return _MIXED.sub(fraction, text)


def latex(text: str) -> str:
    """A text with Unicode's mathematical signs in LaTeX."""
    text = _OF.sub(lambda match: f"\\sqrt{{{match[1] or match[2]}}}", text)
    return _SIGN.sub(lambda match: _SIGNS[match[0]], text)


def announced(text: str, how_much: str) -> str | None:
    """What stands after the last "ANSWER:": a letter, a word, or the rest of the line; None where nothing does."""
    if not (found := list(_ANNOUNCED.finditer(text))):
        return None
    line = text[found[-1].end() :].partition("\n")[0].strip()
    if how_much == "line":
        return line or None
    word = line.strip(_PUNCTUATION + "()[]")
    if " " in word or (how_much == "letter" and len(word) != 1):
        return None
    return word or None


def bare(text: str) -> str:
    """Without the accidents of case, space and punctuation around it."""
    return " ".join(text.casefold().split()).strip(_PUNCTUATION)


def says(gold: str, prediction: str, location: str) -> bool:
    """Whether a text holds the words of the gold there."""
    gold, prediction = bare(gold), bare(prediction)
    if location == "exact" or not gold:
        return gold == prediction
    edges = (r"(?<!\w)" if gold[0].isalnum() else "", r"(?!\w)" if gold[-1].isalnum() else "")
    inner = edges[0] + re.escape(gold) + edges[1]
    match location:
        case "begin":
            return re.match(inner, prediction) is not None
        case "any":
            return re.search(inner, prediction) is not None
        case _:
            return prediction.endswith(gold) and re.search(inner + r"\Z", prediction) is not None
