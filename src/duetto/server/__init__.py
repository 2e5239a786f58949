"""The server: HTTP, a WebSocket and a page around `duetto.inference` and `duetto.live`. Needs the extra `serve`.

    gate       host, origin, token; headers, metrics and JSON errors of every answer
    api        the addresses: uploads, models, health, documents
    session    one stream of `WS /v1/stream`, with its messages in `protocol` and its sound in `pending`
    uploads    forms, read into bounded memory
    engine     lanes: worker processes (or a thread) that uploads and streams share
    worker     what runs there; `stepwise` runs a time line a step at a time
    process    the server as a process, until a signal; `connection` is how it treats sockets
    static     the page

Answers equal those of `duetto predict`, `duetto.live.analyse` and `StreamingRecogniser` for the same samples.
"""

from .app import create_app
from .errors import ERRORS, RequestError
from .settings import Limits, ServerSettings

__all__ = ["ERRORS", "Limits", "RequestError", "ServerSettings", "create_app"]
