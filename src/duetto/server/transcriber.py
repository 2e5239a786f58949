"""The text of utterances, for transcriptions by systems that read no words themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .. import audio
from ..asr.engines import RecogniserConfig, SpeechRecogniser, parse, whisper_at_hand
from ..errors import AudioError, ConfigurationError
from ..live.events import TimelineSegment

_MARGIN = 0.2
"""Seconds before an utterance from which on its words are found."""


class Transcriber:
    """Recognises words; the speech recogniser is loaded at first use.

    Args:
        asr: As for `duetto.load`; `corpus` is `general` here. `segments`, which finds no spellings, gives no text.

    Raises:
        ConfigurationError: There is no such recogniser.
    """

    def __init__(self, asr: str) -> None:
        self._config = None if asr == "segments" else _config(asr)
        self._engine: SpeechRecogniser | None = None

    def __call__(self, samples: np.ndarray) -> str:
        """Recognise the words of an utterance.

        Args:
            samples: (n,) float32 at 16 kHz.

        Returns:
            The words, with spaces between them; empty where there are none.
        """
        if self._config is None or not len(samples):
            return ""
        self._engine = self._engine or self._config.start()
        try:
            return " ".join(word.word for word in self._engine.transcribe(samples).words)
        except AudioError:  # too short for a word
            return ""


def texts_of(
    transcribe: Transcriber, opened: Callable[[], audio.Source], segments: Sequence[TimelineSegment]
) -> dict[tuple[float, int | None], str]:
    """Find the text of each segment of a recording.

    Args:
        transcribe: Recognises the words.
        opened: Opens the recording.
        segments: Of its time line.

    Returns:
        (start, channel) of each segment → its text.
    """
    texts = {}
    for segment in segments:
        source = opened() if segment.channel is None else audio.Channel(opened(), segment.channel)
        sound = audio.load(source, start=max(0.0, segment.start - _MARGIN), end=segment.end)
        texts[segment.start, segment.channel] = transcribe(sound.samples)
    return texts


def _config(asr: str) -> RecogniserConfig:
    if asr in ("auto", "corpus", "general"):
        return (whisper_at_hand() if asr == "auto" else None) or RecogniserConfig()
    config = parse(asr)
    if config is None:
        raise ConfigurationError(
            f"recogniser {asr!r} is not known; choose auto, corpus, general, segments, whisper=FOLDER, or whisper:NAME"
        )
    return config
