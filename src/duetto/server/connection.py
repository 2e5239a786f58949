"""How Uvicorn serves a socket: `uvicorn_config`, with what it lacks against clients that neither send nor read."""

from __future__ import annotations

import asyncio
import json

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from .errors import RequestError
from .settings import Limits

_FRAME_FACTOR = 4
"""Longest WebSocket message that is read at all, in `Limits.message_bytes`: one between them gets a named error."""
_KEEP_ALIVE_SECONDS = 5.0
_CLOSING_SECONDS = 5.0


class HttpProtocol(H11Protocol):
    """Ends a socket on which no head of a request arrives in time, and answers what is no HTTP with JSON.

    Attributes:
        limits: Of the server.
    """

    limits = Limits()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request.

        Args:
            transport: The socket.
        """
        super().connection_made(transport)
        self._wait_until = self.loop.time() + self.limits.head_seconds
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take what came.

        Args:
            data: Bytes.
        """
        super().data_received(data)  # ends the waiting
        upgraded = self.transport.get_protocol() is not self
        if (self.cycle is None or self.cycle.response_complete) and not upgraded:
            self._wait()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        self._wait_until = self.loop.time() + self.limits.head_seconds
        super().on_response_complete()
        if self.transport.is_closing():
            self._end()

    def timeout_keep_alive_handler(self) -> None:
        """Close a socket on which no request came."""
        super().timeout_keep_alive_handler()
        self._end()

    def _end(self) -> None:
        """A socket is closed once its client has read what was sent, which one that reads nothing never has."""
        self.loop.call_later(self.limits.send_seconds, self.transport.abort)

    def _wait(self) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_at(self._wait_until, self.timeout_keep_alive_handler)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, and close the socket.

        Args:
            msg: Of Uvicorn.
        """
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = json.dumps(RequestError("request_invalid", "the request is no valid HTTP/1.1").body()).encode()
            headers = [
                ("content-type", "application/json"),
                ("content-length", str(len(body))),
                ("connection", "close"),
            ]
            for event in (h11.Response(status_code=400, headers=headers), h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
        self._end()


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """Ends the socket of a stream that is over, whether or not its client reads what was sent.

    Attributes:
        limits: Of the server.
    """

    limits = Limits()

    def data_received(self, data: bytes) -> None:
        """Take what came; the first that comes is the whole head of the request.

        Args:
            data: Bytes.
        """
        super().data_received(data)
        if not self.handshake_initiated:  # Uvicorn would wait for ever for what follows
            self.transport.abort()

    def handle_parser_exception(self) -> None:
        """Close a stream whose frames are not valid, or too long; what still comes is read and forgotten.

        A socket that is closed while something is unread is reset, and the client would not get the code of the close.
        """
        if self.close_sent:
            return
        assert self.conn.close_sent is not None
        self.close_sent = True
        self.queue.put_nowait({"type": "websocket.disconnect", "code": self.conn.close_sent.code})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.transport.resume_reading()
        self.close_timer = self.loop.call_later(_CLOSING_SECONDS, self.transport.abort)

    async def run_asgi(self) -> None:
        """Serve the stream."""
        await super().run_asgi()
        self.loop.call_later(self.limits.send_seconds, self.transport.abort)


def uvicorn_config(app: ASGIApp, limits: Limits, *, proxy: bool = False) -> uvicorn.Config:
    """Make the settings of Uvicorn.

    Args:
        app: The application.
        limits: Of the server.
        proxy: Take the addresses of clients from the headers of a reverse proxy on this computer.

    Returns:
        The settings; nothing of a request is logged.
    """
    own = {"limits": limits}
    return uvicorn.Config(
        app,
        http=type("OwnHttpProtocol", (HttpProtocol,), own),
        ws=type("OwnWebSocketProtocol", (WebSocketProtocol,), own),
        access_log=False,
        log_config=None,
        log_level="critical",  # what clients do wrong is no news; defects are logged by `gate`
        proxy_headers=proxy,
        server_header=False,
        ws_max_size=_FRAME_FACTOR * limits.message_bytes,
        ws_per_message_deflate=False,  # sound hardly shrinks, and each socket would need memory for it
        # A server that reads no more from a busy client would not see its pong. `Limits` end clients that are gone.
        ws_ping_interval=None,
        timeout_keep_alive=max(1, round(min(_KEEP_ALIVE_SECONDS, limits.head_seconds))),
        timeout_graceful_shutdown=max(1, round(limits.shutdown_seconds)),
        backlog=2048,
        lifespan="off",  # run by `process`, so that an error of a model reaches the command line
    )
