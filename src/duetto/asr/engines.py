"""Speech recognisers behind one interface.

    samples (n,) at 16 kHz ─ SpeechRecogniser.recognise ─▶ (Word(word, start, end, source="recognised", confidence), …)

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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, final

import numpy as np
from numpy.typing import NDArray

from ..audio.activity import no_speech
from ..audio.signal import as_float
from ..audio.timing import samples, seconds
from ..data.utterance import Word
from ..errors import ConfigurationError
from . import sphinx
from .cache import content_digest
from .language_model import LanguageModel
from .segment import segment, without_spelling
from .whisper import REQUIRED, WhisperRecogniser

LONGEST_SECONDS = 30.0
"""A longer recording is split: the search for the best path takes more than linear time."""

_SEEK_SECONDS = 10.0  # the cut falls in the quietest place of the last third
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
        signal = as_float(samples, max_amplitude=math.inf)
        reason = no_speech(signal)
        words = [] if reason else [word for first, stop in _parts(signal) for word in self._decode(signal, first, stop)]
        if not words:
            _log.warning("no word was recognised: %s", reason or "nothing in it matches the language model")
        return tuple(words)

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


def _parts(signal: NDArray[np.floating]) -> Iterator[tuple[int, int]]:
    """Sample ranges of at most `LONGEST_SECONDS` that cover the signal, cut at the quietest 0.2 s within reach."""
    longest, seek, quiet = samples(LONGEST_SECONDS), samples(_SEEK_SECONDS), samples(_QUIET_SECONDS)
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


def _start_sphinx(config: RecogniserConfig) -> SpeechRecogniser:
    if config.model is not None:
        raise ConfigurationError("the engine 'pocketsphinx' takes no model folder: it uses the models of its wheel")
    return SphinxRecogniser(config.language)


def _start_whisper(config: RecogniserConfig) -> SpeechRecogniser:
    if config.model is None:
        raise ConfigurationError(
            "the engine 'whisper' needs the folder of a model in the CTranslate2 format: duetto never downloads one"
        )
    if config.language is not None:
        raise ConfigurationError("the engine 'whisper' has its own language model: give none")
    return WhisperRecogniser(config.model)


def _start_segments(config: RecogniserConfig) -> SpeechRecogniser:
    if config.model is not None or config.language is not None:
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
    """

    name: str = "pocketsphinx"
    language: LanguageModel | None = None
    model: str | Path | None = None

    def start(self) -> SpeechRecogniser:
        """Load the recogniser (0.3 s and 140 MB of memory for pocketsphinx).

        Returns:
            The recogniser.

        Raises:
            ConfigurationError: There is no such engine, or it does not take this model or language.
        """
        if self.name not in ENGINES:
            raise ConfigurationError(f"there is no recogniser {self.name!r}; choose one of {', '.join(ENGINES)}")
        return ENGINES[self.name](self)

    @property
    def identity(self) -> str:
        """Everything that the results depend on except package versions: a model is identified by its content."""
        if self.model is None:
            return f"{self.name} {(self.language or LanguageModel()).digest}"
        paths = [Path(self.model) / name for name in REQUIRED]
        return f"{self.name} {' '.join(content_digest(path) if path.is_file() else '-' for path in paths)}"
