"""One stream of a client: `WS /v1/stream`.

Two tasks share a bounded buffer: one reads messages, the other recognises and sends. Where recognition or the client
is slow the buffer fills, nothing more is read from the socket, and TCP slows the sender down.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import Callable
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from ..live.events import StreamEvent
from .engine import Stream
from .errors import RequestError
from .pending import PendingAudio
from .protocol import SUBPROTOCOL, Outgoing, StreamSettings, milliseconds, parse_message, parse_settings
from .state import ServerState, client_of


class Session:
    """One stream.

    Args:
        state: Of the server.
        socket: Of the client.
    """

    def __init__(self, state: ServerState, socket: WebSocket) -> None:
        self._state, self._socket = state, socket
        self._limits = state.settings.limits
        self._settings = StreamSettings(state.settings.default_model)
        self._outgoing = Outgoing()
        self._pending = PendingAudio(self._settings.rate, self._settings.channels)
        self._changed = asyncio.Condition()
        self._announced = self._has_begun = False
        self._ending: str | None = None
        self._keep: Callable[[Any], None] = lambda _: None

    async def run(self) -> None:
        """Serve the stream until it ends."""
        offered = self._socket.scope.get("subprotocols", ())
        await self._socket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
        reason = "internal_error"
        try:
            with self._state.stream_of(client_of(self._socket.scope)), self._state.keeper.stream() as self._keep:
                reason = await self._served()
        except RequestError as error:
            reason = error.code
            await self._refuse(error)
        except (WebSocketDisconnect, OSError):
            reason = "disconnected"
        except Exception:
            await self._refuse(RequestError("internal_error", "the stream failed by a defect of duetto"))
            raise
        finally:
            self._state.metrics.opened.labels(reason).inc()

    async def _served(self) -> str:
        """Read and answer, until the answers end or one of both fails."""
        answer = asyncio.create_task(self._answer())
        reader, drain = asyncio.create_task(self._read()), asyncio.create_task(self._drained())
        pending: set[asyncio.Task[Any]] = {reader, answer}
        try:
            while not answer.done():
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            return answer.result()
        finally:
            for task in (reader, drain, answer):
                task.cancel()
            await asyncio.gather(reader, drain, answer, return_exceptions=True)

    async def _received(self) -> dict[str, Any] | None:
        """The next message of the client; None where it has left."""
        try:
            async with asyncio.timeout(None if self._ending else self._limits.idle_seconds):
                message = await self._socket.receive()
        except TimeoutError as error:
            most = f"{self._limits.idle_seconds:g} s"
            raise RequestError("idle_timeout", f"no message came for {most}; end a stream by session.close") from error
        return None if message["type"] == "websocket.disconnect" else dict(message)

    async def _read(self) -> None:
        while (message := await self._received()) is not None:
            if self._ending is None:  # what comes after the end is not used
                await self._take(message)
        if self._ending is None:
            raise WebSocketDisconnect

    async def _take(self, message: dict[str, Any]) -> None:
        data, text = message.get("bytes"), message.get("text") or ""
        if len(text.encode() if data is None else data) > self._limits.message_bytes:
            most = f"{self._limits.message_bytes >> 10} KiB"
            raise RequestError("message_too_large", f"a message has at most {most}; cut the audio anywhere")
        if data is not None:
            await self._take_audio(data)
            return
        content = parse_message(text)
        if content["type"] == "session.close":
            await self._end("session.close")
            return
        if self._has_begun:
            raise RequestError("config_invalid", "session.update came after the first audio; open another stream")
        self._settings = parse_settings(content, self._settings, self._state.engine.models)
        await self._announce()

    async def _take_audio(self, data: bytes) -> None:
        if not self._announced:
            await self._announce()
        async with self._changed:
            await self._changed.wait_for(lambda: not self._pending.full or self._ending is not None)
            self._pending.add(data)
            self._has_begun = self._has_begun or bool(data)
            if self._pending.ready:
                self._changed.notify_all()

    async def _announce(self) -> None:
        """Send `session.created`, with what the stream will be answered by."""
        self._announced = True
        self._pending = PendingAudio(self._settings.rate, self._settings.channels)
        (about,) = (model for model in self._state.engine.models if model["id"] == self._settings.model)
        more = {key: about[key] for key in ("labels", "uses_words", "adapts")}
        session = {"id": secrets.token_hex(8), **self._settings.to_json(), **more}
        await self._send({"type": "session.created", "session": session})

    async def _end(self, reason: str) -> None:
        async with self._changed:
            self._ending = self._ending or reason
            self._changed.notify_all()

    async def _drained(self) -> None:
        await self._state.draining.wait()
        await self._end("shutting_down")

    async def _answer(self) -> str:
        """Recognise what comes, and send the answers."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._has_begun or self._ending is not None)
        if self._has_begun:
            s = self._settings
            async with self._state.engine.stream(s.model, s.config, s.rate, s.channels) as stream:
                await self._answer_audio(stream)
        reason = self._ending or "session.close"
        if len(self._pending) and reason == "session.close":
            rest = f"the audio ends within a sample; its last {len(self._pending)} bytes are left out"
            await self._send(RequestError("invalid_audio_frame", rest).event())
        closed = {
            "type": "session.closed",
            "reason": reason,
            "audio_ms": milliseconds(self._seconds(self._pending.taken)),
        }
        counts = {"utterances": self._outgoing.utterances, "measurements": self._outgoing.measurements}
        await self._send({**closed, **counts})
        await self._socket.close(1012 if reason == "shutting_down" else 1000, reason)
        return reason

    async def _answer_audio(self, stream: Stream) -> None:
        while (piece := await self._next_piece()) is not None:
            pcm, arrived = piece
            self._keep(pcm)
            self._state.metrics.audio.inc(self._seconds(len(pcm)))
            await self._send_all(await stream.push(pcm), arrived)
            if self._seconds(self._pending.taken) > self._limits.stream_seconds:
                await self._end("too_long")
        await self._send_all(await stream.finish(), time.monotonic())

    def _seconds(self, count: int) -> float:
        """Of so many bytes of sound."""
        return count / self._pending.width / self._settings.rate

    async def _next_piece(self) -> tuple[bytes, float] | None:
        """Whole frames that have come, and when; None at the end."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._pending.ready or self._ending is not None)
            piece = self._pending.take(ended=self._ending is not None)
            self._changed.notify_all()
            return piece

    async def _send_all(self, events: list[StreamEvent], arrived: float) -> None:
        metrics = self._state.metrics
        for event in events:
            message = self._outgoing.message(event)
            await self._send(message)
            if message["type"] == "measurement":
                metrics.measurements.labels(message["trigger"]).inc()
                metrics.latency.labels(message["trigger"]).observe(time.monotonic() - arrived)

    async def _send(self, message: dict[str, Any]) -> None:
        self._keep(message)
        try:
            async with asyncio.timeout(self._limits.send_seconds):
                await self._socket.send_text(json.dumps(message, ensure_ascii=False))
        except TimeoutError as error:
            raise RequestError("client_too_slow", "the client does not read what it is sent") from error
        except RuntimeError as error:  # the socket is closed already
            raise WebSocketDisconnect from error

    async def _refuse(self, error: RequestError) -> None:
        """Send an error, and close."""
        self._state.metrics.errors.labels(error.code).inc()
        if self._socket.application_state != WebSocketState.CONNECTED:
            return
        with contextlib.suppress(RequestError, WebSocketDisconnect, OSError, RuntimeError, TimeoutError):
            await self._send(error.event())
            async with asyncio.timeout(self._limits.send_seconds):
                await self._socket.close(error.kind.close, error.code)
