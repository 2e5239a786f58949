"""The words of one recording, by the best path there is: given, aligned, recognised, or merely segmented.

    words given ────────────────────────────▶ given
    transcript ─ forced alignment ──────────▶ aligned      (fails: transcript, without times)
    nothing ─ recogniser ───────────────────▶ recognised   (hears nothing: segmented, or none)
    nothing, recogniser `segments` ─────────▶ segmented

A system that embeds spoken words needs times, not spellings; one that looks words up needs spellings, not
times. Where a path gives what the system cannot use, the next one is taken, and a warning says so.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ..audio.timing import seconds
from ..data.text import normalise
from ..data.utterance import Word
from ..errors import ConfigurationError, ModelError
from ..utils import files
from ..utils.reading import read_json
from .align import Aligner
from .engines import RecogniserConfig, SpeechRecogniser
from .language_model import LanguageModel
from .segment import segment, without_spelling

LANGUAGE_MODEL_FILE = "language.json"
PAST_END = 0.1
"""Seconds the last word may end after its recording: the last analysis frames of an aligner overhang."""

WORDS_FROM = ("given", "aligned", "transcript", "recognised", "segmented", "none")


@dataclass(frozen=True)
class FoundWords:
    """words: with `source` and, but from `transcript`, times. words_from: one of `WORDS_FROM`. warnings: why to
    trust them less."""

    words: tuple[Word, ...]
    words_from: str
    warnings: tuple[str, ...] = ()


class WordFinder:
    """Finds the words of recordings; decoders are loaded at first use and calls wait for each other.

    recogniser: `corpus` (pocketsphinx expecting the sentences the system was trained on; `general` where
    the system has no language model), `general` (pocketsphinx' own English model), `segments` (no
    recognition: word-like stretches of sound), or `whisper=FOLDER`. folder: of the system, for its
    language model. needs_times: whether the system embeds the sound of words. uses_times: whether it embeds that of
    some; words that cannot be aligned then keep their spelling alone.
    """

    def __init__(self, recogniser: str, folder: Path, *, needs_times: bool, uses_times: bool = False) -> None:
        self._needs_times = needs_times
        self._uses_times = needs_times or uses_times
        self._segments_only = recogniser == "segments"
        if self._segments_only and not needs_times:
            raise ConfigurationError("this system looks words up by their spelling, which segments do not have")
        self._engine = recogniser_config(recogniser, folder)
        self._started: SpeechRecogniser | None = None
        self._aligner: Aligner | None = None
        self._lock = threading.Lock()

    def __call__(
        self, samples: np.ndarray, *, transcript: str | None = None, words: Sequence[Word] | None = None
    ) -> FoundWords:
        """The words of `samples` (n,), float at 16 kHz; `words` win over `transcript`, and that over listening."""
        with self._lock:
            if words is not None:
                return self._given(samples, words)
            if transcript is not None:
                return self._aligned(samples, transcript)
            return self._listened(samples)

    def _given(self, samples: np.ndarray, words: Sequence[Word]) -> FoundWords:
        if not words:
            return FoundWords((), "given", ("no words were given; the system answers as if nothing had been said",))
        if self._uses_times and any(word.start is None for word in words):
            heard = self._aligned(samples, " ".join(word.word for word in words))
            told = ("the words came without times and were aligned",) if heard.words_from == "aligned" else ()
            return FoundWords(heard.words, heard.words_from, (*told, *heard.warnings))
        beyond = [word.word for word in words if word.end is not None and word.end > seconds(len(samples)) + PAST_END]
        told = (f"{len(beyond)} words end after the recording does: {', '.join(beyond[:5])}",) if beyond else ()
        return FoundWords(tuple(words), "given", told)

    def _aligned(self, samples: np.ndarray, transcript: str) -> FoundWords:
        self._aligner = self._aligner or Aligner()
        found = self._aligner.align(samples, transcript)
        warnings = found.warnings
        if not found.matches and found.words:
            warnings = (*warnings, "the transcript does not seem to be what is said; its times are not trusted")
        elif found.words:
            return FoundWords(found.words, "aligned", warnings)
        if self._needs_times:
            return self._segmented(samples, (*warnings, "the transcript could not be aligned"))
        return FoundWords(tuple(Word(token, source="text") for token in normalise(transcript)), "transcript", warnings)

    def _listened(self, samples: np.ndarray) -> FoundWords:
        if self._segments_only:
            return self._segmented(samples, ())
        self._started = self._started or self._engine.start()
        words = self._started.recognise(samples)
        if words:
            return FoundWords(words, "recognised")
        if self._needs_times:
            return self._segmented(samples, ("no word was recognised",))
        return FoundWords((), "none", ("no word was recognised; the system answers as if nothing had been said",))

    def _segmented(self, samples: np.ndarray, warnings: tuple[str, ...]) -> FoundWords:
        words = without_spelling(segment(samples))
        if words:
            told = (*warnings, "word-like segments are used instead") if warnings else ()
            return FoundWords(words, "segmented", told)
        return FoundWords((), "none", (*warnings, "nothing like a word was found in the recording"))


def recogniser_config(recogniser: str, folder: Path) -> RecogniserConfig:
    """The engine of a recogniser's name (`WordFinder`), with the language model in a system's folder if needed.

    Raises:
        ConfigurationError: The name is not known.
    """
    name, _, model = recogniser.partition("=")
    if name == "whisper":
        return RecogniserConfig("whisper", model=model or None)
    if recogniser == "corpus":
        return RecogniserConfig(language=load_language_model(folder))
    if recogniser in ("general", "segments"):
        return RecogniserConfig()
    raise ConfigurationError(
        f"recogniser {recogniser!r} is not known; choose corpus, general, segments, or whisper=FOLDER"
    )


def save_language_model(model: LanguageModel, folder: Path) -> None:
    """Keep a language model with a system, as `folder`/language.json."""
    files.write_text(folder / LANGUAGE_MODEL_FILE, json.dumps(asdict(model)))


def load_language_model(folder: Path) -> LanguageModel | None:
    """The language model of a system; None where it has none."""
    path = folder / LANGUAGE_MODEL_FILE
    if not path.exists():
        return None
    return LanguageModel.from_json(read_json(path, error=ModelError, repair="train or export again"))
