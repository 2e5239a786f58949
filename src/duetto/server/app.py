"""`create_app`: the server as an ASGI application."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

import duetto

from .api import add_routes
from .documents import DESCRIPTION
from .errors import RequestError
from .gate import STATIC, Gate, answer_of
from .settings import ServerSettings
from .state import ServerState

_FILES = Path(__file__).parent / "static"
_GONE = 499
"""Status of a request whose client has left, in the metrics; nobody gets it."""


def create_app(settings: ServerSettings) -> tuple[ASGIApp, ServerState]:
    """Make a server.

    Args:
        settings: What it serves.

    Returns:
        The application, which loads the models when it starts, and what its requests share.
    """
    state = ServerState(settings)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await state.engine.start()
        try:
            yield
        finally:
            await state.engine.stop()

    app = FastAPI(
        title="duetto",
        version=duetto.__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # it loads its scripts from another site
        redoc_url=None,
    )
    add_routes(app.router, state)
    _add_page(app)
    _add_errors(app, state)
    routes = frozenset(getattr(route, "path", "") for route in app.routes)
    return Gate(app, state, routes), state


def _add_page(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False, response_model=None)
    async def page() -> Response:
        """Show the page."""
        return FileResponse(_FILES / "index.html", media_type="text/html; charset=utf-8")

    app.mount(STATIC, StaticFiles(directory=_FILES))


def _add_errors(app: FastAPI, state: ServerState) -> None:
    """Answer every error in one shape."""

    @app.exception_handler(RequestError)
    async def refused(_: Request, error: RequestError) -> Response:
        return answer_of(error, state)

    @app.exception_handler(ClientDisconnect)
    async def gone(_: Request, __: ClientDisconnect) -> Response:
        return Response(status_code=_GONE)

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> Response:
        codes = {404: "not_found", 405: "method_not_allowed"}
        code = codes.get(error.status_code, "request_invalid")
        answer = answer_of(RequestError(code, str(error.detail)), state)
        answer.headers.update(error.headers or {})
        return answer
