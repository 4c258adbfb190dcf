"""Deviations of a server from the common form of requests, learned from its refusals."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from potstill.models import Completion, ErrorKind, Request
from potstill.models.specs import Endpoint

RENAMED_LIMITS = ("max_completion_tokens", "max_output_tokens", "max_new_tokens")
"""Other names of ``max_tokens``."""
MEANINGS = {
    "temperature": "answers are drawn at the server's own temperature: they are not greedy, and differ when asked again",
    "top_p": "answers are drawn with the server's own top_p",
    "seed": "the same draw cannot be repeated",
    "max_tokens": "only the server limits the new tokens",
    "logprobs": "no log probabilities are stored",
    "response_format": "the JSON Schema is in the prompt",
    "stop": "answers continue after the texts at which they should stop",
    "n": "each request has one answer",
    "system": "the system prompt is put before the first user message",
}
"""Fields that can be left out of a request, and what that means for the answers."""
SPELLINGS = {
    "temperature": r"temperature",
    "top_p": r"top[ _-]?p",
    "seed": r"(?:random[ _]?)?seed",
    "max_tokens": r"max(?:_completion|_output|_new)?_tokens|max(?:Output|New)?Tokens",
    "logprobs": r"(?:top[ _-]?)?log[ _-]?probs|responseLogprobs",
    "response_format": r"response[ _-]?(?:format|schema)|json[ _-]?schema|responseMimeType|structured outputs?",
    "stop": r"stop(?:[ _-]?sequences?)?|stopSequences",
    "n": r"(?<=['\"`.])n(?=['\"`:])|n(?= (?:must|should|is)\b)|(?<=parameter )n|candidateCount",
    "stream_options": r"stream_options|include_usage",
}
_NAMED = {
    name: re.compile(rf"(?<![\w-])(?:{spelling})(?![\w-])", re.IGNORECASE) for name, spelling in SPELLINGS.items()
}
_REFUSING = re.compile(
    r"unsupported|\bunrecogni[sz]ed|\bunknown|\bunexpected|\bextra (?:inputs?|fields?)|extra_forbidden|additional propert|\binvalid"
    r"|\bdeprecated|\bno longer|\bcan ?not\b|\bcan't|n't (?:support|accept|allow|take)|\bmust\b|\bmay only|\bshould be|\bunset\b"
    r"|\bforbidden|\bdisallowed|\bincompatible|\bremove|\bcannot find field|\bno such|\bnot (?:\w+ ){0,2}(?:a |an )?(?:support|allow"
    r"|permit|accept|available|recogni[sz]ed|enabled|valid|compatible|defined|expected|implemented|exist|take)|\bno endpoints? found"
    r"|\bonly\b.{0,40}\b(?:supported|allowed|accepted|permitted)|\bonly supports?\b|\bsupports? only\b|\breject|\brefus",
    re.IGNORECASE,
)
_LISTED = re.compile(
    r"(?<!not )(?<!not a )(?<!not an )(?<!n't )\b(?:supported|allowed|valid|accepted|permitted|known|available|expected)\b[^.:;]{0,40}(?::| are\b| include\b| one of\b).*",
    re.IGNORECASE | re.DOTALL,
)
"""A list of the fields that the server does know."""
_RANGE = re.compile(
    r"less than|[<>]=|\bbetween\b|\brange\b|\bmaximum\b|\bat most\b|\btoo (?:large|high|big|long|many)|\bexceed|\bgreater than\b"
    r"|\bat least\b|\bpositive\b",
    re.IGNORECASE,
)
"""The server takes the field, but not this value."""
_TOGETHER = re.compile(
    r"\bboth\b|\btogether\b|same time|only one of|mutually|\bone of them\b|cannot also", re.IGNORECASE
)
_SYSTEM = re.compile(
    r"\bsystem\b['\"`]? (?:role|prompt|message|instruction)s?\b.{0,30}(?:\bnot\b|n't\b|unsupported|forbidden|disallowed)"
    r"|['\"`]system['\"`].{0,40}(?:\bnot\b|n't\b|unsupported)|not support ['\"`]?(?:the )?['\"`]?system\b"
    r"|(?:unexpected|unsupported|invalid|unknown) (?:message )?(?:role|variant)\b.{0,20}\bsystem|developer instruction is not"
    r"|roles must alternate|only user(?:,| and)? (?:assistant|model)\b.{0,20}roles|should be 'user' or 'assistant'",
    re.IGNORECASE,
)
_CLAUSE_ENDS = re.compile(r";|\n|\.(?=\s|$)")
_LEARNED_FROM = (ErrorKind.INVALID_REQUEST, ErrorKind.NOT_FOUND, ErrorKind.OVERLOADED)


@dataclass(frozen=True)
class Dialect:
    """What a server does not take, in the order in which it said so: names of `MEANINGS`, of `RENAMED_LIMITS`, and of fields
    that change no answer."""

    deviations: tuple[str, ...] = ()

    @property
    def limit_field(self) -> str:
        """The field that limits new tokens; newer models of OpenAI require ``max_completion_tokens``."""
        return next((name for name in reversed(self.deviations) if name in RENAMED_LIMITS), "max_tokens")

    def lacks(self, field: str) -> bool:
        return field in self.deviations

    def after(self, request: Request, refusal: Completion, sent: Iterable[str]) -> "Dialect | None":
        """The dialect to use after a request in this one was refused; None when the refusal has another reason.

        ``sent`` are the fields of the request's body. Where a server of unknown health (status 5xx) or an unknown address (404)
        may be the reason, the refusal must name a field as clearly.
        """
        if refusal.error not in _LEARNED_FROM:
            return None
        found = [name for name in self._refused(request, refusal.detail, set(sent)) if name not in self.deviations]
        return Dialect((*self.deviations, *found)) if found else None

    def __or__(self, other: "Dialect") -> "Dialect":
        """A dialect with the deviations of both."""
        return Dialect(tuple(dict.fromkeys((*self.deviations, *other.deviations))))

    def _refused(self, request: Request, words: str, sent: set[str]) -> list[str]:
        if self.limit_field in sent and (other := self._other_limit(words)):
            return [other]
        if _has_system(request) and _SYSTEM.search(words):
            return ["system"]
        named: dict[str, str] = {}
        for clause in _CLAUSE_ENDS.split(_LISTED.sub("", words)):
            if _REFUSING.search(clause):
                for name, pattern in _NAMED.items():
                    if (name in sent or (name == "max_tokens" and self.limit_field in sent)) and pattern.search(clause):
                        named.setdefault(name, clause)
        if {"temperature", "top_p"} <= named.keys() and _TOGETHER.search(words):
            return ["top_p"]
        return [
            self._missing(name)
            for name, clause in named.items()
            if not _RANGE.search(clause) or _needs(name, request, clause)
        ]

    def _other_limit(self, words: str) -> str:
        """The name that a refusal gives the limit in place of the present one."""
        if self.limit_field != "max_tokens":
            return ""
        return next((name for name in RENAMED_LIMITS if name in words), "")

    def _missing(self, name: str) -> str:
        """A limit that is refused by one name is sent by another before it is left out."""
        renamed = name == "max_tokens" and self.limit_field == "max_tokens"
        return RENAMED_LIMITS[0] if renamed else name


def _has_system(request: Request) -> bool:
    return bool(request.messages) and request.messages[0]["role"] == "system"


def _needs(name: str, request: Request, clause: str) -> bool:
    """Whether a value outside of a server's range is the one that means "as always", so that the field says nothing."""
    if "unset" in clause.lower():
        return True
    return name == "temperature" and request.sampling.temperature == 0


def accepted(body: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
    """The body without the fields that the server does not take; null takes a field out too."""
    without = set(dialect.deviations) - set(RENAMED_LIMITS)
    if dialect.lacks("logprobs"):
        without.add("top_logprobs")
    if dialect.limit_field != "max_tokens":
        without.add("max_tokens")
    if dialect.lacks("max_tokens"):
        without.update(RENAMED_LIMITS)
    return {name: value for name, value in body.items() if value is not None and name not in without}


def folded(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages with a system prompt before the first user message's text."""
    if len(messages) < 2 or messages[0]["role"] != "system":
        return messages
    first, second, *rest = messages
    return [{**second, "content": f"{first['content']}\n\n{second['content']}"}, *rest]


def news(learned: Dialect, known: Sequence[str], endpoint: Endpoint) -> Iterator[str]:
    """What a user should know of the deviations that were not known before; nothing of those that change no answer."""
    for deviation in learned.deviations:
        if deviation in MEANINGS and deviation not in known:
            own = ", which extra_body sets" if deviation in endpoint.extra_body else ""
            what = "a system prompt" if deviation == "system" else f"'{deviation}'{own}"
            yield f"{endpoint.model} does not take {what}; it is left out from now on: {MEANINGS[deviation]}"
