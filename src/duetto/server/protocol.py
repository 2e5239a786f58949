"""The messages of `WS /v1/stream`: parsed from clients, made of the events of `duetto.live`.

client   session.update ─ binary audio … ─ session.close
server   session.created ─ utterance.start ─ measurement … ─ utterance.end ─ … ─ session.closed;   error, at any time
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import ConfigurationError
from ..live.events import Partial, SpeechStarted, SpeechStopped, StreamEvent, UtteranceAnswered
from ..live.segments import SegmenterConfig
from ..live.stream import StreamConfig
from .errors import RequestError

RATES = (8_000, 192_000)
"""Least and highest sample rate of a stream."""
MOST_CHANNELS = 8
INTERVALS = (0.25, 60.0)
"""Seconds between measurements of an utterance that has not ended."""
SUBPROTOCOL = "duetto.v1"
TOKEN_PREFIX = "duetto.token."
"""Begins a subprotocol that holds the token, in unpadded base64url; browsers can't send other headers."""


@dataclass(frozen=True)
class StreamSettings:
    """What a client sets by `session.update`.

    Attributes:
        model: Name of the model.
        rate: Of the samples, in Hz.
        channels: Of the audio, interleaved; each is a speaker.
        language: What is spoken (ISO 639-1); None where that is not stated. It chooses the model where none is set: the
            first one that reads its words, or no words at all.
        interval: Seconds between measurements of an utterance that has not ended; None for none before its end.
        adapt: Whether answers adapt to the speaker, where the system was trained to.
    """

    model: str
    rate: int = 16_000
    channels: int = 1
    language: str | None = None
    interval: float | None = 1.0
    adapt: bool = True

    @property
    def config(self) -> StreamConfig:
        """How the stream is answered."""
        return StreamConfig(replace(SegmenterConfig(), snapshot=self.interval), adapt=self.adapt)

    def to_json(self) -> dict[str, Any]:
        """Make the record of `session.created`.

        Returns:
            JSON values.
        """
        return {
            "model": self.model,
            "rate": self.rate,
            "channels": self.channels,
            "language": self.language,
            "interval": self.interval,
            "adapt": self.adapt,
        }


def parse_message(text: str) -> dict[str, Any]:
    """Read a text message.

    Args:
        text: As it came.

    Returns:
        A JSON object with a known `type`.

    Raises:
        RequestError: It is none.
    """
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        message = None
    known = ("session.update", "session.close")
    if not isinstance(message, dict) or message.get("type") not in known:
        raise RequestError(
            "message_invalid", f"a text message is a JSON object with a type of {' or '.join(known)}; audio is binary"
        )
    return message


def parse_settings(
    message: dict[str, Any], before: StreamSettings, models: Sequence[Mapping[str, Any]]
) -> StreamSettings:
    """Read a `session.update`.

    Args:
        message: The message.
        before: The settings so far, for what it leaves out.
        models: As `GET /v1/models` lists them.

    Returns:
        The settings.

    Raises:
        RequestError: A setting is not known or not valid.
    """
    given = message.get("session", {})
    known, names = list(before.to_json()), [model["id"] for model in models]
    if not isinstance(given, dict) or set(message) - {"type", "session"} or set(given) - set(known):
        raise RequestError("config_invalid", f"session is an object with some of {', '.join(known)}", "session")
    checks = {
        "model": (lambda v: v in names, f"one of {', '.join(names)}"),
        "rate": (_whole(*RATES), f"whole samples per second, {RATES[0]} to {RATES[1]}"),
        "channels": (_whole(1, MOST_CHANNELS), f"a whole number from 1 to {MOST_CHANNELS}"),
        "language": (_is_language, "null, or a code of two or three small letters"),
        "interval": (_is_interval, f"null, or {INTERVALS[0]:g} to {INTERVALS[1]:g} seconds"),
        "adapt": (lambda v: isinstance(v, bool), "true or false"),
    }
    for name, value in given.items():
        valid, what = checks[name]
        if not valid(value):
            raise RequestError("config_invalid", f"session.{name} is not valid; give {what}", name)
    settings = replace(before, **given)
    if settings.language is not None:
        takes = [m["id"] for m in models if m["languages"] is None or settings.language in m["languages"]]
        is_set = "model" in given or before.model != names[0]
        if not takes or (settings.model not in takes and is_set):
            which = settings.model if is_set else "every model of this server"
            raise RequestError(
                "config_invalid", f"{which} reads words of other languages; see GET /v1/models", "language"
            )
        settings = settings if settings.model in takes else replace(settings, model=takes[0])
    try:
        settings.config  # noqa: B018 (checks it)
    except ConfigurationError as error:
        raise RequestError("config_invalid", str(error)) from error
    return settings


def _whole(low: int, high: int) -> Any:
    return lambda v: isinstance(v, int) and not isinstance(v, bool) and low <= v <= high


def _is_language(value: Any) -> bool:
    return value is None or (
        isinstance(value, str) and value.isascii() and value.isalpha() and value.islower() and len(value) in (2, 3)
    )


def _is_interval(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return value is None or (number and math.isfinite(value) and INTERVALS[0] <= value <= INTERVALS[1])


def milliseconds(seconds: float) -> int:
    """Convert a time of the stream.

    Args:
        seconds: The time.

    Returns:
        Whole milliseconds.
    """
    return round(1000 * seconds)


@dataclass
class Outgoing:
    """Makes the messages of one stream, and counts its utterances.

    Attributes:
        utterances: Utterances that have begun.
        measurements: Measurements so far.
    """

    utterances: int = 0
    measurements: int = 0
    _current: dict[int | None, int] = field(default_factory=dict)

    def message(self, event: StreamEvent) -> dict[str, Any]:
        """Make the message of an event.

        Args:
            event: Of the stream.

        Returns:
            JSON values.

        Raises:
            TypeError: A stream has no such event.
        """
        if isinstance(event, SpeechStarted):
            self._current[event.channel] = self.utterances
            self.utterances += 1
            return {
                "type": "utterance.start",
                "utterance": self._current[event.channel],
                "channel": event.channel,
                "audio_start_ms": milliseconds(event.start),
            }
        if isinstance(event, SpeechStopped):
            return {
                "type": "utterance.end",
                "utterance": self._current[event.channel],
                "channel": event.channel,
                "audio_end_ms": milliseconds(event.end),
            }
        if not isinstance(event, Partial | UtteranceAnswered):
            raise TypeError(f"a stream does not send {type(event).__name__}")
        self.measurements += 1
        fields = event.segment.to_json()
        start, end = fields.pop("start"), fields.pop("end")
        return {
            "type": "measurement",
            "trigger": "interval" if fields.pop("kind") == "partial" else "speech_ended",
            "utterance": self._current[event.segment.channel],
            "audio_start_ms": milliseconds(start),
            "audio_end_ms": milliseconds(end),
            **fields,
        }
