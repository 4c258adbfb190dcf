"""Batch endpoints of OpenAI and Azure: requests are submitted as a file, and answered within a day."""

import json
import re
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
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
from potstill.models.remote.batch_api import BatchApi, GoneError
from potstill.models.remote.dialect import Dialect, news
from potstill.models.remote.dispatch import MAX_UNREADABLE_ATTEMPTS, UNREADABLE
from potstill.models.remote.server import Server, identity, server_name
from potstill.models.specs import Endpoint
from potstill.models.store.store import Store, key_function
from potstill.progress import echo

MAX_LINES_PER_FILE, MAX_BYTES_PER_FILE = 50_000, 90_000_000
"""OpenAI's limits for one file, the second with a margin."""
FIRST_POLL_SECONDS, MAX_POLL_SECONDS = 5.0, 60.0
"""Time between two polls of a batch, which doubles from the first value to the second."""
COMPLETIONS_PER_GROUP = 500
FINAL_STATES = ("completed", "failed", "expired", "cancelled")


@dataclass
class _Batch:
    """Requests that were submitted together, by their keys in the store."""

    label: str
    """Identifies the batch before the server gives it an id; sent as its metadata."""
    id: str
    keys: set[bytes]
    requests: dict[bytes, Request] = field(default_factory=dict)
    """Those of this invocation; an earlier one may have submitted others too."""
    state: Mapping[str, Any] = field(default_factory=dict)
    """The server's last description of the batch."""
    dialect: Dialect = field(default_factory=Dialect)
    """In which its requests, and their keys, are written."""


class BatchModel:
    """An endpoint in batch mode. Raises `RecipeError` when its key is not in the environment.

    Each batch is recorded in the store before and after it is submitted, so that a later invocation fetches its answers
    and submits nothing twice. Requests that fail in a batch are submitted again, up to ``max_attempts`` times.
    """

    def __init__(self, endpoint: Endpoint, store: Store) -> None:
        self.endpoint, self.store = endpoint, store
        self.identity: Mapping[str, Any] = identity(endpoint)
        self.name, self.price = endpoint.model, endpoint.charged
        # Azure's files and batches belong to the resource; each line's model names the deployment.
        self.server = Server(endpoint.model_copy(update={"url": re.sub(r"/deployments/[^/?]+", "", endpoint.url)}))
        self._key = key_function(self.identity)
        self.address = server_name(endpoint)
        self.left_out: tuple[str, ...] = ()
        self._limits: dict[bytes, int] = {}
        """Limits on new tokens for which requests have room, by key, where it is less than they asked for."""

    async def complete(self, requests: AsyncIterable[Request]) -> AsyncIterator[list[Completion]]:
        async with self.server.session() as session:
            api = BatchApi(self.server, session)
            batches = await self._start(api, requests)
            attempt = 1
            while batches:
                retries: list[Request] = []
                async for batch in self._finished_batches(api, batches):
                    async for completions in self._completions(api, batch, retries, attempt):
                        yield completions
                    self.store.end_batch(batch.label)
                batches = [await self._submit(api, retries)] if retries else []
                attempt += 1

    async def _start(self, api: BatchApi, requests: AsyncIterable[Request]) -> list[_Batch]:
        """Submit the requests that no batch of an earlier invocation contains; those batches and the new ones."""
        recorded = [_Batch(label, id_ or "", keys) for label, id_, keys in self.store.open_batches(self.address)]
        batch_of_key = {key: batch for batch in recorded for key in batch.keys}
        batches: list[_Batch] = []
        pending: list[Request] = []
        size = 0
        async for request in requests:
            if self._is_in_batch(request, batch_of_key):
                continue
            pending.append(request)
            size += len(self._line(request))
            if len(pending) == MAX_LINES_PER_FILE or size >= MAX_BYTES_PER_FILE:
                batches.append(await self._submit(api, pending))
                pending, size = [], 0
        if pending:
            batches.append(await self._submit(api, pending))
        for batch in recorded:  # those without any of the present requests are left to a run that needs them
            if batch.requests:
                submitted = await self._was_submitted(api, batch)
                batches.append(batch if submitted else await self._submit(api, list(batch.requests.values())))
        return batches

    def _is_in_batch(self, request: Request, batch_of_key: Mapping[bytes, _Batch]) -> bool:
        """Whether a batch of an earlier invocation contains a request, in any dialect that the server had until now."""
        for n in range(len(self.left_out) + 1):
            if batch := batch_of_key.get(key := self._key(request, self.left_out[:n])):
                batch.requests[key] = request
                batch.dialect |= Dialect(self.left_out[:n])
                return True
        return False

    async def _was_submitted(self, api: BatchApi, batch: _Batch) -> bool:
        """Whether a batch of an earlier invocation reached the server; sets its id."""
        if not batch.id:
            async with self._submission_lock():  # another process may be submitting it now
                ids = {label: id_ for label, id_, _ in self.store.open_batches(self.address)}
                batch.id = ids.get(batch.label) or await api.find_batch(batch.label)
                if not batch.id:
                    self.store.end_batch(batch.label)
                    return False
                self.store.name_batch(batch.label, batch.id)
        echo(f"  resuming batch {batch.id} of {len(batch.keys)} requests")
        return True

    @asynccontextmanager
    async def _submission_lock(self) -> AsyncIterator[None]:
        """Of the processes that share the store, one at a time submits batches."""
        lock = FileLock(f"{self.store.path}.batches.lock")
        while True:
            with suppress(Timeout):
                lock.acquire(blocking=False)
                break
            if not await interrupt.sleep(0.2):
                raise interrupt.Interrupted("Interrupted while another run was submitting its batch.")
        try:
            yield
        finally:
            lock.release()

    async def _submit(self, api: BatchApi, asked: Sequence[Request]) -> _Batch:
        label = uuid.uuid4().hex
        requests = {self._key(request, self.left_out): request for request in asked}
        lines = b"".join(map(self._line, asked))
        form = aiohttp.FormData({"purpose": "batch"})
        form.add_field("file", lines, filename="potstill.jsonl", content_type="application/jsonl")
        async with self._submission_lock():
            self.store.begin_batch(label, self.address, list(requests))
            self.store.sync()
            file_id, _ = await api.create("files", data=form)
            batch_request = {
                "input_file_id": file_id,
                "endpoint": self._path,
                "completion_window": "24h",
                "metadata": {"potstill": label},
            }
            batch_id, state = await api.create("batches", json=batch_request)
            self.store.name_batch(label, batch_id)
        echo(f"  batch {batch_id}: {len(requests)} requests submitted")
        return _Batch(label, batch_id, set(requests), dict(requests), state=state, dialect=Dialect(self.left_out))

    @property
    def _path(self) -> str:
        return "/chat/completions" if ".azure.com" in self.endpoint.url else "/v1/chat/completions"

    def _line(self, request: Request) -> bytes:
        """A request's line in the file that is submitted."""
        key = self._key(request, self.left_out)
        if self._limits and (limit := self._limits.get(self._key(request))):
            request = wire.with_limit(request, limit)
        body = wire.request_body(self.endpoint, request, Dialect(self.left_out))
        return orjson.dumps({"custom_id": key.hex(), "method": "POST", "url": self._path, "body": body}) + b"\n"

    async def _finished_batches(self, api: BatchApi, batches: list[_Batch]) -> AsyncIterator[_Batch]:
        """Poll until all batches are in a final state; each is yielded when it is. Raises `Interrupted`."""
        wait_seconds = FIRST_POLL_SECONDS
        running = list(batches)
        while running:
            for batch in list(running):
                try:
                    batch.state = await api.call("GET", f"batches/{batch.id}")
                except GoneError as gone:
                    batch.state = {"status": "expired"}
                    echo(f"  batch {batch.id} is gone ({gone}); its requests are submitted again")
                if batch.state.get("status") in FINAL_STATES:
                    running.remove(batch)
                    yield batch
            if running:
                counts = [batch.state.get("request_counts") or {} for batch in running]
                done = sum(int(count.get("completed") or 0) for count in counts)
                echo(f"  {len(running)} batches: {running[0].state.get('status')}, {done} answers are ready")
                if not await interrupt.sleep(wait_seconds):
                    raise interrupt.Interrupted(
                        f"Interrupted while the server processes {len(running)} batches, which continue there; rerun the "
                        "same command to fetch their answers."
                    )
                wait_seconds = min(2 * wait_seconds, MAX_POLL_SECONDS)

    async def _completions(
        self, api: BatchApi, batch: _Batch, retries: list[Request], attempt: int
    ) -> AsyncIterator[list[Completion]]:
        """The completions of a finished batch.

        Requests that may succeed later are added to ``retries``, unless this was their last attempt. Raises `PotstillError`
        when the server refused the batch.
        """
        last = attempt == self.endpoint.max_attempts
        if batch.state["status"] == "failed" and not batch.state.get("output_file_id"):
            self.store.end_batch(batch.label)
            reason, first = self._refusal_reason(batch), next(iter(batch.requests.values()))
            refusal = wire.failed_completion(first, ErrorKind.INVALID_REQUEST, reason)
            if last or not self._learn(first, refusal, batch.dialect):
                raise PotstillError(f"The server refused the batch {batch.id}: {reason}")
            retries += batch.requests.values()
            return
        missing = dict(batch.requests)
        group: list[Completion] = []
        failed: list[Completion] = []
        succeeded = False
        for file in filter(None, (batch.state.get("output_file_id"), batch.state.get("error_file_id"))):
            async for key, completion in self._parse_output(api, str(file), batch):
                request = missing.pop(key, None)
                if request is None:
                    # A request of an earlier invocation alone: its completion is paid for, so it is stored.
                    if key not in batch.requests and not completion.error:
                        self.store.put([completion], self.name)
                elif not completion.error:
                    succeeded = True
                    group.append(completion)
                    if len(group) == COMPLETIONS_PER_GROUP:
                        yield group
                        group = []
                elif not last and self._can_retry(request, completion, batch.dialect, attempt):
                    retries.append(request)
                else:
                    failed.append(completion)
        if last:
            detail = f"batch {batch.id} {batch.state['status']} without this answer"
            failed += [wire.failed_completion(one, ErrorKind.OVERLOADED, detail) for one in missing.values()]
        else:
            retries += missing.values()
        for completion in failed:
            completion.lasting, completion.left_out = succeeded, batch.dialect.deviations
        if group or failed:
            yield group + failed

    def _can_retry(self, request: Request, completion: Completion, dialect: Dialect, attempt: int) -> bool:
        """Whether a failed request may succeed in another batch: later, in another dialect, or with a smaller limit."""
        if self._learn(request, completion, dialect):
            return True
        if room := wire.room_left(request, completion, self.endpoint.thinking_tokens):
            key = self._key(request)
            shrunk = room < self._limits.get(key, request.sampling.max_tokens)
            self._limits[key] = room
            return shrunk
        unreadable = completion.error in UNREADABLE and attempt >= MAX_UNREADABLE_ATTEMPTS
        return completion.error is not None and completion.error.retried and not unreadable

    def _learn(self, request: Request, refusal: Completion, dialect: Dialect) -> bool:
        """As `potstill.models.remote.chat.ChatModel.learn`."""
        learned = dialect.after(request, refusal, wire.request_body(self.endpoint, request, dialect))
        if learned is not None:
            for words in news(learned, self.left_out, self.endpoint):
                echo(f"  {words}. It said: {refusal.detail}")
            self.left_out = (Dialect(self.left_out) | learned).deviations
        return learned is not None

    def _refusal_reason(self, batch: _Batch) -> str:
        errors = batch.state.get("errors")
        reasons = (errors.get("data") if isinstance(errors, dict) else errors) or ["no reason given"]
        first = reasons[0]
        return self.server.masked(str((isinstance(first, dict) and first.get("message")) or first))

    async def _parse_output(self, api: BatchApi, file: str, batch: _Batch) -> AsyncIterator[tuple[bytes, Completion]]:
        """Keys and completions of an output file. Lines that cannot be parsed are skipped, so they count as missing."""
        lines = api.download_lines(file)
        while True:
            try:
                line = await anext(lines)
            except StopAsyncIteration:
                return
            except GoneError as gone:
                echo(f"  answers of batch {batch.id} are gone ({gone}); their requests are submitted again")
                return
            try:
                row = json.loads(line)
                key = bytes.fromhex(row["custom_id"])
                request = batch.requests.get(key) or Request("", [])
                response = row.get("response") or {"status_code": 500, "body": {"error": row.get("error") or {}}}
                status, body = int(response["status_code"]), orjson.dumps(response["body"])
            except (ValueError, KeyError, TypeError, AttributeError):
                continue
            try:
                completion = wire.parse_completion(request, status, body)
            except ValueError as error:
                completion = wire.failed_completion(request, ErrorKind.BAD_RESPONSE, str(error))
            completion.key, completion.left_out = key, batch.dialect.deviations
            self.server.finalize(completion)
            yield key, completion
