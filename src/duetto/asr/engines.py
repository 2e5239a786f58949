"""The words of an utterance, heard in the speech itself.

    samples (n,) at 16 kHz ─ SpeechRecogniser.recognise ─▶ (Word(word, start, end, source="recognised", confidence), …)

Three engines stand behind one interface. `pocketsphinx` comes with duetto and needs nothing else; on read
human speech about half of its words are wrong (docs/words.md), so take `whisper` where
the words matter, or a `LanguageModel` that follows the corpus. A third, `segments`, hears where words may
be and not which.

Example:
    >>> recogniser = Engine().start()
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
from .language_model import LanguageModel
from .segment import from_words, segment
from .whisper import WhisperRecogniser

LONGEST_SECONDS = 30.0
"""A longer recording is cut: the search for the best path grows faster than the recording."""

_SEEK_SECONDS = 10.0  # the cut falls in the quietest place of the last third
_QUIET_SECONDS = 0.2

_log = logging.getLogger(__name__)


class SpeechRecogniser(Protocol):
    """Anything that hears words."""

    def recognise(self, samples: np.ndarray) -> tuple[Word, ...]:
        """The words in samples (n,), floating-point at 16 kHz, in order; () where it hears none.

        Each has start and end in seconds, `source="recognised"`, and a confidence of 0–1. A recording in
        which no word can be or is found gives () and a logged warning; `AudioError` says what is wrong
        with samples that are no recording.
        """
        ...


@final
class SphinxRecogniser:
    """pocketsphinx with the models of its wheel, at its default settings; not to be shared between threads.

    language: what to expect; default is the wheel's general English model.
    guessed: words of the language model that its dictionary lacks, pronounced by `pronunciations.guess`.

    Utterances do not influence one another, and the same samples give the same words.
    """

    def __init__(self, language: LanguageModel | None = None) -> None:
        self.language = language or LanguageModel()
        self.guessed: tuple[str, ...] = ()
        self._decoder: Any = None
        self._start()

    def _start(self) -> None:
        self._decoder, self.guessed = self.language.decoder()

    def recognise(self, samples: np.ndarray) -> tuple[Word, ...]:
        """See `SpeechRecogniser.recognise`. Recordings over 30 s are cut where they are quietest."""
        signal = as_float(samples, max_amplitude=math.inf)
        reason = no_speech(signal)
        words = [] if reason else [word for first, stop in _parts(signal) for word in self._hear(signal, first, stop)]
        if not words:
            _log.warning("no word was recognised: %s", reason or "nothing in it matches the language model")
        return tuple(words)

    def _hear(self, signal: NDArray[np.floating], first: int, stop: int) -> Iterator[Word]:
        part = signal[first:stop]
        if no_speech(part):
            return
        try:
            sphinx.decode(self._decoder, sphinx.pcm(part))
            found = sphinx.pieces(self._decoder)
        except RuntimeError as error:  # a decoder that failed once keeps its half-finished utterance
            _log.warning("%.1f–%.1f s were not recognised: %s", seconds(first), seconds(stop), error)
            self._start()
            return
        for piece in found:
            word = sphinx.spoken(piece.name)
            if word is not None:
                start, end = sphinx.place(piece.first, piece.stop, seconds(stop - first))
                offset = seconds(first)
                yield Word(word, round(start + offset, 4), round(end + offset, 4), "recognised", piece.posterior)


def _parts(signal: NDArray[np.floating]) -> Iterator[tuple[int, int]]:
    """Sample ranges of at most `LONGEST_SECONDS` that cover the signal, cut at the quietest 0.2 s within reach."""
    longest, seek, quiet = samples(LONGEST_SECONDS), samples(_SEEK_SECONDS), samples(_QUIET_SECONDS)
    first = 0
    while len(signal) - first > longest:
        reach = signal[first + longest - seek : first + longest].astype(np.float64)
        energy = np.concatenate(([0.0], np.cumsum((reach - reach.mean()) ** 2)))
        sums = energy[quiet:] - energy[:-quiet]
        # The first of equals: in silence the sums are equal but for what rounding made of them.
        stop = first + longest - seek + int(np.argmax(sums <= sums.min() + 1e-9 * energy[-1])) + quiet // 2
        yield first, stop
        first = stop
    yield first, len(signal)


def _start_sphinx(engine: Engine) -> SpeechRecogniser:
    if engine.model is not None:
        raise ConfigurationError("the engine 'pocketsphinx' takes no model folder: it uses the models of its wheel")
    return SphinxRecogniser(engine.language)


def _start_whisper(engine: Engine) -> SpeechRecogniser:
    if engine.model is None:
        raise ConfigurationError(
            "the engine 'whisper' needs the folder of a model in the CTranslate2 format: duetto never downloads one"
        )
    if engine.language is not None:
        raise ConfigurationError("the engine 'whisper' brings its own language model: give none")
    return WhisperRecogniser(engine.model)


@final
class SegmentRecogniser:
    """Hears word-like stretches of sound and no spelling: see `segment`."""

    def recognise(self, samples: np.ndarray) -> tuple[Word, ...]:
        """Words without spelling, `source="segmented"`."""
        return from_words(segment(samples))


def _start_segments(engine: Engine) -> SpeechRecogniser:
    if engine.model is not None or engine.language is not None:
        raise ConfigurationError("the engine 'segments' recognises nothing: it takes no model and no language")
    return SegmentRecogniser()


ENGINES: dict[str, Callable[[Engine], SpeechRecogniser]] = {
    "pocketsphinx": _start_sphinx,
    "whisper": _start_whisper,
    "segments": _start_segments,
}
"""Name → what starts the recogniser of an `Engine`."""


@final
@dataclass(frozen=True, slots=True)
class Engine:
    """Which recogniser to start; small and picklable, so that every worker process can start its own.

    name: one of `ENGINES`. language: for pocketsphinx, what to expect. model: for whisper, its folder.
    """

    name: str = "pocketsphinx"
    language: LanguageModel | None = None
    model: str | Path | None = None

    def start(self) -> SpeechRecogniser:
        """Load the recogniser (0.3 s for pocketsphinx, 140 MB of memory)."""
        if self.name not in ENGINES:
            raise ConfigurationError(f"there is no recogniser {self.name!r}; choose one of {', '.join(ENGINES)}")
        return ENGINES[self.name](self)

    @property
    def identity(self) -> str:
        """Names everything that its answers depend on, the versions of packages aside."""
        if self.model is None:
            return f"{self.name} {(self.language or LanguageModel()).digest}"
        weights = Path(self.model).absolute() / "model.bin"
        status = weights.stat() if weights.is_file() else None
        return f"{self.name} {weights} {(status.st_size, status.st_mtime_ns) if status else None}"
