"""Words heard by Whisper (Radford et al. 2023), through the optional package faster-whisper.

    samples (n,) at 16 kHz ─ WhisperRecogniser.recognise ─▶ tuple[Word(…, source="recognised")]

The model is a folder that the user has: the CTranslate2 conversion of any English or multilingual
Whisper model. Nothing is ever downloaded. Its word times come from cross-attention and are about 20 ms
coarse; align the recognised words (`align.Aligner`) where the times matter.

Settings: English, beam of 5, temperature 0 (no random fallback: the same samples give the same words), and
no conditioning on the previous 30 s (an error does not repeat itself).
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
    """faster-whisper over the model in folder `model`.

    device, compute_type: those of `faster_whisper.WhisperModel` (`cpu`, `cuda`, `auto`; `int8`, `float16`, …).
    Raises `MissingExtraError` where faster-whisper is not installed, `ModelError` for a folder without a model.
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
        """See `engines.SpeechRecogniser.recognise`."""
        signal = as_float(samples, max_amplitude=math.inf)
        reason = no_speech(signal)
        words = () if reason else tuple(self._hear(signal.astype(np.float32, copy=False)))
        if not words:
            _log.warning("no word was recognised: %s", reason or "Whisper heard none")
        return words

    def _hear(self, signal: np.ndarray) -> Iterator[Word]:
        segments, _ = self._model.transcribe(
            signal,
            language="en",
            beam_size=5,
            temperature=0.0,
            condition_on_previous_text=False,
            word_timestamps=True,
        )
        duration, heard_until = seconds(len(signal), SAMPLE_RATE), 0.0
        for segment in segments:
            for entry in segment.words or ():
                start = min(max(float(entry.start), heard_until), duration)
                end = min(max(float(entry.end), start), duration)
                heard_until = end
                yield from _words(normalise(entry.word), start, end, float(entry.probability))


def _words(tokens: list[str], start: float, end: float, confidence: float) -> Iterator[Word]:
    """One word a token; tokens that Whisper wrote as one (`well-known`, `27`) share its time by their letters."""
    total = sum(map(len, tokens))
    position = 0
    for token in tokens:
        first = start + (end - start) * position / total
        position += len(token)
        last = start + (end - start) * position / total
        yield Word(token, round(first, 4), round(last, 4), "recognised", min(max(confidence, 0.0), 1.0))
