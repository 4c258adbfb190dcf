"""HTTP access to an endpoint: its key, addresses and session, and masking of secrets in its messages."""

from typing import Any

import aiohttp
from yarl import URL

from potstill.models import Completion
from potstill.models.remote import address, wire
from potstill.models.remote.ends import CONTENT_FILTER
from potstill.models.specs import Endpoint

MAX_DETAIL_CHARACTERS = 500
"""Characters of a server's error message that are kept."""
CONNECT_TIMEOUT_SECONDS = 10.0
"""Time after which an address that accepts no connection counts as unreachable."""


class Server:
    """Raises `RecipeError` when the key of the endpoint is not in the environment."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.price = endpoint.charged
        self._key = endpoint.read_key()
        self.proxy = address.proxy_for(self.address(""))
        password = self.proxy.raw_password if self.proxy else None
        self._secrets = address.encodings(self._key) | address.encodings(password)

    def session(self) -> aiohttp.ClientSession:
        headers = {"Accept-Encoding": "identity"}
        if self._key and "{api_key}" not in self.endpoint.url:
            bearer = "Bearer " if self.endpoint.api_key_header.lower() == "authorization" else ""
            headers[self.endpoint.api_key_header] = bearer + self._key
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=self.endpoint.timeout, sock_connect=CONNECT_TIMEOUT_SECONDS),
            headers=headers,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    def address(self, path: str) -> URL:
        """The address of ``path`` below the endpoint's base address, with the query of the latter."""
        return address.join(self.endpoint.url, self._key, path)

    def finalize(self, completion: Completion) -> None:
        """Set the cost of a completion, and mask secrets in the server's words."""
        if completion.detail:
            completion.detail = self.masked(completion.detail)
        if completion.finish_reason == CONTENT_FILTER:
            completion.text = self.masked(completion.text)
        if self.price and not completion.error:
            completion.cost = self.price.cost(
                completion.prompt_tokens, completion.completion_tokens, completion.cached_tokens
            )

    def masked(self, text: str) -> str:
        """A server's message without the key and the proxy's password, cut to `MAX_DETAIL_CHARACTERS`."""
        for secret in sorted(self._secrets, key=len, reverse=True) if text else ():
            text = text.replace(secret, "***")
        return text[:MAX_DETAIL_CHARACTERS]


def identity(endpoint: Endpoint) -> dict[str, Any]:
    """The part of the store's key that identifies the endpoint."""
    common = {
        "engine": "chat-completions",
        "extra_body": endpoint.extra_body,
        "thinking_tokens": endpoint.thinking_tokens,
    }
    if endpoint.same_as:
        return common | {"model": endpoint.same_as}
    return common | {"url": endpoint.url.rstrip("/"), "model": endpoint.model}


def server_name(endpoint: Endpoint) -> str:
    """The name under which the store knows an endpoint's batches and dialect."""
    return f"{endpoint.url.rstrip('/')} {endpoint.model}"


async def receive_body(response: aiohttp.ClientResponse) -> bytes:
    """The decompressed body. Raises `ValueError` when it is longer than `wire.MAX_RESPONSE_BYTES`."""
    body = bytearray()
    while block := await response.content.readany():
        body += block
        if len(body) > wire.MAX_RESPONSE_BYTES:
            raise ValueError(wire.RESPONSE_TOO_LARGE)
    encoding = response.headers.get("Content-Encoding", "")
    return wire.decompress(bytes(body), encoding) if encoding else bytes(body)
