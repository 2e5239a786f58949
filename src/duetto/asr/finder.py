"""Find the words of one recording by the best available method: given, aligned, recognised, or only segmented.

    words given ────────────────────────────▶ given
    transcript ─ forced alignment ──────────▶ aligned      (on failure: transcript, without times)
    nothing ─ speech recogniser ────────────▶ recognised   (if it finds nothing: segmented, or none;
                                                            if its words are rejected: none)
    nothing, asr="segments" ────────────────▶ segmented

A system that embeds spoken words needs times, not spellings; one that looks words up needs spellings, not times. If a
method yields what the system cannot use, the next one is tried, and a warning states so.

Recognised words are rejected if they are in a language that the system was not trained on, or if the recogniser doubts
them (`Recognition.doubt`): the system then answers as if nothing had been said, and `FoundWords.rejected` lists them.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from ..audio.timing import seconds
from ..data.text import normalise
from ..data.utterance import DEFAULT_LANGUAGE, LANGUAGE, Word
from ..errors import ConfigurationError, ModelError
from ..utils import files
from ..utils.reading import Record, read_json, shortened
from .align import Aligner
from .engines import RecogniserConfig, SpeechRecogniser, parse, whisper_at_hand
from .language_model import LanguageModel
from .recognition import Recognition
from .segment import segment, without_spelling

LANGUAGE_MODEL_FILE = "language.json"
PAST_END = 0.1
"""Seconds by which the last word may exceed its recording: an aligner's last analysis frames overhang."""

_NAMED = 8
"""Rejected words that a warning lists."""

AS_IF_NOTHING_SAID = "; the system answers as if nothing had been said"
"""End of a warning that holds for a system by itself; in a fusion, what reads words alone is left out instead."""

WORDS_FROM = ("given", "aligned", "transcript", "recognised", "segmented", "none")
"""How words were found, the values of `FoundWords.words_from`."""


@dataclass(frozen=True)
class FoundWords:
    """The words of a recording and where they come from.

    Attributes:
        words: With their `source`, and with times unless `words_from` is `transcript`.
        words_from: One of `WORDS_FROM`.
        warnings: Reasons to distrust the words.
        recogniser: Name of the speech recogniser that was run (`Recognition.recogniser`); None where none was.
        language: Language of the recognised words (ISO 639-1); None where it is not known.
        language_probability: Of that language, 0–1; None where the recogniser assumes it.
        rejected: Recognised words that do not enter the answer; `words` is empty then, and a warning states why.
    """

    words: tuple[Word, ...]
    words_from: str
    warnings: tuple[str, ...] = ()
    recogniser: str | None = None
    language: str | None = None
    language_probability: float | None = None
    rejected: tuple[Word, ...] = ()


class WordFinder:
    """Finds the words of recordings. Decoders are loaded at first use; thread-safe, one call at a time.

    Args:
        asr: The speech recogniser: `auto` (Whisper where a model is at hand, see `engines.whisper_at_hand`, and
            `corpus` otherwise), `corpus` (pocketsphinx with the language model of the system's training sentences;
            `general` if the system has none), `general` (pocketsphinx with its own English model), `segments` (no
            recognition: word-like stretches of speech), `whisper=FOLDER`, or `whisper:NAME` (downloaded unless it is on
            this computer, `whisper.download`).
        folder: Of the system, for its language model and the languages it was trained on.
        needs_times: Whether the system embeds the sound of all words.
        uses_times: Whether the system embeds the sound of some words; words that cannot be aligned then keep their
            spelling only.

    Attributes:
        languages: That the system was trained on, as ISO 639-1 codes; it reads no others.

    Raises:
        ConfigurationError: There is no such recogniser, or the system needs spellings and the recogniser gives none.
        ModelError: The language model of the system is damaged, or the model of the recogniser cannot be downloaded.
    """

    languages: tuple[str, ...]

    def __init__(self, asr: str, folder: Path, *, needs_times: bool, uses_times: bool = False) -> None:
        self._needs_times = needs_times
        self._uses_times = needs_times or uses_times
        self._segments_only = asr == "segments"
        if self._segments_only and not needs_times:
            raise ConfigurationError("this system looks words up by their spelling, which segments do not have")
        self._config = recogniser_config(asr, folder)
        self.languages = trained_languages(folder)
        if self._config.name == "whisper":
            self._config.model_folder()  # downloaded here, not in each worker process
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
            return FoundWords((), "given", (f"no words were given{AS_IF_NOTHING_SAID}",))
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
        recognition = self._recogniser.transcribe(samples)
        found = self._judged(recognition)
        if not recognition.words and self._needs_times:
            found = self._segmented(samples, ("no word was recognised",))
        return replace(
            found,
            recogniser=recognition.recogniser,
            language=recognition.language,
            language_probability=recognition.language_probability,
        )

    def _judged(self, recognition: Recognition) -> FoundWords:
        """The recognised words, unless the system cannot use them."""
        if not recognition.words:
            return FoundWords((), "none", (f"no word was recognised{AS_IF_NOTHING_SAID}",))
        reason = recognition.doubt
        if recognition.language is not None and recognition.language not in self.languages:
            reason = _other_language(recognition, self.languages)
        if reason is None:
            return FoundWords(recognition.words, "recognised", recognition.notes)
        listed = " ".join(word.word for word in recognition.words[:_NAMED])
        more = " …" if len(recognition.words) > _NAMED else ""
        rejected = f"{reason} ({listed}{more}){AS_IF_NOTHING_SAID}"
        return FoundWords((), "none", (rejected,), rejected=recognition.words)

    def _segmented(self, samples: np.ndarray, warnings: tuple[str, ...]) -> FoundWords:
        """Segments in place of words; `warnings` state why, and are empty if segments were requested."""
        words = without_spelling(segment(samples))
        if words:
            warnings = (*warnings, "word-like segments are used instead") if warnings else ()
            return FoundWords(words, "segmented", warnings)
        return FoundWords((), "none", (*warnings, "nothing like a word was found in the recording"))


def _other_language(recognition: Recognition, trained: Sequence[str]) -> str:
    """Why words of another language are rejected."""
    probability, known = recognition.language_probability, ", ".join(trained)
    if probability is None:
        return f"{recognition.recogniser} recognises {recognition.language} only, and the system was trained on {known}"
    return (
        f"the language seems to be {recognition.language} (probability {probability:.2f}), and the system was trained "
        f"on {known}"
    )


def recogniser_config(asr: str, folder: Path) -> RecogniserConfig:
    """Return the configuration of the speech recogniser that a system uses.

    Args:
        asr: As for `WordFinder`.
        folder: Of the system, for its language model and the languages it was trained on.

    Returns:
        The configuration; nothing is downloaded.

    Raises:
        ConfigurationError: There is no such recogniser.
        ModelError: The language model of the system is damaged.
    """
    if asr == "auto":
        config = whisper_at_hand() or RecogniserConfig(language=load_language_model(folder))
    elif asr == "corpus":
        config = RecogniserConfig(language=load_language_model(folder))
    else:
        config = parse("pocketsphinx" if asr == "general" else asr)
    if config is None:
        raise ConfigurationError(
            f"recogniser {asr!r} is not known; choose auto, corpus, general, segments, whisper=FOLDER, or whisper:NAME"
        )
    return replace(config, languages=trained_languages(folder)) if config.name == "whisper" else config


def save_language_model(model: LanguageModel, folder: Path, languages: Sequence[str] = (DEFAULT_LANGUAGE,)) -> None:
    """Save the language model of a system in its folder, as language.json.

    Args:
        model: The language model.
        folder: Of the system.
        languages: That the system was trained on, as ISO 639-1 codes.
    """
    files.write_text(folder / LANGUAGE_MODEL_FILE, json.dumps({**asdict(model), "languages": list(languages)}))


def load_language_model(folder: Path) -> LanguageModel | None:
    """Load the language model of a system.

    Args:
        folder: Of the system.

    Returns:
        The language model; None if the system has none.

    Raises:
        ModelError: The file is damaged.
    """
    record = _language_file(folder)
    return None if record is None else LanguageModel.from_json(record)


def trained_languages(folder: Path) -> tuple[str, ...]:
    """Read which languages a system was trained on.

    Args:
        folder: Of the system.

    Returns:
        ISO 639-1 codes; (`DEFAULT_LANGUAGE`,) where the system does not state any.

    Raises:
        ModelError: The file is damaged.
    """
    record = _language_file(folder)
    if record is None:
        return (DEFAULT_LANGUAGE,)
    languages = record.texts("languages", [DEFAULT_LANGUAGE])
    if not languages or not all(LANGUAGE.fullmatch(language) for language in languages):
        raise record.wrong(f"'languages' must be ISO 639-1 codes, not {shortened(languages)}")
    return tuple(languages)


def _language_file(folder: Path) -> Record | None:
    path = folder / LANGUAGE_MODEL_FILE
    return read_json(path, error=ModelError, repair="train or export again") if path.exists() else None
