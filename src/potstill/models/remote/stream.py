"""Streamed responses: server-sent events, assembled into one chat completion."""

import codecs
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from potstill.models.remote.wire import EXCERPT_LENGTH, content_text, message_text, parse_token_count

_LINE_END = re.compile(r"\r\n|\n|\r")
_DECODER = codecs.getincrementaldecoder("utf-8-sig")
MAX_LINES_PER_EVENT = 100
"""Lines that the data of one event may have."""


@dataclass
class StreamAssembler:
    """Assembles the chunks of a streamed response into the response that an unstreamed request would get."""

    parts: dict[str, list[str]] = field(default_factory=lambda: {"content": [], "reasoning_content": [], "refusal": []})
    tokens: list[Any] = field(default_factory=list)
    """Log-probabilities of the answer's tokens, in the server's form."""
    finish_reason: str | None = None
    usage: Mapping[str, Any] | None = None
    error: Any = None
    done: bool = False
    """Whether ``[DONE]`` has arrived."""
    _taken: int = 0
    _data: list[str] = field(default_factory=list)
    _rest: str = ""
    _decoder: codecs.IncrementalDecoder = field(default_factory=lambda: _DECODER("replace"))

    def feed(self, block: bytes) -> None:
        """Process bytes as they arrive. Raises `ValueError` for an event that is not part of a chat completion."""
        text = self._rest + self._decoder.decode(block)
        end = len(text) - text.endswith("\r")  # which may be the first half of a line end
        *lines, self._rest = _LINE_END.split(text[:end])
        self._rest += text[end:]
        for line in lines:
            self._process_line(line)

    def _process_line(self, line: str) -> None:
        """An event ends where its data is complete JSON: not every server writes the empty line after it."""
        if line.startswith("data:"):
            self._data.append(line[5:])
        elif line or not self._data:
            return
        data = "\n".join(self._data).strip()
        try:
            event = json.loads(data) if data not in ("", "[DONE]") else data
        except (ValueError, RecursionError) as error:
            if line and len(self._data) < MAX_LINES_PER_EVENT:
                return
            raise ValueError(f"not an event of a chat completion: {data[:EXCERPT_LENGTH]}") from error
        self._data.clear()
        if event == "[DONE]":
            self.done = True
        elif event:
            self._process_event(event)

    def _process_event(self, event: Any) -> None:
        try:
            self.error = self.error or event.get("error")
            self.usage = event.get("usage") or self.usage
            for choice in event.get("choices") or []:
                if parse_token_count(choice.get("index")):
                    continue
                delta = choice.get("delta") or (not self.started and choice.get("message")) or {}
                text, thoughts = message_text(delta)
                self.parts["content"].append(text)
                self.parts["reasoning_content"].append(thoughts)
                self.parts["refusal"].append(content_text(delta.get("refusal")))
                self.error = self.error or choice.get("error")
                self.tokens += (choice.get("logprobs") or {}).get("content") or []
                self.finish_reason = choice.get("finish_reason") or self.finish_reason
        except (RecursionError, LookupError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"not an event of a chat completion ({error!r})") from error

    @property
    def started(self) -> bool:
        """Whether any part of the answer has arrived."""
        return self.finish_reason is not None or self.error is not None or any(map(any, self.parts.values()))

    def take(self) -> str:
        """The text of the answer that has arrived since the last call, as the server sent it."""
        parts = self.parts["content"][self._taken :]
        self._taken += len(parts)
        return "".join(parts)

    def response(self) -> bytes:
        """The body of the assembled response. Raises `ValueError` when the stream ended early."""
        for line in (self._rest.rstrip("\r"), ""):
            self._process_line(line)
        if self.error is not None:
            return json.dumps(
                {"error": self.error if isinstance(self.error, dict) else {"message": self.error}}
            ).encode()
        if self.finish_reason is None and not (self.done and self.started):
            raise ValueError("the stream ended early")
        message = {name: "".join(parts) for name, parts in self.parts.items() if any(parts)}
        choice = {"message": message, "finish_reason": self.finish_reason, "logprobs": {"content": self.tokens}}
        return json.dumps({"choices": [choice], "usage": self.usage}).encode()
