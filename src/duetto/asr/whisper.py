"""Speech recognition with Whisper (Radford et al. 2023), through the optional package faster-whisper.

    samples (n,) at 16 kHz ─ WhisperRecogniser.transcribe ─▶ Recognition(words, language, …)
    name of a model ─ download ─▶ folder of the model

The model is a folder: the CTranslate2 conversion of any Whisper model. `download` finds a model by name in the cache of
the Hugging Face Hub, or downloads it there and announces that first.

Decoding: beam size 5, temperature 0 (no random fallback: the same samples give the same words on one kind of
processor), one thread, and no conditioning on the previous 30 s (an error does not repeat itself).

Language: a multilingual model identifies it in the first 30 s. If the languages that are expected have a probability of
`MIN_EXPECTED` together, the most probable of them is decoded, else the most probable of all. A model for English only
(`tiny.en`) assumes English; in other languages the words that it makes up have a low confidence (`MIN_CONFIDENCE`), or
it falls into a loop, whose text compresses well (`MAX_COMPRESSION`).

Times: English words are aligned with the recording (`align.Aligner`), since Whisper's own times, from its
cross-attention, are coarse. They are kept where the words cannot be aligned, and for other languages.
"""

from __future__ import annotations

import importlib.util
import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, final

import numpy as np

from ..audio.activity import no_speech
from ..audio.signal import as_float
from ..audio.timing import SAMPLE_RATE, seconds
from ..data.text import normalise
from ..data.utterance import DEFAULT_LANGUAGE, Word
from ..errors import ConfigurationError, MissingExtraError, ModelError
from ..utils import hub
from .align import Aligner
from .recognition import Recognition, doubt

REQUIRED = ("model.bin", "config.json", "tokenizer.json")
"""Files of a model folder; without the last one faster-whisper would try to download it."""

CACHED_NAMES = ("base", "base.en", "small", "small.en", "tiny", "tiny.en")
"""Models that are used without being asked for if the cache holds them (`cached_name`), best first. Larger ones are
slower than real time on one core."""

MIN_EXPECTED = 0.2
"""Least probability of the expected languages together; see docs/words.md for how it was chosen."""

MIN_CONFIDENCE = 0.7
"""Mean confidence from which on words are trusted (`recognition.doubt`); see docs/words.md for how it was chosen."""

MAX_COMPRESSION = 2.4
"""Largest ratio of the length of a segment's text to that length compressed by zlib, as in OpenAI's own decoder
(https://github.com/openai/whisper, `compression_ratio_threshold`): a text of a higher one repeats itself."""

_ENGLISH = "en"

_log = logging.getLogger(__name__)


@final
class WhisperRecogniser:
    """A Whisper model, run by faster-whisper; not thread-safe.

    Args:
        model: Folder of the model.
        languages: ISO 639-1 codes that are expected to be spoken.
        device: As for `faster_whisper.WhisperModel`: `cpu`, `cuda`, `auto`.
        compute_type: As for `faster_whisper.WhisperModel`: `int8`, `float16`, ….
        name: Of the model, for `Recognition.recogniser`; by default that of its folder.

    Raises:
        MissingExtraError: faster-whisper is not installed.
        ModelError: The folder holds no model that it can load.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        languages: Sequence[str] = (DEFAULT_LANGUAGE,),
        device: str = "cpu",
        compute_type: str = "int8",
        name: str | None = None,
    ) -> None:
        folder = Path(model)
        missing = [file for file in REQUIRED if not (folder / file).is_file()]
        if missing:
            raise ModelError(
                f"{folder}: {', '.join(missing)} not found there. A Whisper model in the CTranslate2 format is a "
                f"folder with {', '.join(REQUIRED)}; whisper:NAME downloads one, such as whisper:base"
            )
        package = _faster_whisper()
        try:
            self._model: Any = package.WhisperModel(
                str(folder), device=device, compute_type=compute_type, cpu_threads=1, local_files_only=True
            )
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"{folder}: faster-whisper cannot load this model ({error})") from error
        self._languages = tuple(languages)
        self._name = f"whisper {name or folder.resolve().name}"
        self._aligner = Aligner()

    def recognise(self, samples: np.ndarray) -> tuple[Word, ...]:
        """Recognise the words of a recording; see `engines.SpeechRecogniser.recognise`.

        Args:
            samples: (n,), floating-point at 16 kHz.

        Returns:
            The words, normalised, with times and confidence; () if none was recognised.
        """
        return self.transcribe(samples).words

    def transcribe(self, samples: np.ndarray) -> Recognition:
        """Recognise the words and the language of a recording; see `engines.SpeechRecogniser.transcribe`.

        Args:
            samples: (n,), floating-point at 16 kHz.

        Returns:
            The words, normalised, and their language.
        """
        signal = as_float(samples, max_amplitude=math.inf)
        if reason := no_speech(signal):
            _log.warning("no word was recognised: %s", reason)
            return Recognition((), self._name)
        segments, language, probability = self._decode(signal.astype(np.float32, copy=False))
        words = _words(segments, seconds(len(signal), SAMPLE_RATE))
        if not words:
            _log.warning("no word was recognised: Whisper found none")
            return Recognition((), self._name, language, probability)
        notes: tuple[str, ...] = ()
        if language == _ENGLISH:
            words, notes = self._aligned(signal, words)
        reason = _loop(segments) or doubt(words, MIN_CONFIDENCE)
        return Recognition(words, self._name, language, probability, reason, notes)

    def _decode(self, signal: np.ndarray) -> tuple[list[Any], str, float | None]:
        """faster-whisper's segments, their language, and its probability where it was identified."""
        if not self._model.model.is_multilingual:
            return list(self._transcribe(signal, _ENGLISH)[0]), _ENGLISH, None
        _, _, every = self._model.detect_language(audio=signal)
        probabilities = dict(every)
        language = expected_language(probabilities, self._languages)
        return list(self._transcribe(signal, language)[0]), language, float(probabilities[language])

    def _transcribe(self, signal: np.ndarray, language: str) -> Any:
        return self._model.transcribe(
            signal,
            language=language,
            beam_size=5,
            temperature=0.0,
            condition_on_previous_text=False,
            word_timestamps=True,
        )

    def _aligned(self, signal: np.ndarray, words: tuple[Word, ...]) -> tuple[tuple[Word, ...], tuple[str, ...]]:
        """The words with the times of forced alignment, or as they are and a note."""
        alignment = self._aligner.align(signal, [word.word for word in words])
        if not alignment.matches or len(alignment.words) != len(words):
            return words, ("the recognised words could not be aligned; their times are Whisper's own",)
        pairs = zip(words, alignment.words, strict=True)
        return tuple(replace(word, start=aligned.start, end=aligned.end) for word, aligned in pairs), ()


def expected_language(probabilities: dict[str, float], expected: Sequence[str]) -> str:
    """Choose the language to decode.

    Args:
        probabilities: Language → probability, of at least one language.
        expected: Languages that are expected.

    Returns:
        The most probable of the expected languages if they have a probability of `MIN_EXPECTED` together, else the most
        probable of all; of equals the first by name.
    """
    known = [language for language in expected if language in probabilities]
    likely = sum(probabilities[language] for language in known) >= MIN_EXPECTED
    return min(known if likely else probabilities, key=lambda language: (-probabilities[language], language))


def _loop(segments: Sequence[Any]) -> str | None:
    """Why the text is not what was said, where it repeats itself."""
    ratio = max(segment.compression_ratio for segment in segments)
    return None if ratio <= MAX_COMPRESSION else f"the recognised text repeats itself (compression ratio {ratio:.1f})"


def _words(segments: Sequence[Any], duration: float) -> tuple[Word, ...]:
    """The normalised words of faster-whisper's segments, with its times cut to the recording and put in order."""
    words: list[Word] = []
    previous_end = 0.0
    for segment in segments:
        for entry in segment.words or ():
            start = min(max(float(entry.start), previous_end), duration)
            end = min(max(float(entry.end), start), duration)
            previous_end = end
            words += _split(normalise(entry.word), start, end, float(entry.probability))
    return tuple(words)


def _split(tokens: list[str], start: float, end: float, confidence: float) -> list[Word]:
    """One word a token; tokens that Whisper wrote as one (`well-known`, `27`) share its time by their lengths."""
    total, position, words = sum(map(len, tokens)), 0, []
    for token in tokens:
        first = start + (end - start) * position / total
        position += len(token)
        last = start + (end - start) * position / total
        words.append(Word(token, round(first, 4), round(last, 4), "recognised", min(max(confidence, 0.0), 1.0)))
    return words


def installed() -> bool:
    """Look for faster-whisper, without importing it.

    Returns:
        Whether it is installed.
    """
    return importlib.util.find_spec("faster_whisper") is not None


def cached_name() -> str | None:
    """Find the best of `CACHED_NAMES` in the cache of the Hugging Face Hub.

    Returns:
        Name of the model; None where there is none.
    """
    for name in CACHED_NAMES:
        file = hub.cached_file(f"Systran/faster-whisper-{name}", REQUIRED[0])
        if file is not None and _complete(file.parent):
            return name
    return None


def download(name: str) -> Path:
    """Find a model by name: in the cache of the Hugging Face Hub, or by downloading it there.

    A download is announced by a logged warning before it starts.

    Args:
        name: Size of a Whisper model (`tiny.en`, `base`, `small`, …), or the name of a repository on the Hub that
            holds a model in the CTranslate2 format.

    Returns:
        Folder of the model.

    Raises:
        MissingExtraError: faster-whisper is not installed.
        ConfigurationError: There is no such model.
        ModelError: It is not in the cache and cannot be downloaded, or must not be (`HF_HUB_OFFLINE`).
    """
    utils = _faster_whisper().utils
    if "/" not in name and name not in utils.available_models():
        known = ", ".join(utils.available_models())
        raise ConfigurationError(f"there is no Whisper model {name!r}; choose from {known}, or give whisper=FOLDER")
    try:
        folder = Path(utils.download_model(name, local_files_only=True))
        if _complete(folder):
            return folder
    except (OSError, ValueError):  # huggingface_hub's LocalEntryNotFoundError is both
        pass
    instead = "Give the folder of a model instead: whisper=FOLDER"
    if hub.offline():
        raise ModelError(
            f"the Whisper model {name!r} is not on this computer, and HF_HUB_OFFLINE forbids to download it. {instead}"
        )
    _log.warning("the Whisper model %r is not on this computer: it is downloaded from the Hugging Face Hub now", name)
    try:
        return Path(utils.download_model(name))
    except Exception as error:  # of the Hub, of its HTTP library, or of the disk
        raise ModelError(f"the Whisper model {name!r} could not be downloaded ({error}). {instead}") from error


def _complete(folder: Path) -> bool:
    """Whether no file of a model is missing, as after a download that was interrupted."""
    return all((folder / file).is_file() for file in REQUIRED)


def _faster_whisper() -> Any:
    try:
        import faster_whisper  # pyright: ignore[reportMissingImports]
        import faster_whisper.utils  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingExtraError("recognition with Whisper", "whisper") from error
    return faster_whisper
