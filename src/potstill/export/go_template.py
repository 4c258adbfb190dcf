"""A student's chat template in the language of Ollama's templates, Go's text/template.

A template of Hugging Face is a program in Jinja. Many of these frame each message in the same way whatever precedes it. For those the
frames are found by rendering a few chats, and written in Go; `go_rendering` shows what comes of it, which must be what the student's
template makes. Others are refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from potstill.errors import RecipeError
from potstill.export.go_rendering import render

if TYPE_CHECKING:
    from potstill.models import Message
    from potstill.models.local.chat_template import ChatTemplate

ROLES = {"system": "Qsystem", "user": "Quser", "assistant": "Qreply"}
SHAPES = (
    ("user",),
    ("system", "user"),
    ("user", "assistant", "user"),
    ("system", "user", "assistant", "user"),
    ("user", "assistant", "user", "assistant", "user"),
    ("system", "user", "assistant", "user", "assistant", "user"),
)
"""The roles of the chats on which both templates must agree."""
TEXTS = ("Q", "two\n\nlines", "of 5 < 7 & \"quotes\" {{ braces }} 'and' \\n é 漢", "# a\n```\ncode\n```")
"""Texts that a template must leave as they are."""


@dataclass(frozen=True)
class Frames:
    """What a template writes around messages.

    start: before the first user's message, without a system message. system: before and after a system message, which is the first;
    None where the template takes none. user: before a user's message. reply: between it and the reply. after: after a reply. open: after the
    last user's message, where the reply begins.
    """

    start: str
    system: tuple[str, str] | None
    user: str
    reply: str
    after: str
    open: str


def go_template(chat: "ChatTemplate") -> str:
    """The chat template in Go. Raises `RecipeError` with the reason where Ollama cannot express it."""
    frames = _frames(chat)
    text = written(frames)
    for shape in SHAPES:
        if frames.system is None and "system" in shape:
            continue
        for messages in (_chat(shape, [one] * len(shape)) for one in TEXTS):
            _require_same(chat, text, messages, shape)
        _require_same(chat, text, _chat(shape, [f"{ROLES[role]}{i}" for i, role in enumerate(shape)]), shape)
    return text


def written(frames: Frames) -> str:
    """Frames as a template in Go. All texts are quoted, so that its own spaces and line breaks count for nothing."""
    before, after = frames.system or ("", "")
    if frames.system:
        head = [
            "{{- if .System -}}",
            _quoted(before),
            "{{- .System -}}",
            _quoted(after),
            "{{- else -}}",
            _quoted(frames.start),
            "{{- end -}}",
        ]
    else:
        head = [_quoted(frames.start)]
    lines = [
        *head,
        "{{- range .Messages -}}",
        '{{- if eq .Role "user" -}}', _quoted(frames.user), "{{- .Content -}}",
        '{{- else if eq .Role "assistant" -}}', _quoted(frames.reply), "{{- .Content -}}", _quoted(frames.after), "{{- end -}}",
        "{{- end -}}",
        _quoted(frames.open),
    ]  # fmt: skip
    return "\n".join(line for line in lines if line)


def trims(chat: "ChatTemplate") -> bool:
    """Whether the template takes spaces away around messages, which no template of Ollama can."""
    shown = chat.text([{"role": "user", "content": "  Quser  "}])
    return "  Quser  " not in shown


def _quoted(text: str) -> str:
    """A text as an action in Go; braces and quotes are escaped, since they would end an action, or the template in a Modelfile."""
    if not text:
        return ""
    escapes = {"\\": "\\\\", '"': "\\u0022", "{": "\\u007b", "}": "\\u007d", "\n": "\\n", "\t": "\\t"}
    return '{{- "' + "".join(escapes.get(c, c if ord(c) >= 32 else f"\\u{ord(c):04x}") for c in text) + '" -}}'


def _frames(chat: "ChatTemplate") -> Frames:
    start, opening = _parts(chat, ("user",))
    first, reply, between, last = _parts(chat, ("user", "assistant", "user"))
    if (first, last) != (start, opening):
        raise _inexpressible("it shows the first or the last message of a longer chat in another way")
    system, ends = None, [start, between]
    if not chat.refusal(("system", "user")):
        before, after, also_last = _parts(chat, ("system", "user"))
        if also_last != opening:
            raise _inexpressible("it shows a question after a system message in another way")
        system, ends = (before, after), [*ends, after]
    user = _common_end(ends)
    if system:
        system = system[0], system[1].removesuffix(user)
    return Frames(start.removesuffix(user), system, user, reply, between.removesuffix(user), opening)


def _common_end(texts: Sequence[str]) -> str:
    """The longest text with which all of them end."""
    shortest = min(texts, key=len)
    return next(end for at in range(len(shortest) + 1) if all(text.endswith(end := shortest[at:]) for text in texts))


def _parts(chat: "ChatTemplate", roles: Sequence[str]) -> list[str]:
    """What the template writes before, between and after messages of these roles."""
    texts = [f"{ROLES[role]}{i}" for i, role in enumerate(roles)]
    if reason := chat.refusal(roles):
        raise _inexpressible(f"it cannot show a chat of {', '.join(roles)}: {reason}")
    rest, parts = chat.text(_chat(roles, texts)), []
    for text in texts:
        if rest.count(text) != 1:
            raise _inexpressible(
                f"it does not show the messages of a chat of {', '.join(roles)} in their order, each once"
            )
        part, _, rest = rest.partition(text)
        parts.append(part)
    return [*parts, rest]


def _chat(roles: Sequence[str], texts: Sequence[str]) -> list[dict[str, str]]:
    return [{"role": role, "content": text} for role, text in zip(roles, texts, strict=True)]


def _require_same(chat: "ChatTemplate", text: str, messages: "Sequence[Message]", shape: Sequence[str]) -> None:
    if chat.refusal(shape):
        return
    if render(text, messages) != chat.text(messages):
        raise _inexpressible(f"it does not frame each message of a chat of {', '.join(shape)} in the same way")


def _inexpressible(reason: str) -> RecipeError:
    return RecipeError(
        f"The student's chat template cannot be written for Ollama: {reason}. Use --to gguf: llama.cpp renders the template itself."
    )
