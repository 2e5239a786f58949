"""What the requests of one server share."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

from .engine import Engine
from .errors import RequestError
from .keeping import Keeper
from .metrics import Metrics
from .settings import ServerSettings
from .uploads import Spool


class ServerState:
    """What the requests of one server share.

    Args:
        settings: Of the server.

    Attributes:
        settings: As given.
        engine: Recognises.
        metrics: Counts.
        spool: Memory for uploads.
        keeper: Writes what is kept.
        draining: Set when the server is to end: what was begun is finished, and nothing else begins.
        streams: Open streams.
    """

    settings: ServerSettings
    engine: Engine
    metrics: Metrics
    spool: Spool
    keeper: Keeper
    draining: asyncio.Event
    streams: int

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.engine, self.metrics = Engine(settings), Metrics()
        self.spool, self.keeper = Spool(settings.limits), Keeper(settings.keep)
        self.draining = asyncio.Event()
        self.streams = 0
        self._uploads_of: Counter[str] = Counter()
        self._streams_of: Counter[str] = Counter()
        self.metrics.uploads.set_function(lambda: self.engine.running)
        self.metrics.spooled.set_function(lambda: self.spool.used)
        self.metrics.streams.set_function(lambda: self.streams)

    def model(self, name: str | None) -> str:
        """Find a model.

        Args:
            name: As a client states it; None for the default.

        Returns:
            Its name.

        Raises:
            RequestError: There is none of this name.
        """
        if name is not None and name not in self.settings.models:
            known = ", ".join(self.settings.models)
            raise RequestError("model_not_found", f"there is no model of this name; there are {known}", "model")
        return name or self.settings.default_model

    def check_open(self) -> None:
        """Check that the server takes work.

        Raises:
            RequestError: It is loading its models, or ending.
        """
        if self.draining.is_set():
            raise RequestError("shutting_down", "the server is ending; try again in a moment")
        if not self.engine.ready:
            raise RequestError("not_ready", "the models are being loaded; try again in a moment")

    @contextlib.contextmanager
    def upload_of(self, client: str) -> Iterator[None]:
        """Count an upload of a client.

        Args:
            client: Its address.

        Yields:
            Nothing.

        Raises:
            RequestError: It has too many at a time.
        """
        with _counted(self._uploads_of, client, self.settings.limits.requests_per_client, "uploads"):
            yield

    @contextlib.contextmanager
    def stream_of(self, client: str) -> Iterator[None]:
        """Count a stream of a client.

        Args:
            client: Its address.

        Yields:
            Nothing.

        Raises:
            RequestError: It has too many at a time, or the server has.
        """
        self.check_open()
        with _counted(self._streams_of, client, self.settings.limits.streams_per_client, "streams"):
            if self.streams >= self.settings.limits.streams:
                raise RequestError("overloaded", f"{self.streams} streams are open already; try again later")
            self.streams += 1
            try:
                yield
            finally:
                self.streams -= 1


@contextlib.contextmanager
def _counted(counter: Counter[str], client: str, most: int, what: str) -> Iterator[None]:
    if counter[client] >= most:
        raise RequestError("rate_limited", f"{most} {what} of this client are open already; end one first")
    counter[client] += 1
    try:
        yield
    finally:
        counter[client] -= 1
        if not counter[client]:
            del counter[client]


def client_of(scope: Any) -> str:
    """Find the address of a client.

    Args:
        scope: Of the connection (ASGI).

    Returns:
        Its address; empty where that is not known.
    """
    return scope["client"][0] if scope.get("client") else ""
