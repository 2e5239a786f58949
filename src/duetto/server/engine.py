"""`Engine`: recognition outside the event loop, in lanes that uploads and streams share.

    request ─ Engine ─▶ the lane with the least work ─▶ worker process (or thread) ─▶ answer

A lane is one process, or one thread, that makes one call at a time in the order in which they came. Every call is
short, so a long recording does not keep streams waiting. A process that dies is replaced.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
from collections.abc import AsyncIterator
from concurrent.futures import BrokenExecutor, Executor, ThreadPoolExecutor
from typing import Any

from ..live.events import StreamEvent
from ..live.stream import StreamConfig
from ..live.timeline import Channels, Timeline
from ..utils import parallel
from .errors import RequestError
from .settings import ServerSettings
from .worker import Upload, Worker

_own: Worker | None = None
"""The worker of this process, if it is a worker process."""


def _begin(models: dict[str, str], asr: str, require_speech: bool) -> None:
    global _own
    for number in (signal.SIGINT, signal.SIGTERM):  # a signal to the whole group ends the server, which ends this one
        signal.signal(number, signal.SIG_IGN)
    _own = Worker(models, asr, require_speech)


def _call(method: str, *arguments: Any) -> Any:
    """Run in a worker process."""
    if _own is None:
        raise RuntimeError("this process is no worker")
    return getattr(_own, method)(*arguments)


class _Lane:
    """A process, or a thread with a worker that all threads share."""

    def __init__(self, settings: ServerSettings, shared: Worker | None) -> None:
        self._settings, self._shared = settings, shared
        self._stack = contextlib.ExitStack()
        self.load = 0
        """Uploads and streams that are open in it."""
        self._executor = self._started()

    def _started(self) -> Executor:
        if self._shared is not None:
            return self._stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="recognition"))
        s = self._settings
        pool = parallel.processes(1, _begin, (s.models, s.asr, s.require_speech))
        return self._stack.enter_context(pool)

    async def __call__(self, method: str, *arguments: Any) -> Any:
        executor = self._executor
        try:
            if self._shared is not None:
                future = executor.submit(getattr(self._shared, method), *arguments)
            else:
                future = executor.submit(_call, method, *arguments)
            return await asyncio.wrap_future(future)
        except BrokenExecutor as error:
            if executor is self._executor:
                self._stack.close()
                self._executor = self._started()
            raise RequestError("worker_failed", "the process that worked on this request died; try again") from error

    async def forget(self, id_: str) -> None:
        """Close a time line or a stream, which died with its process if that failed."""
        with contextlib.suppress(RequestError):
            await self("close", id_)

    def close(self) -> None:
        self._stack.close()


class Stream:
    """A stream that is open in a lane.

    Args:
        lane: The lane.
        id_: Of the stream.
    """

    def __init__(self, lane: _Lane, id_: str) -> None:
        self._lane, self._id = lane, id_

    async def push(self, pcm: bytes) -> list[StreamEvent]:
        """Take the next samples.

        Args:
            pcm: Whole frames of 16-bit little-endian samples, channels interleaved.

        Returns:
            What is known now.

        Raises:
            RequestError: The worker died.
        """
        return await self._lane("push", self._id, pcm)

    async def finish(self) -> list[StreamEvent]:
        """End the stream.

        Returns:
            What was not known before.

        Raises:
            RequestError: The worker died.
        """
        return await self._lane("finish", self._id)


class Engine:
    """The lanes of a server.

    Args:
        settings: Of the server.

    Attributes:
        ready: Whether the models are loaded.
        models: What `GET /v1/models` lists, once `ready`.
        running: Uploads that are being analysed or wait for it.
    """

    ready: bool
    models: list[dict[str, Any]]
    running: int

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._lanes: list[_Lane] = []
        self._ids = map(str, itertools.count())
        self.ready, self.models, self.running = False, [], 0

    async def start(self) -> None:
        """Load the models in every lane.

        Raises:
            DuettoError: A model cannot be loaded.
        """
        s = self._settings
        shared = None
        if s.workers == 0:
            shared = await asyncio.to_thread(Worker, s.models, s.asr, s.require_speech)
        else:  # here first: an error has its own message, not that of a process that died
            await asyncio.to_thread(Worker, s.models, s.asr, s.require_speech)
        self._lanes = [_Lane(s, shared) for _ in range(max(1, s.workers))]
        self.models = (await asyncio.gather(*(lane("describe") for lane in self._lanes)))[0]
        self.ready = True

    async def stop(self) -> None:
        """End the lanes, after what they are doing."""
        self.ready = False
        await asyncio.gather(*(asyncio.to_thread(lane.close) for lane in self._lanes))
        self._lanes = []

    @contextlib.asynccontextmanager
    async def _lane(self) -> AsyncIterator[_Lane]:
        if not self.ready:
            raise RequestError("not_ready", "the models are being loaded; try again in a moment")
        lane = min(self._lanes, key=lambda each: each.load)
        lane.load += 1
        try:
            yield lane
        finally:
            lane.load -= 1

    @contextlib.asynccontextmanager
    async def _upload(self) -> AsyncIterator[_Lane]:
        """A lane for an upload, within the limits."""
        limits = self._settings.limits
        if self.running >= limits.requests:
            raise RequestError("overloaded", f"{self.running} uploads are waiting already; try again later")
        self.running += 1
        try:
            async with self._lane() as lane, asyncio.timeout(limits.request_seconds):
                yield lane
        except TimeoutError as error:
            most = f"{limits.request_seconds:g} s"
            raise RequestError(
                "timed_out", f"the analysis took longer than {most}; send a shorter recording"
            ) from error
        finally:
            self.running -= 1

    async def predict(self, upload: Upload, transcript: str | None) -> dict[str, Any]:
        """Answer a recording as a whole.

        Args:
            upload: The recording.
            transcript: What is said.

        Returns:
            The record of `duetto predict --json`.

        Raises:
            RequestError: It is refused, or cannot be analysed.
        """
        async with self._upload() as lane:
            return await lane("predict", upload, transcript, self._settings.limits.audio_seconds)

    async def explain(self, upload: Upload, transcript: str | None) -> dict[str, Any]:
        """Answer a recording as a whole, and compute what moved the answer.

        Args:
            upload: The recording.
            transcript: What is said.

        Returns:
            The record of `duetto predict --explain --json`.

        Raises:
            RequestError: It is refused, or cannot be analysed.
        """
        return await self._in_steps(
            "explained", "open_explanation", upload, transcript, self._settings.limits.audio_seconds
        )

    async def timeline(
        self,
        upload: Upload,
        config: StreamConfig,
        channels: Channels,
        *,
        with_text: bool = False,
        transcript: str | None = None,
    ) -> tuple[Timeline, dict[tuple[float, int | None], str]]:
        """Answer a recording over time, as `live.analyse` does.

        Args:
            upload: The recording.
            config: How it is cut and answered.
            channels: Which channels are answered.
            with_text: Whether words are found where the system reads none.
            transcript: What is said; of one channel.

        Returns:
            See `Worker.result`.

        Raises:
            RequestError: It is refused, or cannot be analysed.
        """
        limit = self._settings.limits.audio_seconds
        arguments = (upload, config, channels, limit, with_text, transcript)
        return await self._in_steps("result", "open_recording", *arguments)

    async def _in_steps(self, result: str, open_: str, *arguments: Any) -> Any:
        """Work whose steps take turns with those of others: opened by one method of a worker, returned by another."""
        id_ = next(self._ids)
        async with self._upload() as lane:
            try:
                await lane(open_, id_, *arguments)
                while await lane("advance", id_):
                    pass
                return await lane(result, id_)
            finally:
                await asyncio.shield(lane.forget(id_))

    @contextlib.asynccontextmanager
    async def stream(self, model: str, config: StreamConfig, rate: int, channels: int) -> AsyncIterator[Stream]:
        """Open a stream.

        Args:
            model: Name of the model.
            config: How it is cut and answered.
            rate: Of its samples, in Hz.
            channels: Of its samples.

        Yields:
            The stream.

        Raises:
            RequestError: A setting is not valid, or the worker died.
        """
        id_ = next(self._ids)
        async with self._lane() as lane:
            try:
                await lane("open_stream", id_, model, config, rate, channels)
                yield Stream(lane, id_)
            finally:
                await asyncio.shield(lane.forget(id_))
