"""The addresses of the server: uploads, models, health, documents, and the stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection
from typing import Any, TypeVar

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.websockets import WebSocket

import duetto

from ..errors import ConfigurationError
from ..live.stream import StreamConfig
from ..live.timeline import Channels, Timeline
from . import exports
from .documents import FIELDS, asyncapi, operation
from .errors import RequestError
from .session import Session
from .state import ServerState, client_of
from .subtitles import FORMATS, Transcription
from .uploads import Form, read_body, read_form
from .worker import Upload

_T = TypeVar("_T")
_POLL_SECONDS = 0.5
PREDICT, TIMELINE, TRANSCRIPTIONS, MODELS = "/v1/predict", "/v1/timeline", "/v1/audio/transcriptions", "/v1/models"
FORMATS_ROUTE, CONVERT = "/v1/formats", "/v1/timeline/convert"
STREAM = "/v1/stream"


def add_routes(router: APIRouter, state: ServerState) -> None:
    """Add the addresses.

    Args:
        router: To which they are added.
        state: Of the server.
    """
    _add_uploads(router, state)
    _add_transcriptions(router, state)
    _add_formats(router, state)
    _add_status(router, state)

    @router.websocket(STREAM)
    async def stream(socket: WebSocket) -> None:
        await Session(state, socket).run()


def _add_uploads(router: APIRouter, state: ServerState) -> None:
    @router.post(PREDICT, summary="The emotion of a recording", response_model=None, **operation(PREDICT))
    async def predict(request: Request) -> Response:
        """Answer a recording as a whole, as `duetto predict --json` does."""

        async def answer(form: Form) -> Response:
            upload, transcript = _upload(form, state), form.text("transcript")
            work = state.engine.explain if form.flag("explain", False) else state.engine.predict
            found = await work(upload, transcript)
            return await _kept(state, PREDICT, upload, found)

        return await _answered(request, state, PREDICT, answer)

    @router.post(TIMELINE, summary="Emotion over time", response_model=None, **operation(TIMELINE))
    async def timeline(request: Request) -> Response:
        """Answer each utterance of a recording, as `duetto timeline` does."""

        async def answer(form: Form) -> Response:
            upload, channels = _upload(form, state), _channels(form)
            format_ = form.one_of("format", tuple(exports.FORMATS), "json")
            found, _ = await state.engine.timeline(upload, _config(form), channels, transcript=form.text("transcript"))
            await _kept(state, TIMELINE, upload, found.to_json(upload.name))
            return _exported(found, upload.name, format_)

        return await _answered(request, state, TIMELINE, answer)


def _add_transcriptions(router: APIRouter, state: ServerState) -> None:
    @router.post(TRANSCRIPTIONS, summary="Words, with emotions", response_model=None, **operation(TRANSCRIPTIONS))
    async def transcribe(request: Request) -> Response:
        """Transcribe a recording in OpenAI's shape; each segment has its emotion."""

        async def answer(form: Form) -> Response:
            kind, make = FORMATS[form.one_of("response_format", tuple(FORMATS), "json")]
            upload = _upload(form, state, own_names=False)
            timeline, texts = await state.engine.timeline(upload, StreamConfig(), "split", with_text=True)
            with_words = "word" in form.fields.get("timestamp_granularities", [])
            language = form.text("language") or ""
            transcription = Transcription(timeline.segments, texts, timeline.duration, language, with_words)
            made = make(transcription)
            content = made if isinstance(made, str) else json.dumps(made, ensure_ascii=False)
            await _kept(state, TRANSCRIPTIONS, upload, made)
            return Response(content, media_type=kind)

        return await _answered(request, state, TRANSCRIPTIONS, answer)


def _add_formats(router: APIRouter, state: ServerState) -> None:
    @router.get(FORMATS_ROUTE, summary="The formats of a time line", response_model=None, **operation(FORMATS_ROUTE))
    async def formats() -> Response:
        """List what `format` chooses from."""
        return JSONResponse(
            {"object": "list", "data": [{"id": name, "suffix": e.suffix} for name, e in exports.FORMATS.items()]}
        )

    @router.post(CONVERT, summary="A time line in another format", response_model=None, **operation(CONVERT))
    async def convert(request: Request) -> Response:
        """Write a time line, as `POST /v1/timeline` answers it, in another format."""
        name = request.query_params.get("format", "json")
        if name not in exports.FORMATS:
            known = ", ".join(exports.FORMATS)
            raise RequestError("request_invalid", f"format is not valid; give one of {known}", "format")
        timeline, file = exports.parse_timeline(await read_body(request, state.settings.limits))
        return _exported(timeline, file, name)


def _exported(timeline: Timeline, file: str, name: str) -> Response:
    made = exports.FORMATS[name]
    return Response(made.write(timeline, file), media_type=made.media)


def _add_status(router: APIRouter, state: ServerState) -> None:
    @router.get(MODELS, summary="The models", response_model=None, **operation(MODELS))
    async def models() -> Response:
        """List the models; the first one is the default."""
        if not state.engine.ready:
            raise RequestError("not_ready", "the models are being loaded; try again in a moment")
        return JSONResponse({"object": "list", "data": state.engine.models})

    @router.get("/healthz", summary="Whether the process lives", response_model=None)
    async def health() -> Response:
        """Answer, which shows that the process lives."""
        return JSONResponse({"status": "ok", "version": duetto.__version__})

    @router.get("/readyz", summary="Whether the server takes work", response_model=None)
    async def ready() -> Response:
        """Answer 200 where the server takes work, else 503: while models are loaded, and while it ends."""
        state.check_open()
        return JSONResponse({"status": "ready"})

    @router.get("/metrics", summary="Counters, for Prometheus", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Show counters in the text format of Prometheus."""
        return Response(state.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @router.get("/asyncapi.json", summary="The messages of the stream", response_model=None)
    async def messages() -> Response:
        """Describe `WS /v1/stream` by AsyncAPI."""
        return JSONResponse(asyncapi(duetto.__version__))


async def _answered(
    request: Request, state: ServerState, route: str, answer: Callable[[Form], Awaitable[Response]]
) -> Response:
    """Read an upload, and answer it unless the client leaves."""
    state.check_open()
    known: Collection[str] = FIELDS[route]
    with state.upload_of(client_of(request.scope)):
        form = await read_form(request, state.spool, known)
        try:
            return await _unless_gone(request, answer(form))
        finally:
            form.free()


async def _unless_gone(request: Request, work: Awaitable[_T]) -> _T:
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait({task}, timeout=_POLL_SECONDS))[0]:
            if await request.is_disconnected():
                raise ClientDisconnect
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})


def _upload(form: Form, state: ServerState, *, own_names: bool = True) -> Upload:
    """The recording and the model of a form; clients of OpenAI's interface name the models of that."""
    name = form.text("model")
    if (
        not own_names
        and name is not None
        and name not in state.settings.models
        and name.startswith(("whisper-", "gpt-"))
    ):
        name = None
    return Upload(form.recording(), form.file_name, state.model(name))


def _channels(form: Form) -> Channels:
    text = form.text("channels") or "split"
    if text.isascii() and text.isdecimal() and len(text) < 4:
        return int(text)
    return "mix" if form.one_of("channels", ("split", "mix"), "split") == "mix" else "split"


def _config(form: Form) -> StreamConfig:
    window, hop = form.number("window", 0.5, 60), form.number("hop", 0.5, 60)
    try:
        return StreamConfig(window=window, hop=hop, adapt=form.flag("adapt", True))
    except ConfigurationError as error:
        raise RequestError("request_invalid", str(error), "hop") from error


async def _kept(state: ServerState, route: str, upload: Upload, answer: Any) -> Response:
    """Keep an answer where that is asked for; the answer as JSON."""
    if state.settings.keep is not None:
        await run_in_threadpool(state.keeper.upload, route, upload.content, answer)
    return JSONResponse(answer)
