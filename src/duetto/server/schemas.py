"""JSON schemas of what is sent and answered, for the OpenAPI and the AsyncAPI document."""

from __future__ import annotations

from typing import Any

from .errors import ERRORS
from .protocol import INTERVALS, MOST_CHANNELS, RATES

Schema = dict[str, Any]


def record(required: dict[str, Schema], optional: dict[str, Schema] | None = None, about: str = "") -> Schema:
    """Make the schema of an object.

    Args:
        required: Name of each member that is always there → its schema.
        optional: The others.
        about: Description.

    Returns:
        The schema; no other members are allowed.
    """
    schema: Schema = {"type": "object", "properties": {**required, **(optional or {})}, "required": list(required)}
    return {**schema, "additionalProperties": False, **({"description": about} if about else {})}


def described(schema: Schema, text: str) -> Schema:
    """Add a description.

    Args:
        schema: A schema.
        text: The description.

    Returns:
        Another schema.
    """
    return {**schema, "description": text}


def nullable(schema: Schema) -> Schema:
    """Allow null.

    Args:
        schema: Of other values.

    Returns:
        The schema of both.
    """
    return {"anyOf": [schema, {"type": "null"}]}


def many(schema: Schema) -> Schema:
    """Make the schema of a list.

    Args:
        schema: Of its items.

    Returns:
        The schema.
    """
    return {"type": "array", "items": schema}


TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
COUNT: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": "boolean"}

LABEL = described(nullable(TEXT), "Perceived expression: the most probable class; null where there is no speech.")
PROBABILITIES: Schema = {
    "type": "object",
    "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1},
    "description": "Class → calibrated probability; empty where label is null.",
}
DIMENSIONS: Schema = {
    "type": ["object", "null"],
    "additionalProperties": NUMBER,
    "description": "Dimension, such as arousal → rating in the units of training; null where the model has none.",
}
UNCERTAIN = described(nullable(FLAG), "Whether the system would rather not answer; null where it does not state that.")
UNFAMILIAR = described(nullable(FLAG), "Whether the voice is unlike those of training; null where that is not stated.")
WORD = record({"word": TEXT, "start": nullable(NUMBER), "end": nullable(NUMBER), "source": TEXT})
WARNINGS = described(many(TEXT), "Reasons to trust the answer less.")
CHANNEL = described(nullable(COUNT), "Of the recording, from 0 on; null where all were mixed.")

ANSWER: dict[str, Schema] = {
    "channel": CHANNEL,
    "label": LABEL,
    "probabilities": PROBABILITIES,
    "dimensions": DIMENSIONS,
    "words": many(WORD),
    "speech_seconds": NUMBER,
    "session_utterances": described(nullable(COUNT), "Earlier utterances of the speaker that the answer rests on."),
    "uncertain": UNCERTAIN,
    "unfamiliar": UNFAMILIAR,
    "cut": described(FLAG, "Whether the utterance was too long and goes on in the next one."),
    "warnings": WARNINGS,
}
SEGMENT = record(
    {"kind": {"enum": ["utterance", "window"]}, "start": NUMBER, "end": NUMBER, **ANSWER}, about="Times in seconds."
)
TIMELINE = record(
    {
        "file": TEXT,
        "duration": NUMBER,
        "channels": COUNT,
        "model": TEXT,
        "labels": many(TEXT),
        "segments": many(SEGMENT),
        "windows": many(SEGMENT),
        "warnings": WARNINGS,
    }
)
_EFFECTS: Schema = {"type": "object", "additionalProperties": NUMBER}
EXPLANATION = record(
    {
        "moments": many(record({"start": NUMBER, "end": NUMBER, "effects": _EFFECTS})),
        "words": many(
            record({"word": TEXT, "start": nullable(NUMBER), "end": nullable(NUMBER), "effects": _EFFECTS}),
        ),
        "evaluations": COUNT,
    },
    about="Class → by how much the moment or word raised its log-probability; empty where too little speech remains.",
)
PREDICTION: Schema = {
    "type": "object",
    "required": ["file", "duration", "label", "probabilities", "words", "model", "warnings"],
    "properties": {
        "file": TEXT,
        "duration": NUMBER,
        "speech_seconds": NUMBER,
        "label": LABEL,
        "probabilities": PROBABILITIES,
        "dimensions": DIMENSIONS,
        "words": many(WORD),
        "words_from": TEXT,
        "model": TEXT,
        "warnings": WARNINGS,
        "uncertain": UNCERTAIN,
        "unfamiliar": UNFAMILIAR,
        "explanation": described(EXPLANATION, "With `explain=true` only."),
    },
    "description": "The record of `duetto predict --json`.",
}
EMOTION = record({key: ANSWER[key] for key in ("label", "probabilities", "uncertain", "unfamiliar", "warnings")})
TRANSCRIPTION: Schema = {
    "type": "object",
    "required": ["text", "segments"],
    "properties": {
        "task": TEXT,
        "language": TEXT,
        "duration": NUMBER,
        "text": TEXT,
        "segments": many(
            {
                "type": "object",
                "required": ["start", "end", "text", "emotion"],
                "properties": {"start": NUMBER, "end": NUMBER, "text": TEXT, "emotion": EMOTION},
            }
        ),
        "words": many(WORD),
    },
}
MODEL = record(
    {
        "id": TEXT,
        "object": {"const": "model"},
        "created": COUNT,
        "owned_by": TEXT,
        "labels": many(TEXT),
        "uses_words": FLAG,
        "languages": described(nullable(many(TEXT)), "Whose words it reads (ISO 639-1); null where it reads none."),
        "adapts": described(FLAG, "Whether answers of a stream or a channel adapt to its speaker."),
        "terms": described(TEXT, "What the model was trained on and how it may be used."),
    }
)
FORMATS = record({"object": {"const": "list"}, "data": many(record({"id": TEXT, "suffix": TEXT}))})
MODELS = record({"object": {"const": "list"}, "data": many(MODEL)})
CODE: Schema = {"enum": sorted(ERRORS)}
ERROR = record({"error": record({"code": CODE, "message": TEXT, "type": TEXT, "param": nullable(TEXT)})})

SETTINGS: dict[str, Schema] = {
    "model": TEXT,
    "rate": {"type": "integer", "minimum": RATES[0], "maximum": RATES[1], "description": "Hz"},
    "channels": {"type": "integer", "minimum": 1, "maximum": MOST_CHANNELS, "description": "Each is one speaker."},
    "language": described(
        nullable({"type": "string", "pattern": "^[a-z]{2,3}$"}),
        "What is spoken. Chooses the first model that takes it, unless a model is set; null where it is not stated.",
    ),
    "interval": described(
        nullable({"type": "number", "minimum": INTERVALS[0], "maximum": INTERVALS[1]}),
        "Seconds between measurements of an utterance that has not ended.",
    ),
    "adapt": FLAG,
}
_MS = described(COUNT, "Milliseconds of sound from the beginning of the stream.")
_UTTERANCE = described(COUNT, "Number of the utterance in the stream, from 0 on.")

CLIENT_MESSAGES: dict[str, Schema] = {
    "session.update": record({"type": {"const": "session.update"}}, {"session": record({}, SETTINGS)}),
    "session.close": {"type": "object", "properties": {"type": {"const": "session.close"}}, "required": ["type"]},
}
"""Type → schema."""

SERVER_MESSAGES: dict[str, Schema] = {
    "session.created": record(
        {
            "type": {"const": "session.created"},
            "session": record({"id": TEXT, **SETTINGS, "labels": many(TEXT), "uses_words": FLAG, "adapts": FLAG}),
        }
    ),
    "utterance.start": record(
        {"type": {"const": "utterance.start"}, "utterance": _UTTERANCE, "channel": CHANNEL, "audio_start_ms": _MS}
    ),
    "measurement": record(
        {
            "type": {"const": "measurement"},
            "trigger": {
                "enum": ["interval", "speech_ended"],
                "description": "Of an utterance so far, or of one that has ended, which is final.",
            },
            "utterance": _UTTERANCE,
            "audio_start_ms": _MS,
            "audio_end_ms": _MS,
            **ANSWER,
        }
    ),
    "utterance.end": record(
        {"type": {"const": "utterance.end"}, "utterance": _UTTERANCE, "channel": CHANNEL, "audio_end_ms": _MS}
    ),
    "session.closed": record(
        {
            "type": {"const": "session.closed"},
            "reason": {"enum": ["session.close", "shutting_down", "too_long"]},
            "audio_ms": _MS,
            "utterances": COUNT,
            "measurements": COUNT,
        }
    ),
    "error": record({"type": {"const": "error"}, "error": record({"code": CODE, "message": TEXT})}),
}
"""Type → schema."""
