"""The application: its addresses, and what becomes of errors."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from potstill.errors import PotstillError
from potstill.review import adjudicating, browsing, labelling
from potstill.review.security import Guard, begin_session
from potstill.review.visit import Review, for_visitors, message, new_session, static_files

WEEK_SECONDS = 7 * 24 * 3600
GET = {
    "/": labelling.start,
    "/label": labelling.label,
    "/adjudicate": adjudicating.adjudicate,
    "/browse": browsing.rows,
    "/browse/row": browsing.row,
}
POST = {
    "/join": labelling.join,
    "/label": labelling.answer,
    "/label/undo": labelling.undo,
    "/reopen": labelling.reopen,
    "/finish": labelling.finish,
    "/invite": labelling.invite,
    "/adjudicate": adjudicating.decide,
    "/adjudicate/undo": adjudicating.undo,
}


def application(review: Review, host: str) -> Starlette:
    """The application for a review that is served at ``host``."""

    async def enter(request: Request) -> Response:
        """Exchange the token of a link for a cookie."""
        if not review.links.use(request.query_params.get("token", "")):
            return message(
                "This link does not work any more",
                "Each link works once. potstill has printed another one in its terminal; somebody who is in can make one on the start page.",
                403,
            )
        session = new_session()
        await review.write(lambda connection: begin_session(connection, session))
        response = RedirectResponse("/", 303)
        response.set_cookie(review.cookie, session, max_age=WEEK_SECONDS, httponly=True, samesite="lax")
        review.invite()
        return response

    async def static(request: Request) -> Response:
        known = static_files().get(request.path_params["name"])
        if known is None:
            raise HTTPException(404)
        content, kind = known
        return Response(content, media_type=kind, headers={"cache-control": "private, max-age=604800, immutable"})

    routes = [Route("/enter", enter), Route("/static/{name}", static)]
    routes += [Route(path, for_visitors(review, page), methods=["GET"]) for path, page in GET.items()]
    routes += [Route(path, for_visitors(review, page), methods=["POST"]) for path, page in POST.items()]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, host=host)],
        exception_handlers={PotstillError: _refused, HTTPException: _failed, 500: _broken},
    )


async def _refused(request: Request, error: Exception) -> Response:
    return message("This cannot be done", str(error), 409)


async def _failed(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return message("There is no such page", "The start page shows what there is.", status)


async def _broken(request: Request, error: Exception) -> Response:
    return PlainTextResponse(f"This went wrong: {type(error).__name__}. Answers that were saved are not lost.\n", 500)
