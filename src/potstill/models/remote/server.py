"""The way to an endpoint: its key, its addresses, a session, and what may be shown of its answers."""

import aiohttp
from yarl import URL

from potstill.models import Completion
from potstill.models.remote import address, wire
from potstill.models.specs import Endpoint

LONGEST_DETAIL = 500
"""Characters of a server's error message that are kept."""


LONGEST_CONNECT = 10.0
"""Seconds until an address that takes no connection counts as out of reach."""


class Server:
    """Raises `RecipeError` when the key of the endpoint is not in the environment."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.price = endpoint.charged
        self._key = endpoint.read_key()
        self.proxy = address.proxy_for(self.address(""))
        password = self.proxy.raw_password if self.proxy else None
        self._secrets = address.spellings_of(self._key) | address.spellings_of(password)

    def session(self, **headers: str) -> aiohttp.ClientSession:
        headers["Accept-Encoding"] = "identity"
        if self._key and "{api_key}" not in self.endpoint.url:
            bearer = "Bearer " if self.endpoint.api_key_header.lower() == "authorization" else ""
            headers[self.endpoint.api_key_header] = bearer + self._key
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=self.endpoint.timeout, sock_connect=LONGEST_CONNECT),
            headers=headers,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    def address(self, path: str) -> URL:
        """Of a path below the endpoint's base address, which keeps its query."""
        return address.join(self.endpoint.url, self._key, path)

    def settle(self, completion: Completion) -> None:
        """Put in what a completion cost, and leave out what nobody should read in its error."""
        completion.detail = self.masked(completion.detail)
        if self.price and not completion.error:
            completion.cost = self.price.cost(
                completion.prompt_tokens, completion.completion_tokens, completion.cached_tokens
            )

    def masked(self, text: str) -> str:
        """What a server says, without the key and not too long."""
        for secret in sorted(self._secrets, key=len, reverse=True) if text else ():
            text = text.replace(secret, "***")
        return text[:LONGEST_DETAIL]


async def read(answer: aiohttp.ClientResponse) -> bytes:
    """The body. Raises `ValueError` when it is longer than anything a model says."""
    body = bytearray()
    while block := await answer.content.readany():
        body += block
        if len(body) > wire.LARGEST_ANSWER:
            raise ValueError(wire.TOO_LARGE)
    encoding = answer.headers.get("Content-Encoding", "")
    return wire.decompressed(bytes(body), encoding) if encoding else bytes(body)
