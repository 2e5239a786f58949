"""What every request passes first: host, origin, token; and what every answer gets: headers, metrics, JSON errors."""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import RequestError
from .protocol import TOKEN_PREFIX
from .state import ServerState

_log = logging.getLogger(__name__)

OPEN = frozenset({"/", "/healthz", "/readyz", "/openapi.json", "/asyncapi.json"})
"""Addresses that need no token, and all below `STATIC`: nothing of a request or a recording is there."""
STATIC = "/static/"

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "media-src 'self' blob:; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Of every answer."""


class Gate:
    """ASGI middleware around the whole server.

    Args:
        app: What is behind it.
        state: Of the server.
        routes: Addresses whose requests are counted by themselves; all others are counted as `other`.
    """

    def __init__(self, app: ASGIApp, state: ServerState, routes: frozenset[str]) -> None:
        self._app, self._state, self._routes = app, state, routes
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection.

        Args:
            scope: See ASGI.
            receive: See ASGI.
            send: See ASGI.
        """
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        self._open += 1
        try:
            await (self._http if scope["type"] == "http" else self._websocket)(scope, receive, send)
        finally:
            self._open -= 1

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        began, status = time.monotonic(), 0

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if not scope["path"].startswith(STATIC):
                    headers["Cache-Control"] = "no-store"
            await send(message)

        try:
            self._check(scope)
            await self._app(scope, receive, counted)
        except RequestError as error:
            await answer_of(error, self._state)(scope, receive, counted)
        except Exception as error:  # a defect; its text may hold parts of the request, and is not logged
            _log.error("%s %s: %s", scope["method"], self._route(scope), type(error).__name__)
            if not status:
                defect = RequestError("internal_error", "the request failed by a defect of duetto")
                await answer_of(defect, self._state)(scope, receive, counted)
        finally:
            route = self._route(scope)
            self._state.metrics.requests.labels(route, status).inc()
            self._state.metrics.seconds.labels(route).observe(time.monotonic() - began)

    def _route(self, scope: Scope) -> str:
        if scope["path"].startswith(STATIC):
            return STATIC
        return scope["path"] if scope["path"] in self._routes else "other"

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._check(scope)
            await self._app(scope, receive, send)
        except RequestError as error:
            answer = answer_of(error, self._state)
            if "websocket.http.response" not in scope.get("extensions", {}):
                await send({"type": "websocket.close", "code": error.kind.close, "reason": error.code})
                return
            start = {"type": "websocket.http.response.start", "status": answer.status_code}
            await send({**start, "headers": answer.raw_headers})
            await send({"type": "websocket.http.response.body", "body": answer.body})
        except Exception as error:
            _log.error("stream: %s", type(error).__name__)

    def _check(self, scope: Scope) -> None:
        if self._open > self._state.settings.limits.connections:
            raise RequestError("overloaded", "too many sockets are in use; try again later")
        headers = Headers(scope=scope)
        _check_host(headers, self._state.settings.hosts)
        _check_origin(headers)
        path = scope["path"]
        if self._state.settings.token is not None and path not in OPEN and not path.startswith(STATIC):
            _check_token(headers, self._state.settings.token, scope.get("subprotocols", ()))


def answer_of(error: RequestError, state: ServerState) -> JSONResponse:
    """Make the answer to a request that is refused or fails, and count it.

    Args:
        error: Why.
        state: Of the server.

    Returns:
        The answer.
    """
    state.metrics.errors.labels(error.code).inc()
    return JSONResponse(error.body(), error.kind.status, error.headers)


def _host_of(authority: str) -> str:
    """The name in `name:port`, without the port."""
    try:
        return (urlsplit(f"//{authority}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _check_host(headers: Mapping[str, str], hosts: frozenset[str]) -> None:
    """Another name may be one that a page of another site has pointed at this address (DNS rebinding)."""
    if hosts and _host_of(headers.get("host", "")) not in hosts:
        raise RequestError(
            "host_forbidden", "the server is not known under this host name; start it with --allow-host NAME"
        )


def _check_origin(headers: Mapping[str, str]) -> None:
    """A browser sends the origin of the page that a request comes from; other clients send none."""
    origin = headers.get("origin")
    if origin is None:
        return
    if urlsplit(origin).netloc.lower() != headers.get("host", "").lower():
        raise RequestError("origin_forbidden", "requests from the pages of other sites are not answered")


def _check_token(headers: Mapping[str, str], token: str, subprotocols: Any) -> None:
    scheme, _, given = headers.get("authorization", "").partition(" ")
    offered = [given.strip()] if scheme.lower() == "bearer" else []
    offered += [_decoded(each) for each in subprotocols if each.startswith(TOKEN_PREFIX)]
    # Every one is compared, in constant time.
    equal = [hmac.compare_digest(each.encode("utf-8", "replace"), token.encode()) for each in offered]
    if not any(equal):
        raise RequestError("unauthorised", "send the token of the server as Authorization: Bearer TOKEN")


def _decoded(subprotocol: str) -> str:
    text = subprotocol.removeprefix(TOKEN_PREFIX)
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except (binascii.Error, ValueError):
        return ""
