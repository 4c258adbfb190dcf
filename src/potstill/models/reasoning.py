"""Separates the reasoning of a model from its answer, in the marks of any family of models."""

import re
from dataclasses import dataclass

_TAGS = r"(?:seed:think|longcat_think|think|thinking|thoughts?|reasoning)"
_SPACED = r"[ \t]{0,3}"


@dataclass(frozen=True)
class _Marks:
    opening: re.Pattern[str]
    closing: re.Pattern[str]


_FAMILIES = (
    _Marks(
        re.compile(rf"<{_SPACED}{_TAGS}(?:\s[^<>]{{0,60}})?>", re.IGNORECASE),
        re.compile(rf"<{_SPACED}/{_SPACED}{_TAGS}{_SPACED}>", re.IGNORECASE),
    ),
    _Marks(re.compile(r"\[THINK\]"), re.compile(r"\[/THINK\]")),
    _Marks(re.compile("\u25c1think\u25b7"), re.compile("\u25c1/think\u25b7")),
    _Marks(re.compile(r"<\|channel>\s{0,3}(?:thought|analysis)\b\s{0,3}"), re.compile(r"<channel\|>")),
    _Marks(re.compile(r"<unused94>(?:thought\n)?"), re.compile(r"<unused95>")),
    _Marks(re.compile(r"<\|START_THINKING\|>"), re.compile(r"<\|END_THINKING\|>")),
    _Marks(re.compile(r"<\|begin_of_thought\|>"), re.compile(r"<\|end_of_thought\|>")),
    _Marks(re.compile(r"<\|inner_prefix\|>"), re.compile(r"<\|inner_suffix\|>")),
    _Marks(re.compile(r"Here(?: i|')s my thought process:"), re.compile(r"Here(?: i|')s my response:")),
)
_ANY_CLOSING = re.compile("|".join(f"(?:{family.closing.pattern})" for family in _FAMILIES[:-1]), re.IGNORECASE)
_HEADER = (
    r"(?:<\|start\|>\s{0,3}[\w.:-]{0,40}\s{0,3})?<\|channel\|>\s{0,3}(?P<channel>analysis|commentary|final)[^<\n]{0,80}"
    r"(?:<\|constrain\|>[^<\n]{0,40})?<\|message\|>"
)
_MESSAGE = re.compile(_HEADER)
_LATER_MESSAGE = re.compile(rf"<\|end\|>\s{{0,3}}(?=<\|start\|>\s{{0,3}}assistant){_HEADER}")
_MESSAGE_END = re.compile(r"<\|(?:end|return|call|start)\|>")
_STRIPPED = re.compile(r"(?:assistant\s{0,2})?(?:analysis|commentary)(?=[A-Z\"'(\d]|\s{0,2}\n)")
_STRIPPED_NEXT = re.compile(r"assistant\s{0,2}(?:analysis|commentary)(?=\W{0,3}[A-Z\d])")
_STRIPPED_FINAL = re.compile(r"assistant\s{0,2}final(?![a-z])|assistantfinal")
_OPENINGS = ("analysis", "assistant", "commentary", "Here is my thought process:", "Here's my thought process:")
"""How reasoning in marks without brackets begins."""
MAX_BLOCKS = 20
"""Blocks of reasoning, one after the other."""
_QUOTES = "\"'`\u201c\u201d\u2018\u2019"


def split(text: str) -> tuple[str, str]:
    """``(reasoning, answer)`` of a text that may begin with reasoning in the marks of its model's family.

    Some chat templates open a block in the prompt, so that the text contains only its end. A block without an end was cut, and
    no answer follows. Marks anywhere else belong to the answer.
    """
    if "<" not in text and "[" not in text and "\u25c1" not in text and not _may_be_stripped(text):
        return "", text
    if "<|message|>" in text and (messages := _split_channels(text)) is not None:
        return messages
    if _may_be_stripped(text) and (messages := _split_stripped(text)) is not None:
        return messages
    return _split_blocks(text)


def may_begin(text: str) -> bool:
    """Whether a text that is still coming, and has no reasoning yet, may turn out to begin with it."""
    begins = text.lstrip()
    if len(begins) < max(map(len, _OPENINGS)):
        return any(one.startswith(begins[: len(one)]) for one in _OPENINGS)
    return bool(_STRIPPED.match(begins))


def _may_be_stripped(text: str) -> bool:
    return text.startswith(("analysis", "assistant", "commentary", "Here is my", "Here's my", " ", "\n"))


def _split_blocks(text: str) -> tuple[str, str]:
    thoughts: list[str] = []
    rest, nested = text, True
    """``nested``: whether a closing mark alone may follow."""
    for _ in range(MAX_BLOCKS):
        answer = rest.lstrip()
        family = next((one for one in _FAMILIES if one.opening.match(answer)), None)
        if family:
            inside = answer[family.opening.match(answer).end() :]  # type: ignore[union-attr]
            closing = family.closing.search(inside)
            block = inside[: closing.start()] if closing else inside
            nested = bool(family.opening.search(block))
        else:
            closing = _closing_alone(rest) if nested else None
            if not closing:
                break
            inside = rest
            block, nested = inside[: closing.start()], False
        while family and (again := family.opening.match(block.lstrip())):
            block = block.lstrip()[again.end() :]
        thoughts.append(block.strip())
        rest = inside[closing.end() :] if closing else ""
    if not thoughts:
        return "", text
    return "\n\n".join(filter(None, thoughts)), rest.lstrip()


def _closing_alone(text: str) -> re.Match[str] | None:
    """The mark that ends reasoning which the prompt opened; None where the text speaks of it, or opens a block itself."""
    closing = _ANY_CLOSING.search(text)
    if not closing:
        return None
    before, after = text[: closing.start()], text[closing.end() :]
    family = next(one for one in _FAMILIES if one.closing.fullmatch(closing[0]))
    if family.opening.search(before) or before.count("```") % 2 or before[before.rfind("\n") + 1 :].count("`") % 2:
        return None
    if (before[-1:] in _QUOTES and before) or (after[:1] in _QUOTES and after and before[-1:] in _QUOTES):
        return None
    in_sentence = before[-1:] == " " and after[:1] in (" ", ",", ".", ";", ")") and after.lstrip(" ,.;)")[:1].islower()
    return None if in_sentence else closing


def _split_channels(text: str) -> tuple[str, str] | None:
    """The channels of gpt-oss (OpenAI's harmony format): all but ``final`` are reasoning. None for a text without them."""
    begins = text.lstrip()
    first = _MESSAGE.match(begins) or _LATER_MESSAGE.search(begins)
    if not first:
        return None
    thoughts = [begins[: first.start()].strip()]
    position: re.Match[str] | None = first
    for _ in range(MAX_BLOCKS):
        if position is None:
            break
        end = _MESSAGE_END.search(begins, position.end())
        part = begins[position.end() : end.start() if end else len(begins)].strip()
        if position["channel"] == "final":
            return "\n\n".join(filter(None, thoughts)), part
        thoughts.append(part)
        position = _MESSAGE.search(begins, end.start()) if end else None
    return "\n\n".join(filter(None, thoughts)), ""


def _split_stripped(text: str) -> tuple[str, str] | None:
    """As `_split_channels`, where a server has taken the marks out and left the names of the channels."""
    begins = text.lstrip()
    final = _STRIPPED_FINAL.search(begins)
    opening = _STRIPPED.match(begins)
    if not opening or (not final and "analysis" not in begins[: opening.end()]):
        return ("", begins[final.end() :].lstrip()) if final and final.start() == 0 else None
    if not final and begins[opening.end() : opening.end() + 1].isspace():
        return None
    thoughts = begins[opening.end() : final.start() if final else len(begins)]
    parts = [part.strip() for part in _STRIPPED_NEXT.split(thoughts)]
    return "\n\n".join(filter(None, parts)), begins[final.end() :].lstrip() if final else ""
