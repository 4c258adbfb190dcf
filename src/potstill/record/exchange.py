"""What is held of a request and its answer until the log has it, within a bound for all of them."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_BODY_BYTES = 8 << 20
"""A request or an answer that is longer passes and is not recorded."""
MAX_HELD_BYTES = 256 << 20
"""Bytes of all exchanges that are in flight or wait for the log; what exceeds them passes and is not recorded."""
TOO_LONG, LOST = "too long", "lost, because the log is slower than the traffic"
OVERHEAD_BYTES = 4096
"""What an exchange counts for besides its bodies."""


class Room:
    """Counts the bytes that are held. The server's loop takes them, the writer's thread gives them back."""

    def __init__(self, limit: int = MAX_HELD_BYTES) -> None:
        self.limit, self.held = limit, 0
        self._lock = threading.Lock()

    def take(self, n: int) -> bool:
        """Whether there is room for ``n`` more bytes, which are then held."""
        with self._lock:
            if self.held + n > self.limit:
                return False
            self.held += n
            return True

    def give(self, n: int) -> None:
        with self._lock:
            self.held -= n


@dataclass(slots=True)
class Body:
    """The bytes of a body as they pass, and how they are encoded."""

    parts: list[bytes] = field(default_factory=list)
    size: int = 0
    content_type: str = ""
    encoding: str = ""

    def bytes(self) -> bytes:
        return b"".join(self.parts)


class Exchange:
    """A request and its answer. ``why_not``: why it is not recorded, as the summary counts it; empty otherwise."""

    __slots__ = ("answer", "held", "request", "room", "secrets", "why_not")

    def __init__(self, room: Room, secrets: frozenset[str] = frozenset()) -> None:
        self.request, self.answer, self.room, self.secrets = Body(), Body(), room, secrets
        self.why_not, self.held = "", 0
        self._hold(OVERHEAD_BYTES)

    def add(self, body: Body, part: bytes) -> None:
        """Keep a part of one of its bodies, unless that is too much."""
        if self.why_not:
            return
        body.size += len(part)
        if body.size > MAX_BODY_BYTES:
            self.skip(TOO_LONG)
        elif self._hold(len(part)):
            body.parts.append(part)

    def skip(self, why: str) -> None:
        """Let go of it: it passes and is not recorded."""
        self.why_not = self.why_not or why
        self.close()

    def close(self) -> None:
        """Give its room back."""
        self.request.parts, self.answer.parts = [], []
        self.room.give(self.held)
        self.held = 0

    def _hold(self, n: int) -> bool:
        if not self.room.take(n):
            self.skip(LOST)
            return False
        self.held += n
        return True


def secrets_of(headers: Mapping[str, str], query: Mapping[str, str]) -> frozenset[str]:
    """The keys that a request carries beside its body: they are masked wherever a text repeats them."""
    values = [value for name, value in headers.items() if name.lower() in SECRET_HEADERS or _sounds_secret(name)]
    values += [value for name, value in query.items() if _sounds_secret(name)]
    words = {word for value in values for word in value.split()}
    return frozenset(word for word in words if len(word) >= MIN_SECRET_CHARACTERS)


SECRET_HEADERS = ("authorization", "proxy-authorization", "cookie")
MIN_SECRET_CHARACTERS = 8
"""A shorter word of a header is no key: `Bearer`."""


def _sounds_secret(name: str) -> bool:
    folded = name.lower().replace("_", "-")
    return any(part in folded for part in ("key", "token", "secret", "password", "signature")) or folded in (
        "code",
        "sig",
    )
