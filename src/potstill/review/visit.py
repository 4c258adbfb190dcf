"""What all pages share: the review, its templates, and who visits."""

import asyncio
import hashlib
import hmac
import secrets
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from potstill.review.database import Database
from potstill.review.disagreements import Disagreement
from potstill.review.security import Links, fields_of, form_token, session_digest
from potstill.review.settings import Settings
from potstill.review.shown.markdown import html_of, plain
from potstill.workspace.run import Run

HERE = Path(__file__).parent
STATIC_TYPES = {"review.css": "text/css", "review.js": "text/javascript", "icon.svg": "image/svg+xml"}
Result = TypeVar("Result")


@dataclass
class Review:
    """A review that is served. ``settings`` is None where only browsing is served. ``starts`` are the places before which a reviewer
    has answered everything. ``invite`` makes a new link. ``disagreements`` are found
    once after all have finished; ``index`` and its ``states`` are opened once, under the ``lock``. ``drawing`` is the thread of `draw`."""

    run: Run
    database: Database
    settings: Settings | None
    links: Links
    invite: Callable[[], str]
    starts: dict[str, int] = field(default_factory=dict)
    disagreements: tuple[list[Disagreement], int] | None = None
    index: sqlite3.Connection | None = None
    states: list[tuple[str, int]] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    drawing: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "review pages"))

    @property
    def cookie(self) -> str:
        """The name of the cookie: browsers share cookies between the ports of a host."""
        return f"potstill-{hashlib.sha256(self.run.id.encode()).hexdigest()[:12]}"

    async def write(self, function: Callable[[sqlite3.Connection], Result]) -> Result:
        """Carry out ``function`` in a transaction, and wait until it is committed."""
        return await asyncio.wrap_future(self.database.write(function))

    async def draw(self, page: Callable[[], Result]) -> Result:
        """Make a page in the one thread for this, so that no answer waits while many reviewers ask for pages."""
        return await asyncio.get_running_loop().run_in_executor(self.drawing, page)


@dataclass(frozen=True)
class Visit:
    """A request of a known session. ``reviewer`` is empty until a name is typed in; ``fields`` are those of a form."""

    review: Review
    request: Request
    session: str
    reviewer: str
    fields: Mapping[str, str]

    def page(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """A page with what the base template needs."""
        shared = {"run": self.review.run.recipe.name, "reviewer": self.reviewer, "token": form_token(self.session),
                  "reviewing": self.review.settings is not None}  # fmt: skip
        return rendered(template, status, **shared | values)


Page = Callable[[Visit], Awaitable[Response]]


def for_visitors(review: Review, page: Page) -> Callable[[Request], Awaitable[Response]]:
    """The page for requests with a session; a form must carry the session's token."""

    async def handle(request: Request) -> Response:
        session = request.cookies.get(review.cookie, "")
        row = review.database.read.execute(
            "SELECT reviewer FROM sessions WHERE digest = ?", (session_digest(session),)
        ).fetchone()
        if row is None:
            return message(
                "This page needs a link",
                "Open the link that potstill printed in its terminal. Each link works once; whoever is already in can make another.", 403,
            )  # fmt: skip
        fields: Mapping[str, str] = {}
        if request.method == "POST":
            try:
                fields = fields_of(await request.body())
            except ValueError:
                return message("This is no form", "The request could not be read.", 400)
            if not hmac.compare_digest(fields.get("token", "").encode(), form_token(session).encode()):
                return message("This form is out of date", "Go back, reload the page and send it again.", 403)
        return await page(Visit(review, request, session, row["reviewer"] or "", fields))

    return handle


def see(path: str) -> Response:
    """Show another page after a form."""
    return RedirectResponse(path, 303)


def message(title: str, text: str, status: int = 200) -> HTMLResponse:
    """A page that says one thing, for any visitor."""
    return rendered(
        "message.html.jinja", status, run="", reviewer="", token="", reviewing=False, title=title, text=text
    )


def rendered(template: str, status: int, **values: Any) -> HTMLResponse:
    return HTMLResponse(_environment().get_template(template).render(static=static_address, **values), status)


@cache
def static_files() -> dict[str, tuple[bytes, str]]:
    """The application's own files by the name in their address, with their media types. The name changes with the content."""
    found = {}
    for name, kind in STATIC_TYPES.items():
        content = (HERE / "static" / name).read_bytes()
        found[f"{hashlib.sha256(content).hexdigest()[:12]}-{name}"] = (content, kind)
    return found


def static_address(name: str) -> str:
    return "/static/" + next(full for full in static_files() if full.endswith(f"-{name}"))


def new_session() -> str:
    return secrets.token_urlsafe(32)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"markdown": html_of, "plain": plain}
    return environment
