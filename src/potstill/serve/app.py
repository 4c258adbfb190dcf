"""The application: its addresses, and what becomes of errors."""

import time
from collections.abc import Awaitable, Callable

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from potstill.progress import echo
from potstill.serve.access import Access
from potstill.serve.chat import ChatCompletions
from potstill.serve.metrics import CONTENT_TYPE
from potstill.serve.openai_errors import ApiError

Endpoint = Callable[[Request], Awaitable[Response]]


def application(chat: ChatCompletions, is_well: Callable[[], bool], host: str, key: str) -> Starlette:
    """The application that is served at ``host`` to clients with ``key`` (empty: to all); ``is_well`` says whether the engine runs."""
    model = {"id": chat.student.name, "object": "model", "created": int(time.time()), "owned_by": "potstill"}

    async def models(request: Request) -> Response:
        return _json({"object": "list", "data": [model]})

    async def one_model(request: Request) -> Response:
        name = request.path_params["name"]
        if name != chat.student.name:
            raise ApiError(404, f"The model '{name[:100]}' does not exist here.", "model", "model_not_found")
        return _json(model)

    async def health(request: Request) -> Response:
        return _json({"status": "ok"}) if is_well() else _json({"status": "the engine has ended"}, 503)

    async def metrics(request: Request) -> Response:
        return Response(chat.metrics.text(), media_type=CONTENT_TYPE)

    return Starlette(
        routes=[
            Route("/v1/chat/completions", chat, methods=["POST"]),
            Route("/v1/models", models, methods=["GET"]),
            Route("/v1/models/{name:path}", one_model, methods=["GET"]),
            Route("/health", health, methods=["GET"]),
            Route("/metrics", metrics, methods=["GET"]),
        ],
        middleware=[Middleware(Access, host=host, key=key)],
        exception_handlers={ApiError: _refused, HTTPException: _failed, 500: _broken},
    )


def _json(value: object, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error.response()


async def _failed(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    words = "This address takes other methods." if status == 405 else "There is nothing at this address."
    headers = error.headers if isinstance(error, HTTPException) else None
    return ApiError(status, f"{words} Chats go to POST /v1/chat/completions.", headers=headers).response()


async def _broken(request: Request, error: Exception) -> Response:
    echo(f"  {request.url.path}: {type(error).__name__}: {error}")
    return ApiError(500, f"This went wrong: {type(error).__name__}.").response()
