"""What a server serves, and its limits."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path

from ..errors import ConfigurationError
from ..inference.pretrained import DEFAULT

MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What a server takes, so that no client can exhaust it.

    Attributes:
        upload_bytes: Of one upload; more is `too_large`.
        spool_bytes: Of all uploads at a time, which are kept in memory; more is `overloaded`.
        audio_seconds: Of one recording; more is `too_long`.
        text_bytes: Of the text fields of an upload together; more is `too_large`.
        upload_seconds: In which the body of a request has to arrive; else `upload_timeout`.
        request_seconds: That an analysis may take, waiting included; else `timed_out`.
        requests: Uploads at a time, waiting ones included; one more is `overloaded`.
        requests_per_client: Of one address; one more is `rate_limited`.
        streams: At a time; one more is `overloaded`.
        streams_per_client: Of one address; one more is `rate_limited`.
        stream_seconds: Of the sound of one stream; then it ends with `too_long`.
        message_bytes: Of one message of a stream; more is `message_too_large`.
        idle_seconds: Without a message of the client; then a stream ends with `idle_timeout`.
        send_seconds: In which a client has to read a message; else `client_too_slow`.
        head_seconds: In which the head of a request has to arrive on an open socket; else the socket is closed.
        connections: Requests and streams at a time, those included that will be refused; one more is `overloaded`.
        shutdown_seconds: In which what was begun has to end after a signal to stop.

    Raises:
        ConfigurationError: A limit is not positive.
    """

    upload_bytes: int = 100 * MIB
    spool_bytes: int = 512 * MIB
    audio_seconds: float = 4 * 3600.0
    text_bytes: int = 64 << 10
    upload_seconds: float = 300.0
    request_seconds: float = 900.0
    requests: int = 64
    requests_per_client: int = 64
    streams: int = 200
    streams_per_client: int = 200
    stream_seconds: float = 12 * 3600.0
    message_bytes: int = MIB
    idle_seconds: float = 60.0
    send_seconds: float = 30.0
    head_seconds: float = 20.0
    connections: int = 2000
    shutdown_seconds: float = 30.0

    def __post_init__(self) -> None:
        for each in fields(self):
            if not getattr(self, each.name) > 0:
                raise ConfigurationError(f"{each.name} is {getattr(self, each.name)!r}; give a positive number")


@dataclass(frozen=True)
class ServerSettings:
    """What a server serves.

    Attributes:
        models: Name of each model in requests → what `duetto.load` takes; the first is the default.
        asr: Speech recogniser of systems that read words, and of transcriptions; as for `duetto.load`.
        workers: Processes that recognise; 0 for one thread in the process of the server, which needs less memory.
        require_speech: Whether a recording without speech has no emotion.
        token: What clients have to send as `Authorization: Bearer …`; None for a server that asks for none.
        hosts: Names under which the server is reached; a request to any other is refused. Empty for any name.
        keep: Folder in which recordings and answers are kept; None to keep nothing.
        limits: See `Limits`.

    Raises:
        ConfigurationError: There is no model, a negative number of workers, or an empty token.
    """

    models: dict[str, str] = field(default_factory=lambda: {DEFAULT: DEFAULT})
    asr: str = "auto"
    workers: int = 1
    require_speech: bool = True
    token: str | None = None
    hosts: frozenset[str] = frozenset()
    keep: Path | None = None
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not self.models:
            raise ConfigurationError("there is no model to serve; give at least one")
        if self.workers < 0:
            raise ConfigurationError(f"workers is {self.workers}; give 0 (a thread) or more")
        if self.token is not None and (not self.token or not self.token.isascii() or self.token != self.token.strip()):
            raise ConfigurationError("the token is empty, or has spaces around it or characters beyond ASCII")

    @property
    def default_model(self) -> str:
        """The model of requests that name none."""
        return next(iter(self.models))
