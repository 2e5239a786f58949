"""The descriptions of the interface: parts of the OpenAPI document, and the AsyncAPI document of the stream."""

from __future__ import annotations

from typing import Any

from .errors import ERRORS, RequestError
from .schemas import (
    CLIENT_MESSAGES,
    ERROR,
    FORMATS,
    MODELS,
    PREDICTION,
    SERVER_MESSAGES,
    TEXT,
    TIMELINE,
    TRANSCRIPTION,
    Schema,
    described,
)

DESCRIPTION = """Perceived emotional expression in speech: of a recording, over time, and live.

An answer is what listeners would most likely name when they hear the speech. It does not state what a person feels.
The EU's AI Act (Regulation 2024/1689) prohibits emotion recognition at work and in education, but for medical or safety
reasons (Article 5 (1) f), and demands that people are informed who are exposed to it elsewhere (Article 50 (3))."""

_FILE: Schema = {
    "type": "string",
    "format": "binary",
    "description": "The recording: wav, flac, ogg, opus, mp3, and what ffmpeg reads, where it is installed.",
}
FIELDS: dict[str, dict[str, Schema]] = {
    "/v1/predict": {
        "model": described(TEXT, "Name of a model of `GET /v1/models`; the first one by default."),
        "transcript": described(TEXT, "What is said, for systems that read words."),
        "explain": {"enum": ["true", "false"], "description": "Add what each moment and word contributed."},
    },
    "/v1/timeline": {
        "model": described(TEXT, "Name of a model; the first one by default."),
        "transcript": described(
            TEXT, "What is said by the one speaker, in up to two minutes, for systems that read words."
        ),
        "channels": described(TEXT, "`split` (each is a speaker; the default), `mix`, or a number from 0 on."),
        "window": {"type": "number", "minimum": 0.5, "maximum": 60, "description": "Seconds of a sliding window."},
        "hop": {"type": "number", "minimum": 0.5, "maximum": 60, "description": "Seconds from one to the next."},
        "adapt": {"enum": ["true", "false"], "description": "Adapt to each speaker, where the system does that."},
        "format": described(TEXT, "`json` (the default), or another format of the answer."),
    },
    "/v1/audio/transcriptions": {
        "model": described(TEXT, "Name of a model; `whisper-1` and names that begin with `gpt-` stand for the first."),
        "language": described(TEXT, "What is spoken; repeated in the answer."),
        "prompt": described(TEXT, "Not used."),
        "temperature": described(TEXT, "Not used."),
        "response_format": {"enum": ["json", "text", "verbose_json", "srt", "vtt"]},
        "timestamp_granularities": described(
            {"type": "array", "items": {"enum": ["word", "segment"]}}, "`word` lists words in `verbose_json`."
        ),
    },
}
"""Address → the fields of its form, `file` aside."""

_ANSWERED = {"channel": 0, "label": "happy"}
_ANSWERED |= {"probabilities": {"angry": 0.11, "happy": 0.72, "neutral": 0.14, "sad": 0.03}, "words": []}
_ANSWERED |= {"dimensions": {"arousal": 3.6, "valence": 4.1}}  # FastAPI leaves null out of examples
_ANSWERED |= {"speech_seconds": 2.144, "session_utterances": 3, "uncertain": False, "unfamiliar": False}
_ANSWERED |= {"cut": False, "warnings": []}
_WORDLESS = {"words": [], "words_from": "none", "model": "emodb-ravdess", "warnings": []}
EXAMPLES: dict[str, Any] = {
    "/v1/predict": {
        "file": "hello.wav",
        "duration": 2.51,
        "speech_seconds": 2.144,
        "label": "happy",
        "probabilities": _ANSWERED["probabilities"],
        "dimensions": _ANSWERED["dimensions"],
        **_WORDLESS,
    },
    "/v1/timeline": {
        "file": "call.wav",
        "duration": 2.51,
        "channels": 1,
        "model": "emodb-ravdess",
        "labels": ["angry", "happy", "neutral", "sad"],
        "segments": [{"kind": "utterance", "start": 0.192, "end": 2.336, **_ANSWERED}],
        "windows": [],
        "warnings": [],
    },
    "/v1/audio/transcriptions": {
        "text": "how lovely to see you",
        "segments": [
            {
                "start": 0.192,
                "end": 2.336,
                "text": "how lovely to see you",
                "emotion": {k: _ANSWERED[k] for k in ("label", "probabilities", "uncertain", "unfamiliar", "warnings")},
            }
        ],
    },
    "/v1/models": {
        "object": "list",
        "data": [
            {
                "id": "calls",
                "object": "model",
                "created": 0,
                "owned_by": "duetto",
                "labels": ["angry", "happy", "neutral", "sad"],
                "uses_words": True,
                "languages": ["en"],
                "adapts": False,
                "terms": "for use within the company",
            }
        ],
    },
}
"""Address → an answer."""

EXAMPLES["/v1/timeline/convert"] = EXAMPLES["/v1/timeline"]
EXAMPLES["/v1/formats"] = {"object": "list", "data": [{"id": "csv", "suffix": "csv"}]}
_ANSWERS = {
    "/v1/formats": FORMATS,
    "/v1/timeline/convert": TIMELINE,
    "/v1/predict": PREDICTION,
    "/v1/timeline": TIMELINE,
    "/v1/audio/transcriptions": TRANSCRIPTION,
    "/v1/models": MODELS,
}
_UPLOAD_STATUSES = (401, 403, 404, 408, 413, 415, 422, 429, 500, 503)


def operation(route: str) -> dict[str, Any]:
    """Make what FastAPI's decorators take for a route.

    Args:
        route: Its address.

    Returns:
        Keyword arguments: responses with schemas and examples, and the form.
    """
    example = {"application/json": {"schema": _ANSWERS[route], "example": EXAMPLES[route]}}
    responses: dict[int, Any] = {200: {"description": "The answer.", "content": example}}
    for status in (401, 403, 500, 503) if route in ("/v1/models", "/v1/formats") else _UPLOAD_STATUSES:
        responses[status] = _refusals(status)
    if route == "/v1/timeline/convert":
        body = {"required": True, "content": {"application/json": {"schema": TIMELINE, "example": EXAMPLES[route]}}}
        query = {"name": "format", "in": "query", "schema": TEXT, "description": "One of `GET /v1/formats`."}
        return {"responses": responses, "openapi_extra": {"requestBody": body, "parameters": [query]}}
    if route not in FIELDS:
        return {"responses": responses}
    form: Schema = {"type": "object", "required": ["file"], "properties": {"file": _FILE, **FIELDS[route]}}
    body = {"required": True, "content": {"multipart/form-data": {"schema": {**form, "additionalProperties": False}}}}
    return {"responses": responses, "openapi_extra": {"requestBody": body}}


def _refusals(status: int) -> dict[str, Any]:
    kinds = {code: kind for code, kind in ERRORS.items() if kind.status == status}
    examples = {code: {"value": RequestError(code, kind.meaning, "file").body()} for code, kind in kinds.items()}
    retry = any(kind.retry is not None for kind in kinds.values())
    header = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}} if retry else {}
    return {
        "description": " ".join(f"`{code}`: {kind.meaning}" for code, kind in kinds.items()),
        "content": {"application/json": {"schema": ERROR, "examples": examples}},
        **({"headers": header} if header else {}),
    }


def asyncapi(version: str) -> dict[str, Any]:
    """Make the AsyncAPI document of `WS /v1/stream`.

    Args:
        version: Of duetto.

    Returns:
        The document, by AsyncAPI 3.0.
    """
    audio = {
        "name": "audio",
        "title": "Sound: 16-bit little-endian samples, channels interleaved, in binary messages cut anywhere",
        "contentType": "audio/x-raw",
        "payload": {"type": "string", "format": "binary"},
    }
    messages = {"audio": audio} | {
        name: {"name": name, "contentType": "application/json", "payload": schema}
        for name, schema in {**CLIENT_MESSAGES, **SERVER_MESSAGES}.items()
    }
    channel = {"$ref": "#/channels/stream"}

    def references(names: list[str]) -> list[dict[str, str]]:
        return [{"$ref": f"#/channels/stream/messages/{name}"} for name in names]

    return {
        "asyncapi": "3.0.0",
        "info": {"title": "duetto stream", "version": version, "description": DESCRIPTION},
        "defaultContentType": "application/json",
        "channels": {
            "stream": {
                "address": "/v1/stream",
                "description": "One stream a socket. session.update comes before the first audio, or never; "
                "session.close ends the audio and gets every answer that is left, then session.closed.",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                "bindings": {"ws": {"method": "GET"}},
            }
        },
        "operations": {
            "receive": {"action": "receive", "channel": channel, "messages": references(["audio", *CLIENT_MESSAGES])},
            "send": {"action": "send", "channel": channel, "messages": references(list(SERVER_MESSAGES))},
        },
        "components": {"messages": messages},
    }
