"""`serve`: the server as a process, until a signal ends it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Generator

import uvicorn

from ..errors import ConfigurationError
from .app import create_app
from .connection import uvicorn_config
from .settings import ServerSettings
from .state import ServerState

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_OTHER_FILES = 200
"""That a server has open beside its sockets."""


def serve(
    settings: ServerSettings, host: str, port: int, *, proxy: bool = False, started: Callable[[str, int], None]
) -> None:
    """Serve until SIGTERM or SIGINT, then finish what was begun. A second SIGINT ends at once.

    Args:
        settings: What is served.
        host: Address that is listened on.
        port: Port; 0 for any that is free.
        proxy: Take the addresses of clients from the headers of a reverse proxy on this computer.
        started: Called with the address and the port once requests are taken.

    Raises:
        ConfigurationError: The address cannot be listened on.
        DuettoError: A model cannot be loaded.
    """
    listening = _listen(host, port)
    app, state = create_app(settings)
    _allow_sockets(settings.limits.connections)
    config = uvicorn_config(app, settings.limits, proxy=proxy)
    server = _Server(config, state, started)
    with _handled(server):
        asyncio.run(_served(server, listening))


async def _served(server: _Server, listening: socket.socket) -> None:
    await server.state.engine.start()
    try:
        await server.serve([listening])
    finally:
        await server.state.engine.stop()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except (OSError, UnicodeError, OverflowError) as error:
        raise ConfigurationError(
            f"cannot listen on {host} port {port} ({error}); give another --host or --port"
        ) from error
    listening.setblocking(False)
    return listening


def _allow_sockets(count: int) -> None:
    """Raise the limit of open files, which is 1,024 on many systems, where the system lets this process do so."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource  # not on Windows

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = count + _OTHER_FILES
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        if soft != resource.RLIM_INFINITY and soft < most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


class _Server(uvicorn.Server):
    """Ends streams with their last answers before it closes sockets."""

    def __init__(self, config: uvicorn.Config, state: ServerState, started: Callable[[str, int], None]) -> None:
        super().__init__(config)
        self.state, self._started = state, started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and report it.

        Args:
            sockets: That are listened on.
        """
        await super().startup(sockets)
        for each in sockets or []:
            self._started(*each.getsockname()[:2])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, finish what was begun, close what is open.

        Args:
            sockets: That are listened on.
        """
        self.state.draining.set()
        for server in self.servers:
            server.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.state.settings.limits.shutdown_seconds):
                while self.state.streams and not self.force_exit:
                    await asyncio.sleep(0.05)
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals to `_handled`: Uvicorn would raise them again, as if the process had not ended in order.

        Yields:
            Nothing.
        """
        yield


@contextlib.contextmanager
def _handled(server: _Server) -> Generator[None, None, None]:
    """Handle signals to stop until the workers have ended, too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, server.handle_exit) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
