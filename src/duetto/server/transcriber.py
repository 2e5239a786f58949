"""The text of an utterance, for transcriptions by systems that read no words, and the sound that it needs."""

from __future__ import annotations

import numpy as np

from ..asr.engines import RecogniserConfig, SpeechRecogniser, parse, whisper_at_hand
from ..audio.timing import SAMPLE_RATE, samples
from ..errors import AudioError, ConfigurationError


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


class Recent:
    """The last seconds of a channel.

    Args:
        seconds: How many.
    """

    def __init__(self, seconds: float) -> None:
        self._samples, self._end = np.empty(0, np.float32), 0
        self._most = samples(seconds)

    def add(self, block: np.ndarray) -> None:
        """Take the next samples.

        Args:
            block: (n,) float32 at 16 kHz.
        """
        self._samples = np.concatenate((self._samples, block))[-self._most :]
        self._end += len(block)

    def cut(self, start: float, end: float) -> np.ndarray:
        """Copy a part.

        Args:
            start: Seconds from the beginning of the channel.
            end: Seconds.

        Returns:
            (n,) float32, without what is no longer or not yet there.
        """
        first = self._end - len(self._samples)
        at, to = (max(0, round(t * SAMPLE_RATE) - first) for t in (start, end))
        return self._samples[at:to]


def _config(asr: str) -> RecogniserConfig:
    if asr in ("auto", "corpus", "general"):
        return (whisper_at_hand() if asr == "auto" else None) or RecogniserConfig()
    config = parse(asr)
    if config is None:
        raise ConfigurationError(
            f"recogniser {asr!r} is not known; choose auto, corpus, general, segments, whisper=FOLDER, or whisper:NAME"
        )
    return config
