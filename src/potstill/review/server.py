"""Serve a review until it is stopped, and bring its labels into the run."""

import asyncio
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from potstill import interrupt
from potstill.errors import PotstillError
from potstill.listening import address_of, listen
from potstill.progress import echo
from potstill.review.browse_index import index
from potstill.review.collect import collect
from potstill.review.database import FILE, Database
from potstill.review.filling import fill, settle
from potstill.review.security import Links
from potstill.review.settings import Settings
from potstill.review.visit import Review
from potstill.workspace.run import Run

COLLECT_SECONDS = 60.0
"""Interval at which labels are brought into the run while it is served."""
KEEP_ALIVE_SECONDS = 120
"""Idle time after which a connection is closed: a reviewer reads, and an answer that meets the close would have to be sent again."""


def serve(run: Run, defaults: Settings | None, given: Mapping[str, Any], host: str, port: int) -> None:
    """Serve the review until a stop is requested; ``defaults`` is None where only browsing is served.

    Raises `PotstillError` where the port is taken, there is nothing to label, or the database is another run's; `RecipeError` where
    ``given`` contradicts what the review began with.
    """
    listening = listen(host, port)
    database = Database(run.path(FILE))
    try:
        settings = settle(database.read, run, defaults, given) if defaults else None
        if settings:
            fill(database.read, run, settings)
        links = Links()
        address = address_of(listening)

        def invite() -> str:
            link = f"{address}/enter?token={links.new()}"
            print(f"Link for one browser: {link}", flush=True)
            return link

        review = Review(run, database, settings, links, invite)
        if settings is None:
            review.index = index(run)
        invite()
        echo("Ctrl-C stops the server. Every answer is saved at once; the same command resumes the review.")
        asyncio.run(_serve(review, listening, host))
    finally:
        listening.close()
        database.close()
    bring_in(run)


def bring_in(run: Run) -> None:
    """Bring the labels into labels.parquet, unless another process has the run: then they are brought in later."""
    try:
        _collect(run)
    except PotstillError as error:
        echo(f"The labels are in {FILE} and will be brought into labels.parquet later: {error}")


async def _serve(review: Review, listening: socket.socket, host: str) -> None:
    import uvicorn

    from potstill.review.app import application

    config = uvicorn.Config(
        application(review, host), log_level="critical", access_log=False, lifespan="off", server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )  # fmt: skip
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    collecting = asyncio.create_task(_collect_often(review))
    while not interrupt.stop_requested() and not serving.done():
        await asyncio.sleep(0.1)
    server.should_exit = True
    collecting.cancel()
    with suppress(asyncio.CancelledError):
        await collecting
    await serving


async def _collect_often(review: Review) -> None:
    collected = None
    while True:
        await asyncio.sleep(COLLECT_SECONDS)
        newest = review.database.read.execute("SELECT max(n) FROM history").fetchone()[0]
        if newest != collected:
            with suppress(PotstillError):  # another process has the run: the next time
                await asyncio.to_thread(_collect, review.run)
                collected = newest


def _collect(run: Run) -> None:
    with run.locked():
        collect(run)
