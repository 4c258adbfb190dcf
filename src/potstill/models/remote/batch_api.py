"""HTTP calls of the files and batches API, with retries."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp

from potstill import interrupt
from potstill.errors import PotstillError
from potstill.models import ErrorKind, Request
from potstill.models.remote import retry, wire
from potstill.models.remote.server import Server, receive_body

TRANSIENT_ERRORS = [kind for kind in ErrorKind if kind.retried]
GONE_STATUSES = (404, 410)
"""HTTP statuses of what the server does not have or no longer has."""


class GoneError(PotstillError):
    """The server no longer has a batch or a file."""


class BatchApi:
    """Calls within one HTTP session; each is retried while the server is busy, up to ``max_attempts`` times."""

    def __init__(self, server: Server, session: aiohttp.ClientSession) -> None:
        self.server, self.session = server, session

    async def call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """The JSON object with which the server responds; ``options`` are those of `aiohttp.ClientSession.request`.

        Raises `GoneError` when it does not have what was requested, and `PotstillError` when the call fails otherwise.
        """
        detail, gone = "", False
        async for _ in self._attempts():
            try:
                async with self._request(method, path, **options) as response:
                    content = await receive_body(response)
                    if response.status < 300:
                        parsed = json.loads(content)
                        if not isinstance(parsed, dict):
                            raise ValueError("the response is not an object")
                        return parsed
                    gone = method == "GET" and response.status in GONE_STATUSES
                failure = wire.parse_completion(Request("", []), response.status, content)
                detail = failure.detail
                # A batch may have been created although the server failed: to create it again could cost twice.
                retried = failure.error is ErrorKind.RATE_LIMITED
                retried |= method == "GET" and failure.error in TRANSIENT_ERRORS
                retried |= gone  # a batch that was just created may not be visible on every machine yet
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                detail, retried, gone = str(error) or "no response in time", method == "GET", False
            if not retried:
                break
        if gone:
            raise GoneError(self.server.masked(detail))
        raise PotstillError(
            f"{method} {path}: {self.server.masked(detail)}. Submitted requests are recorded; rerun the same command to "
            "resume."
        )

    async def create(self, path: str, **options: Any) -> tuple[str, dict[str, Any]]:
        """The id of what a POST to ``path`` created, and the whole response. Raises `PotstillError`."""
        created = await self.call("POST", path, **options)
        if not isinstance(id_ := created.get("id"), str) or not id_:
            raise PotstillError(
                f"POST {path}: the server's response has no id, so it does not support batches in OpenAI's form."
            )
        return id_, created

    async def find_batch(self, label: str) -> str:
        """The id of the batch that was created with a label; empty if the server has none."""
        params = {"limit": "100"}
        while True:
            response = await self.call("GET", "batches", params=params)
            page: list[Mapping[str, Any]] = response.get("data") or []
            for batch in page:
                if (batch.get("metadata") or {}).get("potstill") == label:
                    return str(batch["id"])
            if not page or not response.get("has_more"):
                return ""
            params["after"] = str(page[-1]["id"])

    async def download_lines(self, file: str) -> AsyncIterator[bytes]:
        """Lines of a file; a download that is interrupted starts again from the first line.

        Raises `GoneError` when the server does not have it, and `PotstillError` when the download fails otherwise:
        completions that are paid for must not count as missing.
        """
        path, detail, gone = f"files/{file}/content", "", False
        async for _ in self._attempts():
            try:
                # The download may take any time, as long as data keeps arriving.
                timeout = aiohttp.ClientTimeout(total=None, sock_read=self.server.endpoint.timeout)
                async with self._request("GET", path, timeout=timeout) as response:
                    if response.status == 200 and not response.headers.get("Content-Encoding"):
                        while line := await _receive_line(response):
                            yield line
                        return
                    detail, gone = f"HTTP {response.status}", response.status in GONE_STATUSES
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                detail = str(error) or "no data in time"
        if gone:
            raise GoneError(f"GET {path}: {detail}")
        raise PotstillError(
            f"GET {path}: {self.server.masked(detail)}. The answers are still on the server; rerun the same command to "
            "fetch them."
        )

    async def _attempts(self) -> AsyncIterator[None]:
        """Yields once per attempt that the endpoint allows, with waits between them; ends at a requested stop."""
        for attempt in range(1, self.server.endpoint.max_attempts + 1):
            yield
            if attempt == self.server.endpoint.max_attempts:
                return
            if not await interrupt.sleep(retry.backoff_seconds(attempt)):
                return

    def _request(self, method: str, path: str, **options: Any) -> Any:
        address = self.server.address(path)
        if params := options.pop("params", None):
            address = address.update_query(params)
        return self.session.request(method, address, proxy=self.server.proxy, allow_redirects=False, **options)


async def _receive_line(response: aiohttp.ClientResponse) -> bytes:
    line = bytearray()
    while not line.endswith(b"\n"):
        try:
            block = await response.content.readuntil(b"\n")
        except ValueError as error:
            raise PotstillError(f"The server's file of answers has a line that is too long: {error}") from error
        if not block:
            break
        line += block
    return bytes(line)
