"""Pass requests to a server and its answers back, unchanged, and keep a copy of both for the log.

What the two sides of a proxy settle for themselves is not passed: the hop-by-hop headers of RFC 9110 (7.6.1), `Host` and `Expect`. A `Via`
header (7.6.3) goes to the server, by which a loop is found.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from potstill.listening import Via
from potstill.models.remote import address
from potstill.record.exchange import Exchange, Room, secrets_of
from potstill.record.writer import Writer

HOP_BY_HOP = frozenset((
    "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding",
    "upgrade",
))  # fmt: skip
NOT_SENT = HOP_BY_HOP | {"host", "expect"}
PREFIX = "/v1"
CONNECT_SECONDS = 10.0
IDLE_SECONDS = 4.0
"""Time that an idle connection to the server is kept: less than the 5 s after which common servers close one, since a request that meets
the close would fail."""
MAX_HEADER_BYTES = 1 << 16
WHOLE_BODY_BYTES = 1 << 20
"""A request up to this length is sent when it has arrived, a longer one as it arrives."""
BY_CLIENT, BY_SERVER, FAILED = "given up by the client", "broken off by the server", "failed requests"
OTHER_METHOD = "not a POST"

LIMITS: dict[str, Any] = {
    "max_line_size": MAX_HEADER_BYTES,
    "max_field_size": MAX_HEADER_BYTES,
    "auto_decompress": False,
}


class Proxy:
    """Passes requests to ``to``. Its `PREFIX` is the path of ``to``; where that has none, all paths are passed as they are.

    timeout: seconds without a byte of the server after which a request fails.
    """

    def __init__(self, to: URL, writer: Writer, timeout: float) -> None:
        self.to, self.writer, self.timeout = to, writer, timeout
        self.base = to.raw_path.rstrip("/")
        self.passed = 0
        self.counts: Counter[str] = Counter()
        """Of each reason why an exchange did not go to the writer, how many."""
        self.room = Room()
        self.via = Via()
        self._forward = address.proxy_for(to)

    def application(self) -> web.Application:
        @web.middleware
        async def pass_everything(
            request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
        ) -> web.StreamResponse:
            return await self.handle(request)

        application = web.Application(middlewares=[pass_everything])
        application.on_response_prepare.append(_leave_out_own_headers)
        application.cleanup_ctx.append(self._open_session)
        return application

    async def _open_session(self, _: web.Application) -> AsyncIterator[None]:
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_SECONDS),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=self.timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            **LIMITS,
        )
        yield
        await self.session.close()

    def address(self, path: str) -> URL | None:
        """The server's address for a path with its query, as they were sent; None for a path that is not passed."""
        path, question, query = path.partition("?")
        if not path.startswith("/"):
            return None
        if self.base:
            if path != PREFIX and not path.startswith(f"{PREFIX}/"):
                return None
            path = self.base + path[len(PREFIX) :]
        if self.to.raw_query_string:
            question, query = "?", "&".join(filter(None, (query, self.to.raw_query_string)))
        return URL(f"{self.to.origin()}{path}{question}{query}", encoded=True)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Pass a request and its answer, and have them recorded."""
        self.passed += 1
        if self.via.is_in(request.headers.getall("Via", ())):
            return _error(508, f"this request has come back: {self.to.host} leads to this proxy. Give it another --to.")
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return _error(501, "WebSocket connections are not passed; connect to the server itself.")
        to = self.address(request.raw_path)
        if to is None:
            return _error(404, f"paths that begin with {PREFIX}/ are passed, and this one does not.")
        exchange = Exchange(self.room, secrets_of(request.headers, request.query))
        if request.method != "POST":
            exchange.skip(OTHER_METHOD)
        try:
            return await self._pass(request, to, exchange)
        except asyncio.CancelledError:
            if not exchange.answer.size:
                exchange.skip(BY_CLIENT)  # otherwise it may have closed a stream that it had read to its end
            raise
        except _BrokenOffError:
            exchange.skip(BY_CLIENT if _is_gone(request) else BY_SERVER)
            if request.transport is not None:
                request.transport.close()  # the client sees an answer without its end, as it would without the proxy
            raise
        except (web.RequestPayloadError, ValueError) as error:
            exchange.skip(FAILED)
            return _error(400, f"this request cannot be passed ({type(error).__name__}).")
        except TimeoutError:
            exchange.skip(FAILED)
            return _error(504, f"{self.to.host} did not answer in time.")
        except (aiohttp.ClientError, OSError) as error:
            exchange.skip(FAILED)
            return _error(502, f"{self.to.host} cannot be reached, or broke off ({type(error).__name__}).")
        finally:
            if not exchange.why_not:
                self.writer.put(exchange)
            elif exchange.why_not != OTHER_METHOD:
                self.counts[exchange.why_not] += 1

    async def _pass(self, request: web.Request, to: URL, exchange: Exchange) -> web.StreamResponse:
        headers = _without(request.headers, NOT_SENT)
        headers.add("Via", self.via.header)
        exchange.request.encoding = request.headers.get("Content-Encoding", "")
        async with self.session.request(
            request.method,
            to,
            headers=headers,
            data=await _body(request, exchange),
            allow_redirects=False,
            proxy=self._forward,
        ) as answer:
            if answer.status != 200:
                exchange.skip(FAILED)
            exchange.answer.content_type = answer.headers.get("Content-Type", "").lower()
            exchange.answer.encoding = answer.headers.get("Content-Encoding", "")
            response = _Answer(answer)
            await response.prepare(request)
            try:
                async for part in answer.content.iter_any():
                    exchange.add(exchange.answer, part)
                    await response.write(part)
                await response.write_eof()
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise _BrokenOffError(type(error).__name__) from error
            return response


class _BrokenOffError(ConnectionError):
    """One of the two sides broke off within an answer."""


class _Answer(web.StreamResponse):
    """A server's answer, with its headers and no others."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        super().__init__(status=answer.status, reason=answer.reason, headers=_without(answer.headers, HOP_BY_HOP))
        self.given = frozenset(name.lower() for name in answer.headers)


async def _leave_out_own_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Take out what aiohttp adds to an answer."""
    if isinstance(response, _Answer):
        for name in ("Content-Type", "Date", "Server"):
            if name.lower() not in response.given:
                response.headers.popall(name, None)


def _is_gone(request: web.Request) -> bool:
    """Whether the client has closed its connection."""
    return request.transport is None or request.transport.is_closing()


async def _body(request: web.Request, exchange: Exchange) -> bytes | AsyncIterator[bytes] | None:
    """The request's body, copied into the exchange; as it arrives where it is long."""
    if not request.body_exists:
        return None
    if request.content_length is None or request.content_length > WHOLE_BODY_BYTES:
        return _arriving(request, exchange)
    body = b"".join([part async for part in request.content.iter_any()])
    exchange.add(exchange.request, body)
    return body


async def _arriving(request: web.Request, exchange: Exchange) -> AsyncIterator[bytes]:
    async for part in request.content.iter_any():
        exchange.add(exchange.request, part)
        yield part


def _without(headers: CIMultiDictProxy[str], names: frozenset[str]) -> CIMultiDict[str]:
    """The headers but for some, and those that `Connection` names; in their order, repeated ones too."""
    left_out = names | {name.strip().lower() for value in headers.getall("Connection", ()) for name in value.split(",")}
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in left_out)


def _error(status: int, message: str) -> web.Response:
    """An error of the proxy itself, in the form of OpenAI's."""
    error = {"message": f"potstill record: {message}", "type": "proxy_error", "code": status}
    return web.json_response({"error": error}, status=status)
