"""Speech recognition with Whisper (Radford et al. 2023), through the optional package faster-whisper.

    samples (n,) at 16 kHz ─ WhisperRecogniser.recognise ─▶ tuple[Word(…, source="recognised")]

The model is a folder supplied by the user: the CTranslate2 conversion of any English or multilingual Whisper model.
Nothing is ever downloaded. Word times come from cross-attention and have a resolution of about 20 ms; align the
recognised words (`align.Aligner`) if the times matter.

Decoding: English, beam size 5, temperature 0 (no random fallback: the same samples give the same words), and no
conditioning on the previous 30 s (an error does not repeat itself).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, final

import numpy as np

from ..audio.activity import no_speech
from ..audio.signal import as_float
from ..audio.timing import SAMPLE_RATE, seconds
from ..data.text import normalise
from ..data.utterance import Word
from ..errors import MissingExtraError, ModelError

REQUIRED = ("model.bin", "config.json", "tokenizer.json")
"""Files of a model folder; without the last one faster-whisper would try to download it."""

_log = logging.getLogger(__name__)


@final
class WhisperRecogniser:
    """A Whisper model, run by faster-whisper.

    Args:
        model: Folder of the model.
        device: As for `faster_whisper.WhisperModel`: `cpu`, `cuda`, `auto`.
        compute_type: As for `faster_whisper.WhisperModel`: `int8`, `float16`, ….

    Raises:
        MissingExtraError: faster-whisper is not installed.
        ModelError: The folder holds no model that it can load.
    """

    def __init__(self, model: str | Path, *, device: str = "cpu", compute_type: str = "int8") -> None:
        folder = Path(model)
        missing = [name for name in REQUIRED if not (folder / name).is_file()]
        if missing:
            raise ModelError(
                f"{folder}: {', '.join(missing)} not found there. A Whisper model in the CTranslate2 format is a "
                f"folder with {', '.join(REQUIRED)}; duetto never downloads one"
            )
        try:
            import faster_whisper  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise MissingExtraError("recognition with Whisper", "whisper") from error
        try:
            self._model: Any = faster_whisper.WhisperModel(
                str(folder), device=device, compute_type=compute_type, local_files_only=True
            )
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"{folder}: faster-whisper cannot load this model ({error})") from error

    def recognise(self, samples: np.ndarray) -> tuple[Word, ...]:
        """Recognise the words of a recording; see `engines.SpeechRecogniser.recognise`.

        Args:
            samples: (n,), floating-point at 16 kHz.

        Returns:
            The words, normalised, with times and confidence; () if none was recognised.
        """
        signal = as_float(samples, max_amplitude=math.inf)
        reason = no_speech(signal)
        words = () if reason else tuple(self._transcribe(signal.astype(np.float32, copy=False)))
        if not words:
            _log.warning("no word was recognised: %s", reason or "Whisper found none")
        return words

    def _transcribe(self, signal: np.ndarray) -> Iterator[Word]:
        segments, _ = self._model.transcribe(
            signal,
            language="en",
            beam_size=5,
            temperature=0.0,
            condition_on_previous_text=False,
            word_timestamps=True,
        )
        duration, previous_end = seconds(len(signal), SAMPLE_RATE), 0.0
        for segment in segments:
            for entry in segment.words or ():
                start = min(max(float(entry.start), previous_end), duration)
                end = min(max(float(entry.end), start), duration)
                previous_end = end
                yield from _split(normalise(entry.word), start, end, float(entry.probability))


def _split(tokens: list[str], start: float, end: float, confidence: float) -> Iterator[Word]:
    """One word a token; tokens that Whisper wrote as one (`well-known`, `27`) share its time by their lengths."""
    total = sum(map(len, tokens))
    position = 0
    for token in tokens:
        first = start + (end - start) * position / total
        position += len(token)
        last = start + (end - start) * position / total
        yield Word(token, round(first, 4), round(last, 4), "recognised", min(max(confidence, 0.0), 1.0))
