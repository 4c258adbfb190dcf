"""Who may use the API: a key, and no pages of other sites in a browser on this machine, nor the server itself by a detour."""

import secrets
import socket

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from potstill.listening import Via
from potstill.review.security import is_own
from potstill.serve.openai_errors import ApiError

OPEN = ("/health", "/metrics")
"""Paths that need no key, as of vLLM's server: they say nothing of what is asked and answered."""
VIA = Via()
"""The mark of this process."""


class Access:
    """Refuses requests without the ``key`` (empty: none is needed), those that another site sends by a browser, and those that this server
    has sent."""

    def __init__(self, app: ASGIApp, host: str, key: str) -> None:
        self.app, self.key = app, key.encode()
        self.names = {host.lower(), "localhost", socket.gethostname().lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                self._check(scope["path"], Headers(scope=scope))
            except ApiError as error:
                return await error.response()(scope, receive, send)
        await self.app(scope, receive, send)

    def _check(self, path: str, headers: Headers) -> None:
        """Raises `ApiError`. A page of another site can send requests, or give this address its own name (DNS rebinding): it has no key."""
        if VIA.is_in(headers.getlist("via")):
            raise ApiError(508, "This request comes from this server: what it asks in its own place leads back to it.")
        if self.key:
            given = headers.get("authorization", "").removeprefix("Bearer ").strip()
            if path not in OPEN and not secrets.compare_digest(given.encode(), self.key):
                what = (
                    "The key is wrong." if given else "The request has no key: send it as 'Authorization: Bearer KEY'."
                )
                raise ApiError(401, what, code="invalid_api_key")
            return
        host, origin = headers.get("host", ""), headers.get("origin")
        foreign = origin not in (None, f"http://{host}", f"https://{host}")
        if (
            foreign
            or headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
            or not is_own(host, self.names)
        ):
            raise ApiError(
                403, "This request comes from another site. For one that may use this server, set --api-key-env."
            )
