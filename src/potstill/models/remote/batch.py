"""Batch endpoints of OpenAI's and Azure's kind: requests handed in as a file, answers fetched within a day."""

import json
import re
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson
from filelock import FileLock, Timeout

from potstill import interrupt
from potstill.errors import PotstillError
from potstill.models import Completion, ErrorKind, Request
from potstill.models.remote import wire
from potstill.models.remote.chat import FIRST_WAIT, LONGEST_WAIT, identity
from potstill.models.remote.server import Server, read
from potstill.models.specs import Endpoint
from potstill.models.store.store import Store, key_function
from potstill.progress import echo

MOST_LINES, MOST_BYTES = 50_000, 90_000_000
"""Of one file: what OpenAI takes, with some room."""
FIRST_POLL, LONGEST_POLL = 5.0, 60.0
"""Seconds between two looks at a batch: at first, and in the end."""
KEPT_TOGETHER = 500
"""Answers passed on together."""
TRANSIENT = [kind for kind in ErrorKind if kind.retried]
ENDED = ("completed", "failed", "expired", "cancelled")
GONE = (404, 410)
"""Statuses of what the server does not have any more."""


class _GoneError(PotstillError):
    """A batch or a file that the server does not have any more."""


@dataclass
class _Batch:
    """Requests that were handed in together, by their keys."""

    mark: str
    id: str
    keys: set[bytes]
    requests: dict[bytes, Request] = field(default_factory=dict)
    state: Mapping[str, Any] = field(default_factory=dict)
    dialect: wire.Dialect = field(default_factory=wire.Dialect)


class BatchModel:
    """An endpoint that is asked in batches. Raises `RecipeError` when its key is not in the environment.

    What was handed in is noted in the store before and after, so that another sitting fetches it by its name, and hands
    in nothing twice. Requests that the server let fall are handed in again, up to ``max_attempts`` times.
    """

    def __init__(self, endpoint: Endpoint, store: Store) -> None:
        self.endpoint, self.store = endpoint, store
        self.identity: Mapping[str, Any] = identity(endpoint)
        self.name, self.price = endpoint.model, endpoint.charged
        # Azure's files and batches belong to the resource; the deployment is named by each line's model.
        self.server = Server(endpoint.model_copy(update={"url": re.sub(r"/deployments/[^/?]+", "", endpoint.url)}))
        self._key = key_function(self.identity)
        self._dialect = wire.Dialect()
        self._at = f"{endpoint.url.rstrip('/')} {endpoint.model}"

    async def complete(self, requests: AsyncIterable[Request]) -> AsyncIterator[list[Completion]]:
        async with self.server.session() as session:
            noted = [_Batch(mark, id_ or "", keys) for mark, id_, keys in self.store.open_batches(self._at)]
            handed_in = {key: batch for batch in noted for key in batch.keys}
            batches: list[_Batch] = []
            piece: dict[bytes, Request] = {}
            size = 0
            async for request in requests:
                key = self._key(request)
                if key in handed_in:
                    handed_in[key].requests[key] = request
                    continue
                piece[key] = request
                size += len(self._line(key, request))
                if len(piece) == MOST_LINES or size >= MOST_BYTES:
                    batches.append(await self._hand_in(session, piece))
                    piece, size = {}, 0
            if piece:
                batches.append(await self._hand_in(session, piece))
            for batch in noted:  # those that hold nothing of what is asked now are left to whoever asks it
                if batch.requests:
                    found = await self._is_there(session, batch)
                    batches.append(batch if found else await self._hand_in(session, batch.requests))
            attempt = 1
            while batches:
                again: dict[bytes, Request] = {}
                async for batch in self._as_they_end(session, batches):
                    last = attempt == self.endpoint.max_attempts
                    async for completions in self._answers(session, batch, again, last=last):
                        yield completions
                    self.store.end_batch(batch.mark)
                batches = [await self._hand_in(session, again)] if again else []
                attempt += 1

    async def _is_there(self, session: aiohttp.ClientSession, batch: _Batch) -> bool:
        """Whether a batch of an earlier sitting reached the server; finds its name."""
        if not batch.id:
            async with self._alone():  # another process may be handing it in at this moment
                named = {mark: id_ for mark, id_, _ in self.store.open_batches(self._at)}.get(batch.mark)
                batch.id = named or await self._named(session, batch.mark)
                if not batch.id:
                    self.store.end_batch(batch.mark)
                    return False
                self.store.name_batch(batch.mark, batch.id)
        echo(f"  going on with batch {batch.id} of {len(batch.keys)} requests")
        return True

    async def _named(self, session: aiohttp.ClientSession, mark: str) -> str:
        """The name of the batch that the server has under a mark; empty if it has none."""
        params = {"limit": "100"}
        while True:
            listed = await self._call(session, "GET", "batches", params=params)
            page = listed.get("data") or []
            for one in page:
                if (one.get("metadata") or {}).get("potstill") == mark:
                    return str(one["id"])
            if not page or not listed.get("has_more"):
                return ""
            params["after"] = str(page[-1]["id"])

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """One process at a time hands batches in, of those that share the store."""
        lock = FileLock(f"{self.store.path}.batches.lock")
        while True:
            with suppress(Timeout):
                lock.acquire(blocking=False)
                break
            if not await interrupt.sleep(0.2):
                raise interrupt.Interrupted("Stopped while another run was handing in its batch.")
        try:
            yield
        finally:
            lock.release()

    async def _hand_in(self, session: aiohttp.ClientSession, piece: dict[bytes, Request]) -> _Batch:
        mark = uuid.uuid4().hex
        lines = b"".join(self._line(key, request) for key, request in piece.items())
        form = aiohttp.FormData({"purpose": "batch"})
        form.add_field("file", lines, filename="potstill.jsonl", content_type="application/jsonl")
        async with self._alone():
            self.store.begin_batch(mark, self._at, list(piece))
            self.store.sync()
            file = await self._call(session, "POST", "files", data=form)
            order = {
                "input_file_id": _id(file, "files"),
                "endpoint": self._path,
                "completion_window": "24h",
                "metadata": {"potstill": mark},
            }
            made = await self._call(session, "POST", "batches", json=order)
            id_ = _id(made, "batches")
            self.store.name_batch(mark, id_)
        echo(f"  batch {id_}: {len(piece)} requests handed in")
        return _Batch(mark, id_, set(piece), dict(piece), made, self._dialect)

    @property
    def _path(self) -> str:
        return "/chat/completions" if ".azure.com" in self.endpoint.url else "/v1/chat/completions"

    def _line(self, key: bytes, request: Request) -> bytes:
        sent = wire.body(self.endpoint, request, self._dialect)
        return orjson.dumps({"custom_id": key.hex(), "method": "POST", "url": self._path, "body": sent}) + b"\n"

    async def _as_they_end(self, session: aiohttp.ClientSession, batches: list[_Batch]) -> AsyncIterator[_Batch]:
        wait = FIRST_POLL
        waiting = list(batches)
        while waiting:
            for batch in list(waiting):
                try:
                    batch.state = await self._call(session, "GET", f"batches/{batch.id}")
                except _GoneError as gone:
                    batch.state = {"status": "expired"}
                    echo(f"  batch {batch.id} is gone ({gone}); its requests are handed in again")
                if batch.state.get("status") in ENDED:
                    waiting.remove(batch)
                    yield batch
            if waiting:
                counts = [batch.state.get("request_counts") or {} for batch in waiting]
                done = sum(int(count.get("completed") or 0) for count in counts)
                echo(f"  {len(waiting)} batches: {waiting[0].state.get('status')}, {done} answers are ready")
                if not await interrupt.sleep(wait):
                    raise interrupt.Interrupted(
                        f"Stopped while {len(waiting)} batches are at the server; they go on there, and the same command "
                        "again fetches them."
                    )
                wait = min(2 * wait, LONGEST_POLL)

    async def _answers(
        self, session: aiohttp.ClientSession, batch: _Batch, again: dict[bytes, Request], *, last: bool
    ) -> AsyncIterator[list[Completion]]:
        """The answers of a batch that has ended; what may succeed later goes to ``again``, unless this was the ``last`` try."""
        if batch.state["status"] == "failed" and not batch.state.get("output_file_id"):
            self.store.end_batch(batch.mark)
            errors = batch.state.get("errors")
            faults = (errors.get("data") if isinstance(errors, dict) else errors) or ["no reason given"]
            said = self.server.masked(str((isinstance(faults[0], dict) and faults[0].get("message")) or faults[0]))
            raise PotstillError(f"The server refused the batch {batch.id}: {said}")
        left = dict(batch.requests)
        group: list[Completion] = []
        for file in filter(None, (batch.state.get("output_file_id"), batch.state.get("error_file_id"))):
            async for key, completion in self._lines(session, str(file), batch):
                request = left.pop(key, None)
                if request is None:
                    # Paid for, though nobody asks for it any more.
                    if key not in batch.requests and not completion.error:
                        self.store.put([completion], self.name)
                elif not last and (learned := batch.dialect.after(request, completion)):
                    self._dialect |= learned
                    again[key] = request
                elif completion.error and completion.error.retried and not last:
                    again[key] = request
                else:
                    group.append(completion)
                    if len(group) == KEPT_TOGETHER:
                        yield group
                        group = []
        for key, request in left.items():
            if last:
                detail = f"batch {batch.id} {batch.state['status']} without this answer"
                group.append(wire.failed(request, ErrorKind.OVERLOADED, detail))
            else:
                again[key] = request
        if group:
            yield group

    async def _lines(
        self, session: aiohttp.ClientSession, file: str, batch: _Batch
    ) -> AsyncIterator[tuple[bytes, Completion]]:
        lines = self._downloaded(session, file)
        while True:
            try:
                line = await anext(lines)
            except StopAsyncIteration:
                return
            except _GoneError as gone:
                echo(f"  answers of batch {batch.id} are gone ({gone}); their requests are handed in again")
                return
            try:
                row = json.loads(line)
                key = bytes.fromhex(row["custom_id"])
                request = batch.requests.get(key) or Request("", [])
                response = row.get("response") or {"status_code": 500, "body": {"error": row.get("error") or {}}}
                completion = wire.completion(request, int(response["status_code"]), orjson.dumps(response["body"]))
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # as if it were missing: it is handed in again
            completion.key = key
            self.server.settle(completion)
            yield key, completion

    async def _downloaded(self, session: aiohttp.ClientSession, file: str) -> AsyncIterator[bytes]:
        """Lines of a file. Raises `PotstillError`: answers that were paid for must not look as if they were missing."""
        path, detail, gone = f"files/{file}/content", "", False
        async for _ in self._attempts():
            try:
                # However long it takes, as long as something comes.
                limit = aiohttp.ClientTimeout(total=None, sock_read=self.endpoint.timeout)
                async with self._request(session, "GET", path, timeout=limit) as answer:
                    if answer.status == 200 and not answer.headers.get("Content-Encoding"):
                        while line := await self._line_of(answer):
                            yield line
                        return
                    detail, gone = f"HTTP {answer.status}", answer.status in GONE
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                detail = str(error) or "nothing came in time"
        if gone:
            raise _GoneError(f"GET {path}: {detail}")
        raise PotstillError(
            f"GET {path}: {self.server.masked(detail)}. The answers wait there; the same command again fetches them."
        )

    async def _line_of(self, answer: aiohttp.ClientResponse) -> bytes:
        line = bytearray()
        while not line.endswith(b"\n"):
            try:
                block = await answer.content.readuntil(b"\n")
            except ValueError as error:
                raise PotstillError(f"The server's file of answers has a line that is too long: {error}") from error
            if not block:
                break
            line += block
        return bytes(line)

    async def _call(self, session: aiohttp.ClientSession, method: str, path: str, **options: Any) -> dict[str, Any]:
        """What a path of the server answers, tried again while it is busy. Raises `PotstillError`."""
        detail, gone = "", False
        async for _ in self._attempts():
            try:
                async with self._request(session, method, path, **options) as answer:
                    content = await read(answer)
                    if answer.status < 300:
                        found = json.loads(content)
                        if not isinstance(found, dict):
                            raise ValueError("its answer is no object")
                        return found
                    gone = method == "GET" and answer.status in GONE
                failure = wire.completion(Request("", []), answer.status, content)
                detail = failure.detail
                # A batch may have been made although the server stumbled: to make it once more could cost twice.
                retried = failure.error is ErrorKind.RATE_LIMITED or (method == "GET" and failure.error in TRANSIENT)
                retried |= gone  # a batch that was just made may not be everywhere yet
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                detail, retried, gone = str(error) or "no answer in time", method == "GET", False
            if not retried:
                break
        if gone:
            raise _GoneError(self.server.masked(detail))
        raise PotstillError(
            f"{method} {path}: {self.server.masked(detail)}. What was handed in is noted; the same command again goes on."
        )

    async def _attempts(self) -> AsyncIterator[None]:
        """As many as the endpoint allows, with a wait between two; none after Ctrl-C."""
        wait = FIRST_WAIT
        for attempt in range(1, self.endpoint.max_attempts + 1):
            yield
            if attempt == self.endpoint.max_attempts or not await interrupt.sleep(wait):
                return
            wait = min(2 * wait, LONGEST_WAIT)

    def _request(self, session: aiohttp.ClientSession, method: str, path: str, **options: Any) -> Any:
        address = self.server.address(path)
        if params := options.pop("params", None):
            address = address.update_query(params)
        return session.request(method, address, proxy=self.server.proxy, allow_redirects=False, **options)


def _id(made: Mapping[str, Any], path: str) -> str:
    if not isinstance(id_ := made.get("id"), str) or not id_:
        raise PotstillError(f"POST {path}: the server's answer has no id, so it has no batches of OpenAI's kind.")
    return id_
