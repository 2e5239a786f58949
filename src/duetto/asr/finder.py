"""Find the words of one recording by the best available method: given, aligned, recognised, or only segmented.

    words given ────────────────────────────▶ given
    transcript ─ forced alignment ──────────▶ aligned      (on failure: transcript, without times)
    nothing ─ speech recogniser ────────────▶ recognised   (if it finds nothing: segmented, or none)
    nothing, asr="segments" ────────────────▶ segmented

A system that embeds spoken words needs times, not spellings; one that looks words up needs spellings, not times. If a
method yields what the system cannot use, the next one is tried, and a warning states so.
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
"""Seconds by which the last word may exceed its recording: an aligner's last analysis frames overhang."""

WORDS_FROM = ("given", "aligned", "transcript", "recognised", "segmented", "none")
"""How words were found, the values of `FoundWords.words_from`."""


@dataclass(frozen=True)
class FoundWords:
    """The words of a recording and where they come from.

    Attributes:
        words: With their `source`, and with times unless `words_from` is `transcript`.
        words_from: One of `WORDS_FROM`.
        warnings: Reasons to distrust the words.
    """

    words: tuple[Word, ...]
    words_from: str
    warnings: tuple[str, ...] = ()


class WordFinder:
    """Finds the words of recordings. Decoders are loaded at first use; thread-safe, one call at a time.

    Args:
        asr: The speech recogniser: `corpus` (pocketsphinx with the language model of the system's training sentences;
            `general` if the system has none), `general` (pocketsphinx with its own English model), `segments` (no
            recognition: word-like stretches of speech), or `whisper=FOLDER`.
        folder: Of the system, for its language model.
        needs_times: Whether the system embeds the sound of all words.
        uses_times: Whether the system embeds the sound of some words; words that cannot be aligned then keep their
            spelling only.

    Raises:
        ConfigurationError: There is no such recogniser, or the system needs spellings and the recogniser gives none.
    """

    def __init__(self, asr: str, folder: Path, *, needs_times: bool, uses_times: bool = False) -> None:
        self._needs_times = needs_times
        self._uses_times = needs_times or uses_times
        self._segments_only = asr == "segments"
        if self._segments_only and not needs_times:
            raise ConfigurationError("this system looks words up by their spelling, which segments do not have")
        self._config = recogniser_config(asr, folder)
        self._recogniser: SpeechRecogniser | None = None
        self._aligner: Aligner | None = None
        self._lock = threading.Lock()

    def __call__(
        self, samples: np.ndarray, *, transcript: str | None = None, words: Sequence[Word] | None = None
    ) -> FoundWords:
        """Find the words of a recording; `words` take precedence over `transcript`, and that over recognition.

        Args:
            samples: (n,), floating-point at 16 kHz.
            transcript: Text of the recording, if known.
            words: Its words, if known, with or without times.

        Returns:
            The words, and how they were found.
        """
        with self._lock:
            if words is not None:
                return self._given(samples, words)
            if transcript is not None:
                return self._aligned(samples, transcript)
            return self._recognised(samples)

    def _given(self, samples: np.ndarray, words: Sequence[Word]) -> FoundWords:
        if not words:
            return FoundWords((), "given", ("no words were given; the system answers as if nothing had been said",))
        if self._uses_times and any(word.start is None for word in words):
            found = self._aligned(samples, " ".join(word.word for word in words))
            warnings = ("the words came without times and were aligned",) if found.words_from == "aligned" else ()
            return FoundWords(found.words, found.words_from, (*warnings, *found.warnings))
        beyond = [word.word for word in words if word.end is not None and word.end > seconds(len(samples)) + PAST_END]
        warnings = (f"{len(beyond)} words end after the recording does: {', '.join(beyond[:5])}",) if beyond else ()
        return FoundWords(tuple(words), "given", warnings)

    def _aligned(self, samples: np.ndarray, transcript: str) -> FoundWords:
        self._aligner = self._aligner or Aligner()
        alignment = self._aligner.align(samples, transcript)
        warnings = alignment.warnings
        if not alignment.matches and alignment.words:
            warnings = (*warnings, "the transcript does not seem to be what is said; its times are not used")
        elif alignment.words:
            return FoundWords(alignment.words, "aligned", warnings)
        if self._needs_times:
            return self._segmented(samples, (*warnings, "the transcript could not be aligned"))
        return FoundWords(tuple(Word(token, source="text") for token in normalise(transcript)), "transcript", warnings)

    def _recognised(self, samples: np.ndarray) -> FoundWords:
        if self._segments_only:
            return self._segmented(samples, ())
        self._recogniser = self._recogniser or self._config.start()
        words = self._recogniser.recognise(samples)
        if words:
            return FoundWords(words, "recognised")
        if self._needs_times:
            return self._segmented(samples, ("no word was recognised",))
        return FoundWords((), "none", ("no word was recognised; the system answers as if nothing had been said",))

    def _segmented(self, samples: np.ndarray, warnings: tuple[str, ...]) -> FoundWords:
        """Segments in place of words; `warnings` state why, and are empty if segments were requested."""
        words = without_spelling(segment(samples))
        if words:
            warnings = (*warnings, "word-like segments are used instead") if warnings else ()
            return FoundWords(words, "segmented", warnings)
        return FoundWords((), "none", (*warnings, "nothing like a word was found in the recording"))


def recogniser_config(asr: str, folder: Path) -> RecogniserConfig:
    """Return the configuration of the speech recogniser that a system uses.

    Args:
        asr: As for `WordFinder`.
        folder: Of the system, for its language model.

    Returns:
        The configuration.

    Raises:
        ConfigurationError: There is no such recogniser.
        ModelError: The language model of the system is damaged.
    """
    name, _, model = asr.partition("=")
    if name == "whisper":
        return RecogniserConfig("whisper", model=model or None)
    if asr == "corpus":
        return RecogniserConfig(language=load_language_model(folder))
    if asr in ("general", "segments"):
        return RecogniserConfig()
    raise ConfigurationError(f"recogniser {asr!r} is not known; choose corpus, general, segments, or whisper=FOLDER")


def save_language_model(model: LanguageModel, folder: Path) -> None:
    """Save a language model in a system's folder, as language.json.

    Args:
        model: The language model.
        folder: Of the system.
    """
    files.write_text(folder / LANGUAGE_MODEL_FILE, json.dumps(asdict(model)))


def load_language_model(folder: Path) -> LanguageModel | None:
    """Load the language model of a system.

    Args:
        folder: Of the system.

    Returns:
        The language model; None if the system has none.

    Raises:
        ModelError: The file is damaged.
    """
    path = folder / LANGUAGE_MODEL_FILE
    if not path.exists():
        return None
    return LanguageModel.from_json(read_json(path, error=ModelError, repair="train or export again"))
