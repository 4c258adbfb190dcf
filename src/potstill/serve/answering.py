"""Who answers a request."""

from collections.abc import AsyncGenerator
from typing import Protocol

from potstill.serve.client import Client
from potstill.serve.prompt import Piece, Reply
from potstill.serve.requests import Asked


class Answering(Protocol):
    """Answers requests, at once or piece by piece. Both raise `EngineError`."""

    async def reply(self, asked: Asked) -> Reply:
        """The whole answer."""

    def pieces(self, asked: Asked) -> AsyncGenerator[Piece, None]:
        """The answer as it comes; see `Client.pieces`."""


class StudentAnswers:
    """The student's engine alone."""

    def __init__(self, engine: Client) -> None:
        self.engine = engine

    async def reply(self, asked: Asked) -> Reply:
        return await self.engine.reply(asked.prompt)

    def pieces(self, asked: Asked) -> AsyncGenerator[Piece, None]:
        return self.engine.pieces(asked.prompt)


class Watcher(Protocol):
    """Is shown the answers that clients got."""

    def see(self, asked: Asked, reply: Reply) -> None:
        """Look at an answer. Returns at once, and never raises."""
