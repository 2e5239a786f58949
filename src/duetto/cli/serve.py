"""`duetto serve`: the server and its page."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigurationError
from ..inference.pretrained import DEFAULT
from ..utils.parallel import cores
from ..utils.reading import read_bytes
from .options import one_of, usage_errors
from .output import echo

if TYPE_CHECKING:
    from ..server.settings import Limits

LOOPBACK = "127.0.0.1"
TOKEN = "DUETTO_TOKEN"
"""Environment variable that holds the token of clients."""

_TOKEN_LIMIT = 10_000

Host = Annotated[
    str,
    typer.Option(
        help="Address to listen on. The default is this computer alone; 0.0.0.0 or :: opens the server to every "
        "network that the computer is in, a name or an address to one of them."
    ),
]
Port = Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on; 0 for any that is free.")]
Models = Annotated[
    list[str],
    typer.Option(
        "--model", "-m", help="A model as for predict, or NAME=MODEL; may be repeated. The first is the default."
    ),
]
Asr = Annotated[
    str,
    typer.Option(
        callback=one_of(("auto", "corpus", "general", "segments", "whisper", "whisper=", "whisper:")),
        help="Speech recogniser that finds the words, as for predict; transcriptions use it for every system.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(min=0, help="Processes that recognise, by default the number of cores; 0: a thread, in less memory."),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(help=f"File with the token that clients have to send; or set the environment variable {TOKEN}."),
]
AllowHost = Annotated[
    list[str] | None,
    typer.Option(help="A name under which clients reach the server, behind a proxy for instance; may be repeated."),
]
BehindProxy = Annotated[
    bool, typer.Option("--behind-proxy", help="Take clients' addresses from the headers of a proxy on this computer.")
]
Keep = Annotated[
    Path | None,
    typer.Option(help="Keep recordings and answers in this folder. Without it nothing of a request reaches a disk."),
]
MaxUpload = Annotated[float, typer.Option(min=0.001, help="Largest upload, in MiB.")]
MaxMinutes = Annotated[float, typer.Option(min=0.01, help="Longest recording, in minutes.")]
MaxRequests = Annotated[int, typer.Option(min=1, help="Uploads at a time, waiting ones included.")]
MaxStreams = Annotated[int, typer.Option(min=1, help="Streams at a time.")]
PerClient = Annotated[
    int | None, typer.Option(min=1, help="Uploads, and streams, of one address at a time; by default no such limit.")
]
RequireSpeech = Annotated[
    bool,
    typer.Option(
        "--require-speech/--any-sound", help="Give a recording without speech no emotion, or predict one for any sound."
    ),
]


def serve(
    host: Host = LOOPBACK,
    port: Port = 8000,
    model: Models = [DEFAULT],  # noqa: B006 (read only)
    asr: Asr = "auto",
    workers: Workers = None,
    token_file: TokenFile = None,
    allow_host: AllowHost = None,
    behind_proxy: BehindProxy = False,
    keep: Keep = None,
    max_upload: MaxUpload = 100.0,
    max_minutes: MaxMinutes = 240.0,
    max_requests: MaxRequests = 64,
    max_streams: MaxStreams = 200,
    per_client: PerClient = None,
    require_speech: RequireSpeech = True,
) -> None:
    """Serve predictions over HTTP and WebSocket, and a page that shows them.

    Open the address that is printed in a browser: speak, or drop a recording. Programs use POST /v1/predict,
    POST /v1/timeline, POST /v1/audio/transcriptions and WS /v1/stream, described by /openapi.json and /asyncapi.json.
    Ctrl-C or SIGTERM ends the server after what it has begun.

    Examples:

        duetto serve

        duetto serve --model calls=runs/fusion --model emodb-ravdess --port 9000

        DUETTO_TOKEN=secret duetto serve --host 0.0.0.0 --allow-host emotions.example.org
    """
    from ..server.process import serve as run  # late, since it needs an extra
    from ..server.settings import Limits, ServerSettings

    limits = _limits(Limits(), max_upload, max_minutes, max_requests, max_streams, per_client)
    with usage_errors():
        settings = ServerSettings(
            models=_models(model),
            asr=asr,
            workers=cores() if workers is None else workers,
            require_speech=require_speech,
            token=_token(token_file),
            hosts=_hosts(host, allow_host or []),
            keep=keep,
            limits=limits,
        )

    def started(address: str, number: int) -> None:
        shown = f"[{address}]" if ":" in address else address
        echo(f"duetto serves http://{shown}:{number}/ (Ctrl-C ends it)", err=True)
        for line in notices(address, settings.token is not None, keep):
            echo(line, err=True)

    run(settings, host, port, proxy=behind_proxy, started=started)


def notices(address: str, with_token: bool, keep: Path | None) -> list[str]:
    """State what the options open, and what the law demands.

    Args:
        address: That is listened on.
        with_token: Whether clients need a token.
        keep: Folder in which recordings are kept, if they are.

    Returns:
        Lines.
    """
    lines = []
    if not _is_loopback(address):
        reach = (
            "every network that this computer is in" if ipaddress.ip_address(address).is_unspecified else "its network"
        )
        guard = "with the token" if with_token else f"without a token: set {TOKEN} or --token-file"
        lines.append(f"open to everyone in {reach}, {guard}; the traffic is not encrypted (use a proxy with TLS)")
    if keep is not None:
        lines.append(f"recordings and answers are kept in {keep}")
    lines.append(
        "emotion recognition is prohibited in the EU at work and in education, and elsewhere people must be informed "
        "of it; the page has a notice"
    )
    return lines


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _hosts(host: str, allowed: list[str]) -> frozenset[str]:
    """Names of the server; any, where it is opened to a network and no name is given."""
    if not _is_loopback(host) and not allowed:
        return frozenset()
    return frozenset({"localhost", LOOPBACK, "::1", host.lower(), *(name.lower() for name in allowed)})


def _models(given: list[str]) -> dict[str, str]:
    models: dict[str, str] = {}
    for each in given:
        name, found, model = each.partition("=")
        if not found:
            name, model = Path(each).name or each, each
        if not (name and model and name.isprintable()) or name in models:
            raise ConfigurationError(f"--model {each!r}: give MODEL or NAME=MODEL, each name once")
        models[name] = model
    return models


def _token(path: Path | None) -> str | None:
    if path is None:
        return os.environ.get(TOKEN) or None
    return read_bytes(path, error=ConfigurationError, limit=_TOKEN_LIMIT).decode("utf-8", "replace").strip()


def _limits(
    limits: Limits, megabytes: float, minutes: float, requests: int, streams: int, per_client: int | None
) -> Limits:
    return replace(
        limits,
        upload_bytes=round(megabytes * (1 << 20)),
        spool_bytes=max(limits.spool_bytes, round(megabytes * (1 << 20))),
        audio_seconds=60 * minutes,
        requests=requests,
        requests_per_client=per_client or requests,
        streams=streams,
        streams_per_client=per_client or streams,
    )
