"""Run the proxy until it is stopped, and say what was recorded."""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address

from aiohttp import web
from yarl import URL

from potstill import interrupt
from potstill.errors import RecipeError
from potstill.listening import address_of, listen
from potstill.models.remote.address import is_local
from potstill.progress import echo
from potstill.recipe.redaction import Redactor
from potstill.record.log import Log
from potstill.record.proxy import LIMITS, PREFIX, Proxy
from potstill.record.writer import Writer

SUMMARY_SECONDS = 60.0
STOP_SECONDS = 30.0
"""Time that requests in flight have to end when the proxy stops."""


def serve(to: str, log: Log, redact: Redactor, host: str, port: int, timeout: float) -> None:
    """Pass requests to the server at ``to`` until a stop is requested.

    Raises `RecipeError` for an address that is none or that is the proxy's own, `PotstillError` where the port is taken.
    """
    server = parse_address(to)
    listening = listen(host, port)
    try:
        _require_another(server, listening)
        writer = Writer(log, redact)
        proxy = Proxy(server, writer, timeout)
        own = address_of(listening)
        print(f"{own}{PREFIX} passes to {server.origin()}{proxy.base}. Answers go to {log.folder}/", flush=True)
        print(f"  export OPENAI_BASE_URL={own}{PREFIX}", flush=True)
        if not is_local(URL(own)):
            echo("Everybody who reaches this address can use the server by it, and what they ask is recorded.")
        with writer.running(), asyncio.Runner(loop_factory=_event_loop()) as runner:
            runner.run(_run(proxy, listening))
        echo(summary(proxy))
    finally:
        listening.close()


def parse_address(to: str) -> URL:
    """The address of a server. Raises `RecipeError`."""
    try:
        url = URL(to)
        url.port  # noqa: B018 - raises ValueError for an invalid port
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise RecipeError("--to is the base address of a server, such as https://api.example.com/v1, and this is none.")
    if url.user or url.password:
        raise RecipeError("--to contains a password. Leave it out: the clients send the key, and it is passed on.")
    if url.raw_path.rstrip("/").endswith("/chat/completions"):
        raise RecipeError("--to: leave out /chat/completions; clients append it to the base address.")
    return url.with_fragment(None)


def summary(proxy: Proxy) -> str:
    """What passed and what of it was recorded, in a sentence each."""
    writer = proxy.writer
    reasons = Counter(proxy.counts) + Counter(writer.counts)
    text = f"{_number(proxy.passed, 'request')} passed, {_number(writer.recorded, 'answer')} recorded in {writer.log.folder}/"
    if reasons:
        text += "; not recorded: " + ", ".join(f"{n:,} {reason}" for reason, n in reasons.most_common())
    if redacted := +writer.redact.counts:
        text += "; redacted: " + ", ".join(f"{n:,} {name}" for name, n in redacted.most_common())
    return f"{text}."


def _number(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _require_another(server: URL, listening: socket.socket) -> None:
    """Raises `RecipeError` where the server's address is the proxy's own. A loop by a way round is found by its first request."""
    host, port = listening.getsockname()[:2]
    if server.port != port:
        return
    try:
        found = socket.getaddrinfo(server.host, port, type=socket.SOCK_STREAM)
    except OSError:
        return  # the name may be known later
    for family, *_, address in found:
        if address[0] == host or (ip_address(host).is_unspecified and _is_of_this_machine(family, str(address[0]))):
            raise RecipeError(
                f"--to {server.origin()} is the proxy's own address. Give the server's, or another --port."
            )


def _is_of_this_machine(family: int, host: str) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
    return True


def _event_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where it is installed."""
    with suppress(ImportError):
        import uvloop

        return uvloop.new_event_loop
    return None


async def run_proxy(proxy: Proxy, listening: socket.socket, stop: asyncio.Event) -> None:
    """Pass requests until ``stop`` is set; those in flight then have `STOP_SECONDS`."""
    runner = web.AppRunner(
        proxy.application(), handler_cancellation=True, access_log=None, shutdown_timeout=STOP_SECONDS, **LIMITS
    )
    await runner.setup()
    try:
        await web.SockSite(runner, listening, backlog=1024).start()
        await stop.wait()
    finally:
        await runner.cleanup()


async def _run(proxy: Proxy, listening: socket.socket) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(run_proxy(proxy, listening, stop))
    passed = 0
    while not running.done() and await interrupt.sleep(SUMMARY_SECONDS):
        if proxy.passed != passed:
            passed = proxy.passed
            echo(summary(proxy))
    stop.set()
    await running
