"""Who may use the application, and what a request may be: links with a token, sessions, the checks of each request.

Other pages in the same browser, other users of the machine and machines in the network must not read or write labels. A link with a
token that works once gives the browser a cookie. Each form carries a token of its session, and names its origin. The Host header must
name this machine, so that no other name can be pointed here (DNS rebinding).
"""

import hashlib
import ipaddress
import secrets
import socket
import sqlite3
from collections.abc import Collection
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY, MAX_FIELDS = 64 * 1024, 100
"""Bytes and fields of a form."""
HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class Guard:
    """Refuses requests with a foreign host or origin and those that are too large, and adds the headers of all pages."""

    def __init__(self, app: ASGIApp, host: str) -> None:
        self.app, self.names = app, {host.lower(), "localhost", socket.gethostname().lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        if refusal := self._refusal(scope["method"], Headers(scope=scope)):
            status, words = refusal
            return await PlainTextResponse(words + "\n", status)(scope, receive, send_with_headers)
        await self.app(scope, receive, send_with_headers)

    def _refusal(self, method: str, headers: Headers) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if not is_own(host, self.names):
            return 421, "This server answers only under its own address. Use the link that potstill printed."
        if method in ("GET", "HEAD"):
            return None
        origin = headers.get("origin")
        if origin not in (None, f"http://{host}", f"https://{host}"):
            return 403, "This request comes from another site."
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return 403, "This request comes from another site."
        length = headers.get("content-length", "")
        if not length.isdecimal() or int(length) > MAX_BODY:
            return 413, f"A request may have at most {MAX_BODY:,} bytes, and must say how many."
        return None


def is_own(host: str, names: Collection[str]) -> bool:
    """Whether the host that a request names is an address in numbers, or one of the ``names`` of this machine."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name in names or _is_address(name)


def _is_address(name: str) -> bool:
    """Whether a host is named by its address in numbers."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def fields_of(body: bytes) -> dict[str, str]:
    """The fields of a form; of several with one name the values joined by line ends. Raises `ValueError` for a body that is no form."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict"):
        found[name] = f"{found[name]}\n{value}" if name in found else value
    return found


class Links:
    """Tokens of links. Each works once."""

    def __init__(self) -> None:
        self._valid: set[str] = set()

    def new(self) -> str:
        token = secrets.token_urlsafe(24)
        self._valid.add(hashlib.sha256(token.encode()).hexdigest())
        return token

    def use(self, token: str) -> bool:
        """Whether the token was valid; it is not any more."""
        digest = hashlib.sha256(token.encode()).hexdigest()
        if digest in self._valid:
            self._valid.remove(digest)
            return True
        return False


def session_digest(session: str) -> str:
    """What of a session's secret is in the database."""
    return hashlib.sha256(session.encode()).hexdigest()


def form_token(session: str) -> str:
    """The token that each form of a session carries: nobody can compute it without the cookie."""
    return hashlib.sha256(b"form " + session.encode()).hexdigest()


def begin_session(connection: sqlite3.Connection, session: str) -> None:
    connection.execute("INSERT INTO sessions VALUES (?, NULL)", (session_digest(session),))
