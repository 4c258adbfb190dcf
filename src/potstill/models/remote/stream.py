"""Answers that come in pieces, as server-sent events."""

import codecs
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from potstill.models.remote.wire import SHOWN, text_of, token_count

_LINE_END = re.compile(r"\r\n|\n|\r")
_DECODER = codecs.getincrementaldecoder("utf-8-sig")
MOST_LINES = 100
"""Lines that the data of one event may have."""


@dataclass
class Streamed:
    """An answer that comes in pieces (server-sent events), put together as if it had come at once."""

    parts: dict[str, list[str]] = field(default_factory=lambda: {"content": [], "reasoning_content": [], "refusal": []})
    tokens: list[Any] = field(default_factory=list)
    finish_reason: str | None = None
    usage: Mapping[str, Any] | None = None
    error: Any = None
    done: bool = False
    _data: list[str] = field(default_factory=list)
    _rest: str = ""
    _decoder: codecs.IncrementalDecoder = field(default_factory=lambda: _DECODER("replace"))

    def feed(self, block: bytes) -> None:
        """Raises `ValueError` for what is no event of a chat completion."""
        text = self._rest + self._decoder.decode(block)
        half = len(text) - text.endswith("\r")  # of a line's end, perhaps
        *lines, self._rest = _LINE_END.split(text[:half])
        self._rest += text[half:]
        for line in lines:
            self._line(line)

    def _line(self, line: str) -> None:
        """An event ends where its data is whole: not every server writes the empty line after it."""
        if line.startswith("data:"):
            self._data.append(line[5:])
        elif line or not self._data:
            return
        data = "\n".join(self._data).strip()
        try:
            event = json.loads(data) if data not in ("", "[DONE]") else data
        except (ValueError, RecursionError) as error:
            if line and len(self._data) < MOST_LINES:
                return
            raise ValueError(f"not an event of a chat completion: {data[:SHOWN]}") from error
        self._data.clear()
        if event == "[DONE]":
            self.done = True
        elif event:
            self._event(event)

    def _event(self, event: Any) -> None:
        try:
            self.error = self.error or event.get("error")
            self.usage = event.get("usage") or self.usage
            for choice in event.get("choices") or []:
                if token_count(choice.get("index")):
                    continue
                delta = choice.get("delta") or (not self.begun and choice.get("message")) or {}
                for name, parts in self.parts.items():
                    parts.append(text_of(delta.get(name)))
                if not delta.get("reasoning_content"):
                    self.parts["reasoning_content"].append(text_of(delta.get("reasoning")))
                self.tokens += (choice.get("logprobs") or {}).get("content") or []
                self.finish_reason = choice.get("finish_reason") or self.finish_reason
        except (RecursionError, LookupError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"not an event of a chat completion ({error!r})") from error

    @property
    def begun(self) -> bool:
        """Whether anything of the answer has come."""
        return self.finish_reason is not None or self.error is not None or any(map(any, self.parts.values()))

    def answer(self) -> bytes:
        """Raises `ValueError` when the end did not come."""
        for line in (self._rest.rstrip("\r"), ""):
            self._line(line)
        if self.error is not None:
            return json.dumps(
                {"error": self.error if isinstance(self.error, dict) else {"message": self.error}}
            ).encode()
        if self.finish_reason is None and not (self.done and self.begun):
            raise ValueError("the stream broke off")
        message = {name: "".join(parts) for name, parts in self.parts.items() if any(parts)}
        choice = {"message": message, "finish_reason": self.finish_reason, "logprobs": {"content": self.tokens}}
        return json.dumps({"choices": [choice], "usage": self.usage}).encode()
