"""python benchmarks/review.py [--quick]: the review page with 50,000 items, and 100 reviewers at once.

25,000 questions with the answers of two systems are served by `potstill review` in a process of its own. ``page_ms`` is the 99th
percentile of the time of a page with the next item, over 200 pages that one reviewer asks for, one after the other, at places all over
the review. Then 100 reviewers answer 50 items each, on loopback and at once: each gets a page, thinks for a random time (exponential,
mean 2 s), and posts an answer. ``post_p99_ms`` is the 99th percentile of the time until the server has said that an answer is saved.
``lost`` is the number of these answers that the database does not hold after the server was killed with SIGKILL. The slowest of some searches in
all 75,000 rows of the run is printed, too. ``--quick`` has 2,000
items and 20 reviewers with 10 answers, and its figures do not count.
"""

import argparse
import asyncio
import json
import random
import re
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import reviewed

GOALS = {"page_ms": "< 100", "post_p99_ms": "< 250", "lost": "0"}
PAGES = 200
THINKING_SECONDS = 2.0
ITEM, TOKEN = re.compile(r'name="item" value="([^"]+)"'), re.compile(r'name="token" value="([^"]+)"')
SCORES = {"action": "save", "score-sound": "4", "score-supports": "5"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    questions, reviewers, answers = (1_000, 20, 10) if quick else (25_000, 100, 50)
    with tempfile.TemporaryDirectory() as temporary:
        run = reviewed.math_run(Path(temporary), questions)
        began = time.monotonic()
        with reviewed.served(run) as server:
            print(f"{2 * questions:,} items, ready after {time.monotonic() - began:.1f} s", flush=True)
            database = run.folder / "review.sqlite"
            pages, posts, sent = asyncio.run(measure(server, database, reviewers, answers))
            server.kill()
        with reviewed.served(run, "--browse") as server:
            print(f"browse: {asyncio.run(time_searches(server)):.0f} ms", flush=True)
        with sqlite3.connect(database) as connection:
            stored = set(connection.execute("SELECT reviewer, item FROM answers"))
    for name, times in (("page", pages), ("post", posts)):
        halves = np.percentile(times, [50, 90, 99, 100])
        print(
            f"{name}: "
            + ", ".join(f"{q} {ms:.0f} ms" for q, ms in zip(("p50", "p90", "p99", "slowest"), halves, strict=True))
        )
    figures = {
        "page_ms": round(float(np.percentile(pages, 99)), 1),
        "post_p99_ms": round(float(np.percentile(posts, 99)), 1),
        "lost": len(sent - stored),
    }
    met = not quick and figures["page_ms"] < 100 and figures["post_p99_ms"] < 250 and not figures["lost"]
    print(json.dumps({"benchmark": "review", "figures": figures, "goals": GOALS, "met": met}))


async def measure(
    server: reviewed.Server, database: Path, reviewers: int, answers: int
) -> tuple[list[float], list[float], set[tuple[str, str]]]:
    """Times of pages and of posts in ms, and who has answered which item."""
    posts: list[float] = []
    sent: set[tuple[str, str]] = set()
    link = server.link
    sessions = []
    for name in ["reader", *(f"reviewer-{i}" for i in range(reviewers))]:
        session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        await enter(session, server.address, link, name)
        link = server.next_link()
        sessions.append(session)
    pages = await time_pages(sessions[0], server.address, database)
    await asyncio.gather(
        *(
            review(session, server.address, f"reviewer-{i}", answers, posts, sent)
            for i, session in enumerate(sessions[1:])
        )
    )
    for session in sessions:
        await session.close()
    return pages, posts, sent


async def enter(session: aiohttp.ClientSession, address: str, link: str, name: str) -> None:
    async with session.get(link) as response:
        token = TOKEN.search(await response.text())[1]
    async with session.post(f"{address}/join", data={"token": token, "name": name}) as response:
        assert response.status == 200, await response.text()


async def time_pages(session: aiohttp.ClientSession, address: str, database: Path) -> list[float]:
    """Times of pages. Between them the reviewer's answers to a stretch of items are put into the database, to get to all places."""
    times = []
    with sqlite3.connect(database) as connection:
        items = [row[0] for row in connection.execute("SELECT id FROM items ORDER BY place")]
    stretch = len(items) // (PAGES + 1)
    for n in range(PAGES):
        began = time.perf_counter()
        async with session.get(f"{address}/label") as response:
            assert ITEM.search(await response.text())
        times.append(1000 * (time.perf_counter() - began))
        with sqlite3.connect(database, timeout=30) as connection:
            rows = [
                (item, '{"state": "skipped", "values": {}, "failed": [], "reason": "", "first": 0}')
                for item in items[n * stretch : (n + 1) * stretch]
            ]
            connection.executemany("INSERT OR IGNORE INTO answers VALUES ('reader', ?, ?, 1, '', 0)", rows)
    return times


async def time_searches(server: reviewed.Server) -> float:
    """The time of the slowest search in ms."""
    searches = [
        "",
        "q=train",
        "q=covers+hours+300",
        "q=300&state=training+row,+kept",
        "state=base:+incorrect&after=9000",
        "q=7&after=40000",
    ]
    times = []
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        async with session.get(server.link) as response:
            assert response.status == 200
        for search in searches:
            began = time.perf_counter()
            async with session.get(f"{server.address}/browse?{search}") as response:
                assert response.status == 200, await response.text()
            times.append(1000 * (time.perf_counter() - began))
    return max(times)


async def review(
    session: aiohttp.ClientSession,
    address: str,
    name: str,
    answers: int,
    posts: list[float],
    sent: set[tuple[str, str]],
) -> None:
    """Answer items as a reviewer does."""
    rng = random.Random(name)
    for _ in range(answers):
        async with session.get(f"{address}/label") as response:
            page = await response.text()
        item, token = ITEM.search(page)[1], TOKEN.search(page)[1]
        await asyncio.sleep(rng.expovariate(1 / THINKING_SECONDS))
        began = time.perf_counter()
        data = {"token": token, "item": item, "shown": str(time.time()), "away": "0", **SCORES}
        async with session.post(f"{address}/label", data=data, allow_redirects=False) as response:
            assert response.status == 303, await response.text()
        posts.append(1000 * (time.perf_counter() - began))
        sent.add((name, item))


if __name__ == "__main__":
    main()
