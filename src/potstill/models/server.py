"""The way to an endpoint: its key, its addresses, a session, and what may be shown of its answers."""

import os
from ipaddress import ip_address
from urllib.parse import quote
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from potstill.errors import RecipeError
from potstill.models import Completion, wire
from potstill.recipe_models import Endpoint

LONGEST_DETAIL = 500
"""Characters of a server's error message that are kept."""


LONGEST_CONNECT = 10.0
"""Seconds until an address that takes no connection counts as out of reach."""


class Server:
    """Raises `RecipeError` when the key of the endpoint is not in the environment."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.price = endpoint.charged
        self._key = _key(endpoint)
        self.proxy = _proxy(self.address(""))
        self._secrets = _forms(self._key) | _forms(self.proxy.raw_password if self.proxy else None)

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
        base = URL(
            self.endpoint.url.replace("{api_key}", quote(self._key, safe="")), encoded="{api_key}" in self.endpoint.url
        )
        return (base.with_query(None) / path).with_query(base.query) if path else base

    def settle(self, completion: Completion) -> None:
        """Put in what a completion cost, and leave out what nobody should read in its error."""
        completion.detail = self.masked(completion.detail)
        if self.price and not completion.error:
            completion.cost = self.price.of(
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


def _key(endpoint: Endpoint) -> str:
    if endpoint.api_key_env is None:
        return ""
    key = os.environ.get(endpoint.api_key_env, "").strip()
    if not key:
        raise RecipeError(
            f"The key of {endpoint.url} should be in the environment variable {endpoint.api_key_env}, which is empty. "
            f"Set it: export {endpoint.api_key_env}=..."
        )
    if not key.isprintable() or not key.isascii():
        raise RecipeError(f"The key in {endpoint.api_key_env} holds characters that no key has; set it again.")
    return key


def _forms(secret: str | None) -> set[str]:
    """A secret as it may stand in an address, in JSON, or as it is."""
    if not secret:
        return set()
    in_query, in_path = URL.build(query={"k": secret}).raw_query_string[2:], URL.build(path=f"/{secret}").raw_path[1:]
    return {secret, quote(secret), quote(secret, safe=""), in_query, in_path, secret.replace("/", "\\/")}


def _proxy(address: URL) -> URL | None:
    """The environment's proxy for an address. (aiohttp's ``trust_env`` would send passwords from ~/.netrc as well.)

    Raises `RecipeError` when it is no address.
    """
    host = address.host or ""
    here = host in ("localhost", "0.0.0.0", "::") or _is_loopback(host)
    named = None if here or proxy_bypass(host) else getproxies().get(address.scheme)
    if not named:
        return None
    try:
        proxy = URL(named if "://" in named else f"http://{named}")
        proxy.port  # noqa: B018 - read, since it may be no number
    except ValueError:
        proxy = URL()
    if not proxy.host or proxy.scheme not in ("http", "https"):
        raise RecipeError(
            f"The environment variable {address.scheme}_proxy should be the address of a proxy for http, such as "
            "http://127.0.0.1:3128, and is not. Mend it, or name the server's host in no_proxy."
        )
    return proxy


def _is_loopback(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
