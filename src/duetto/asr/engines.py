"""Speech recognisers behind one interface.

    samples (n,) at 16 kHz ─ SpeechRecogniser.transcribe ─▶ Recognition(words, language, doubt, …)
    "whisper:tiny.en" ─ parse ─▶ RecogniserConfig ─ start ─▶ SpeechRecogniser

There are three engines. `pocketsphinx` comes with duetto and needs nothing else; on read human speech about half of its
words are wrong (docs/words.md), so use `whisper` where the words matter, or a `LanguageModel` that fits the corpus. The
third, `segments`, finds word-like stretches of speech without spelling.

Example:
    >>> import numpy as np
    >>> recogniser = RecogniserConfig().start()
    >>> recogniser.recognise(np.zeros(16_000, np.float32))
    ()
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, final

import numpy as np
from numpy.typing import NDArray

from ..audio.activity import no_speech
from ..audio.signal import as_float
from ..audio.timing import samples, seconds
from ..data.utterance import DEFAULT_LANGUAGE, Word
from ..errors import ConfigurationError
from . import sphinx, whisper
from .cache import content_digest
from .language_model import LanguageModel
from .recognition import Recognition, doubt
from .segment import segment, without_spelling

LONGEST_SECONDS = 30.0
"""A longer recording is split: the search for the best path takes more than linear time."""

MIN_CONFIDENCE = 0.45
"""Mean confidence from which on pocketsphinx' words are trusted (`recognition.doubt`); see docs/words.md for how it was
chosen."""

SEEK_SECONDS = 10.0  # the cut falls in the quietest place of the last third
_QUIET_SECONDS = 0.2

_log = logging.getLogger(__name__)


class SpeechRecogniser(Protocol):
    """Interface of all speech recognisers."""

    def recognise(self, samples: np.ndarray) -> tuple[Word, ...]:
        """Recognise the words of a recording.

        Args:
            samples: (n,), floating-point at 16 kHz.

        Returns:
            The words in order, with start and end in seconds, `source="recognised"` and a confidence of 0–1; (), and a
            logged warning, if none was recognised.

        Raises:
            AudioError: `samples` are not a valid signal.
        """
        ...

    def transcribe(self, samples: np.ndarray) -> Recognition:
        """Recognise the words of a recording, and state how far they can be relied on.

        Args:
            samples: (n,), floating-point at 16 kHz.

        Returns:
            The words that `recognise` returns, their language, and reasons to distrust them.

        Raises:
            AudioError: `samples` are not a valid signal.
        """
        ...


@final
class SphinxRecogniser:
    """pocketsphinx with the models of its wheel and default settings; not thread-safe.

    Utterances are independent of each other: the same samples always give the same words. `guessed` lists the words of
    the language model that are not in the dictionary, whose pronunciation was predicted (`letter_to_sound.guess`).

    Args:
        language: The language model; by default the general English model of the wheel.
    """

    def __init__(self, language: LanguageModel | None = None) -> None:
        self.language = language or LanguageModel()
        self.guessed: tuple[str, ...] = ()
        self._decoder: Any = None
        self._start()

    def _start(self) -> None:
        self._decoder, self.guessed = self.language.decoder()

    def recognise(self, samples: np.ndarray) -> tuple[Word, ...]:
        """Recognise the words of a recording; one over 30 s is split where it is quietest.

        Args:
            samples: (n,), floating-point at 16 kHz.

        Returns:
            The words; see `SpeechRecogniser.recognise`.
        """
        return self.transcribe(samples).words

    def transcribe(self, samples: np.ndarray) -> Recognition:
        """Recognise the words of a recording; one over 30 s is split where it is quietest.

        pocketsphinx cannot identify languages: words of low confidence (`MIN_CONFIDENCE`) are doubted.

        Args:
            samples: (n,), floating-point at 16 kHz.

        Returns:
            The words; with the general language model they are English, whatever was spoken.
        """
        signal = as_float(samples, max_amplitude=math.inf)
        reason = no_speech(signal)
        words = () if reason else tuple(word for part in parts_of(signal) for word in self._decode(signal, *part))
        if not words:
            _log.warning("no word was recognised: %s", reason or "nothing in it matches the language model")
        assumed = "en" if self.language.kind == "general" else None
        name = f"pocketsphinx {self.language.kind}"
        return Recognition(words, name, assumed, doubt=doubt(words, MIN_CONFIDENCE))

    def _decode(self, signal: NDArray[np.floating], first: int, stop: int) -> Iterator[Word]:
        """The words in samples [first, stop), with times relative to the whole signal."""
        part = signal[first:stop]
        if no_speech(part):
            return
        try:
            sphinx.decode(self._decoder, sphinx.to_pcm(part))
            found = sphinx.decoded_segments(self._decoder)
        except RuntimeError as error:  # a decoder that failed once keeps its half-finished utterance
            _log.warning("%.1f–%.1f s were not recognised: %s", seconds(first), seconds(stop), error)
            self._start()
            return
        for entry in found:
            word = sphinx.base_word(entry.name)
            if word is not None:
                start, end = sphinx.to_seconds(entry.first, entry.stop, seconds(stop - first))
                offset = seconds(first)
                yield Word(word, round(start + offset, 4), round(end + offset, 4), "recognised", entry.posterior)


def parts_of(signal: NDArray[np.floating]) -> Iterator[tuple[int, int]]:
    """Divide a recording at its quietest places.

    Args:
        signal: (n,) at 16 kHz.

    Yields:
        Ranges [start, stop) of at most `LONGEST_SECONDS` that cover it, cut at the quietest 0.2 s within the last
        `SEEK_SECONDS` of each.
    """
    longest, seek, quiet = samples(LONGEST_SECONDS), samples(SEEK_SECONDS), samples(_QUIET_SECONDS)
    first = 0
    while len(signal) - first > longest:
        reach = signal[first + longest - seek : first + longest].astype(np.float64)
        energy = np.concatenate(([0.0], np.cumsum((reach - reach.mean()) ** 2)))
        sums = energy[quiet:] - energy[:-quiet]
        # The first of equals: in silence the sums are equal up to rounding.
        stop = first + longest - seek + int(np.argmax(sums <= sums.min() + 1e-9 * energy[-1])) + quiet // 2
        yield first, stop
        first = stop
    yield first, len(signal)


@final
class SegmentRecogniser:
    """Finds word-like stretches of speech, without spelling: see `segment`."""

    def recognise(self, samples: np.ndarray) -> tuple[Word, ...]:
        """Segment a recording.

        Args:
            samples: (n,), floating-point at 16 kHz.

        Returns:
            Words without spelling, `source="segmented"`.
        """
        return without_spelling(segment(samples))

    def transcribe(self, samples: np.ndarray) -> Recognition:
        """Segment a recording.

        Args:
            samples: (n,), floating-point at 16 kHz.

        Returns:
            Words without spelling, of no language.
        """
        return Recognition(self.recognise(samples), "segments")


def _start_sphinx(config: RecogniserConfig) -> SpeechRecogniser:
    if config.model is not None or config.download is not None:
        raise ConfigurationError("the engine 'pocketsphinx' takes no model folder: it uses the models of its wheel")
    return SphinxRecogniser(config.language)


def _start_whisper(config: RecogniserConfig) -> SpeechRecogniser:
    if config.language is not None:
        raise ConfigurationError("the engine 'whisper' has its own language model: give none")
    folder = config.model_folder()
    return whisper.WhisperRecogniser(folder, languages=config.languages, name=config.download)


def _start_segments(config: RecogniserConfig) -> SpeechRecogniser:
    if config.model is not None or config.download is not None or config.language is not None:
        raise ConfigurationError("the engine 'segments' recognises nothing: it takes no model and no language")
    return SegmentRecogniser()


ENGINES: dict[str, Callable[[RecogniserConfig], SpeechRecogniser]] = {
    "pocketsphinx": _start_sphinx,
    "whisper": _start_whisper,
    "segments": _start_segments,
}
"""Name → function that starts the recogniser of a `RecogniserConfig`."""


@final
@dataclass(frozen=True, slots=True)
class RecogniserConfig:
    """Which speech recogniser to start; small and picklable, so that each worker process can start its own.

    Attributes:
        name: Key of `ENGINES`.
        language: The language model, for pocketsphinx.
        model: Folder of the model, for whisper.
        download: Name of the model, for whisper: one that `whisper.download` finds.
        languages: ISO 639-1 codes that whisper expects; see `whisper.expected_language`.
    """

    name: str = "pocketsphinx"
    language: LanguageModel | None = None
    model: str | Path | None = None
    download: str | None = None
    languages: tuple[str, ...] = (DEFAULT_LANGUAGE,)

    def start(self) -> SpeechRecogniser:
        """Load the recogniser (0.3 s and 140 MB of memory for pocketsphinx).

        Returns:
            The recogniser.

        Raises:
            ConfigurationError: There is no such engine, or it does not take this model or language.
            ModelError: The model cannot be loaded or downloaded.
        """
        if self.name not in ENGINES:
            raise ConfigurationError(f"there is no recogniser {self.name!r}; choose one of {', '.join(ENGINES)}")
        return ENGINES[self.name](self)

    def model_folder(self) -> Path:
        """Find the folder of the Whisper model; one with a name is downloaded unless it is on this computer.

        Returns:
            The folder.

        Raises:
            ConfigurationError: There is neither a folder nor a name, or both.
            ModelError: The model cannot be downloaded.
        """
        if (self.model is None) == (self.download is None):
            raise ConfigurationError(
                "the engine 'whisper' needs one of: the folder of a model in the CTranslate2 format (whisper=FOLDER), "
                "or the name of a model (whisper:base)"
            )
        return Path(self.model) if self.model is not None else whisper.download(self.download or "")

    @property
    def identity(self) -> str:
        """Everything that the results depend on except package versions: a model is identified by its content."""
        if self.name != "whisper" or (self.model is None and self.download is None):
            return f"{self.name} {(self.language or LanguageModel()).digest}"
        paths = [self.model_folder() / name for name in whisper.REQUIRED]
        digests = [content_digest(path) if path.is_file() else "-" for path in paths]
        return " ".join((self.name, *digests, *self.languages))


def parse(asr: str) -> RecogniserConfig | None:
    """Read the name of a speech recogniser as users write it.

    Args:
        asr: `pocketsphinx`, `segments`, `whisper=FOLDER`, or `whisper:NAME`.

    Returns:
        Its configuration; None if it is none of these.
    """
    if asr in ("pocketsphinx", "segments"):
        return RecogniserConfig(asr)
    if asr.startswith("whisper="):
        return RecogniserConfig("whisper", model=asr.removeprefix("whisper=") or None)
    if asr.startswith("whisper:"):
        return RecogniserConfig("whisper", download=asr.removeprefix("whisper:") or None)
    return RecogniserConfig("whisper") if asr == "whisper" else None


OFF = "off"
"""Value of DUETTO_WHISPER that forbids Whisper unless it is asked for."""


def whisper_at_hand() -> RecogniserConfig | None:
    """Find the Whisper model that is used without being asked for.

    The environment variable DUETTO_WHISPER names it: a folder, the name of a model, or `off`. Where it is not set, the
    model is the first of `whisper.CACHED_NAMES` in the cache of the Hugging Face Hub, if faster-whisper is installed.

    Returns:
        The configuration of the recogniser; None where there is no such model.
    """
    wanted = os.environ.get("DUETTO_WHISPER", "")
    if wanted.lower() == OFF:
        return None
    if wanted:
        is_folder = Path(wanted).is_dir()
        return RecogniserConfig("whisper", model=wanted) if is_folder else RecogniserConfig("whisper", download=wanted)
    name = whisper.cached_name() if whisper.installed() else None
    return None if name is None else RecogniserConfig("whisper", download=name)
