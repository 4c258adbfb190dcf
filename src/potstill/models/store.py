"""Every completion that was ever paid for, in one SQLite file, by what was asked."""

import asyncio
import hashlib
import json
import os
import sqlite3
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from potstill.models import Completion, Model, Request

KEY_VERSION = 1
LOOKED_UP = 500
"""Requests looked up in the store together."""

_COLUMNS = ("key", "text", "finish_reason", "prompt_tokens", "completion_tokens", "seconds")


def default_path(runs: Path) -> Path:
    """``POTSTILL_STORE``, or ``completions.sqlite`` beside the runs."""
    return Path(os.environ.get("POTSTILL_STORE") or runs / "completions.sqlite")


def request_key(identity: Mapping[str, Any], request: Request) -> str:
    """SHA-256 of everything that decides the answer, and of nothing else: neither the row's id nor its place."""
    sampling = asdict(request.sampling)
    if request.sampling.temperature == 0:
        sampling = {"max_tokens": request.sampling.max_tokens, "temperature": 0.0}
    asked = {
        "version": KEY_VERSION,
        "model": identity,
        "messages": [dict(message) for message in request.messages],
        "sampling": sampling,
        "sample": request.sample,
    }
    return hashlib.sha256(json.dumps(asked, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


class Store:
    """Completions by key. Safe for several processes at once (WAL)."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        # SQLite does not wait for another process that is changing the mode at the same time.
        with FileLock(f"{path}.lock"), closing(self.connect()) as connection, connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS completions (key TEXT PRIMARY KEY, text TEXT NOT NULL, finish_reason TEXT NOT NULL,"
                " prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, seconds REAL NOT NULL) WITHOUT ROWID"
            )

    def connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=60)

    def get(self, keys: Sequence[str]) -> dict[str, Completion]:
        """The stored completions among ``keys``, without id."""
        with closing(self.connect()) as connection:
            rows = connection.execute(
                f"SELECT {','.join(_COLUMNS)} FROM completions WHERE key IN (SELECT value FROM json_each(?))",
                [json.dumps(keys)],
            )
            return {row[0]: Completion("", 0, cached=True, **dict(zip(_COLUMNS, row, strict=True))) for row in rows}

    def put(self, completions: Sequence[Completion]) -> None:
        """Commit completions; one that is there already stays."""
        with closing(self.connect()) as connection, connection:
            connection.executemany(
                f"INSERT OR IGNORE INTO completions ({','.join(_COLUMNS)}) VALUES ({','.join('?' * len(_COLUMNS))})",
                [tuple(getattr(c, column) for column in _COLUMNS) for c in completions],
            )


class StoredModel:
    """A model whose answers are kept: stored ones are served, new ones committed before anyone sees them."""

    def __init__(self, model: Model, store: Store) -> None:
        self.model, self.store, self.identity = model, store, model.identity

    async def complete(self, requests: AsyncIterable[Request]) -> AsyncIterator[Completion]:
        keys: dict[tuple[str, int], str] = {}
        served: list[Completion] = []

        async def missing() -> AsyncIterator[Request]:
            async for some in _batched(requests, LOOKED_UP):
                asked = [request_key(self.identity, request) for request in some]
                known = await asyncio.to_thread(self.store.get, asked)
                for key, request in zip(asked, some, strict=True):
                    if completion := known.get(key):
                        served.append(replace(completion, id=request.id, sample=request.sample))
                    else:
                        keys[request.id, request.sample] = key
                        yield request

        async for completion in self.model.complete(missing()):
            while served:
                yield served.pop()
            keyed = replace(completion, key=keys.pop((completion.id, completion.sample)))
            if keyed.error is None:
                await asyncio.to_thread(self.store.put, [keyed])
            yield keyed
        while served:
            yield served.pop()


async def _batched(requests: AsyncIterable[Request], size: int) -> AsyncIterator[list[Request]]:
    batch: list[Request] = []
    async for request in requests:
        batch.append(request)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
