"""A session: recordings of one speaker, one after another, to whose voice the system adapts.

session = recogniser.session()
session.enrol(["greeting.wav"])              # optional: earlier recordings of the speaker, without labels
prediction = session("turn-1.wav")           # by the recordings before it; then counts itself
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol, TypeVar

from .. import audio
from ..data.utterance import Word
from ..errors import ConfigurationError, DuettoError
from ..preprocessing import Preprocessor
from ..preprocessing.normalisation import Adaptation, Normaliser, SpeakerSums
from .prediction import Prediction

_T = TypeVar("_T")
_HELD_BACK = 0.5
_FEWEST = 3
"""Recordings from which on a session that is held back is worth a warning."""


class _Predictor(Protocol):
    """What a session needs of its `Recogniser`; the methods are documented there.

    Attributes:
        name: Of the model.
    """

    name: str

    def predict_for(
        self,
        speaker: Normaliser | None,
        source: audio.Source,
        *,
        transcript: str | None = None,
        words: Sequence[Word] | None = None,
    ) -> tuple[Prediction, SpeakerSums | None]: ...

    def speaker_sums(self, source: audio.Source) -> SpeakerSums: ...

    def guarded(self, predict: Callable[[audio.Source], _T], source: audio.Source) -> _T | DuettoError: ...


class SpeakerSession:
    """Predictions for one speaker; make it with `Recogniser.session`.

    A recording is normalised by the statistics of those before it, without the guessed emotions, and then counts
    itself: so the first one of a session without enrolment is answered as `Recogniser.__call__` answers it, and no
    answer depends on a later recording. A recording that cannot be read, or holds no speech, changes nothing.

    Safe to call from several threads: calls of one session are answered one at a time, in the order in which they get
    its lock, and each counts for those after it. For a defined order call it from one thread. Sessions of one
    recogniser do not affect each other.

    Args:
        recogniser: Of a system with `normalisation = "shrinkage"`.
        preprocessor: Of that system.

    Raises:
        ConfigurationError: The system was not trained to adapt.
    """

    def __init__(self, recogniser: _Predictor, preprocessor: Preprocessor) -> None:
        if preprocessor.adaptation is None:
            e = preprocessor.experiment
            raise ConfigurationError(
                f"model {recogniser.name}: system {e.name!r} has normalisation = {e.normalisation!r} and was not "
                'trained to adapt to a speaker; choose a system with normalisation = "shrinkage", such as '
                "acoustic-adaptive, or predict without a session"
            )
        self._recogniser, self._training = recogniser, preprocessor.normaliser
        self._adaptation: Adaptation = preprocessor.adaptation
        self._sums: SpeakerSums = self._adaptation.empty(self._training)
        self._lock = threading.Lock()

    @property
    def utterances(self) -> int:
        """Recordings that the session's statistics hold."""
        return self._sums.count

    def enrol(self, sources: Iterable[audio.Source]) -> None:
        """Take earlier recordings of the speaker into the statistics, without predicting their emotion.

        Statistics need several emotions: about eight recordings of a conversation, better than many of one mood.

        Args:
            sources: The recordings; their order does not matter.

        Raises:
            AudioError: One cannot be read or analysed; those before it count.
        """
        for source in sources:
            sums = self._recogniser.speaker_sums(source)
            with self._lock:
                self._sums = self._sums + sums

    def fork(self) -> SpeakerSession:
        """Copy the session, to answer by its statistics without adding to them.

        Returns:
            A session with the same statistics; what it is given does not count for this one.
        """
        with self._lock:
            return copy.copy(self)

    def __call__(
        self, source: audio.Source, *, transcript: str | None = None, words: Sequence[Word] | None = None
    ) -> Prediction:
        """Recognise the emotion of the speaker's next recording.

        Args:
            source: As for `Recogniser.__call__`.
            transcript: As for `Recogniser.__call__`.
            words: As for `Recogniser.__call__`.

        Returns:
            The prediction; its `session_utterances` is the number of recordings that the statistics held for it.

        Raises:
            AudioError: The recording cannot be read or analysed.
        """
        with self._lock:
            normaliser = self._adaptation.normaliser(self._sums, self._training)
            prediction, sums = self._recogniser.predict_for(normaliser, source, transcript=transcript, words=words)
            prediction = replace(
                prediction,
                session_utterances=self._sums.count,
                warnings=(*prediction.warnings, *self._warnings()),
            )
            if sums is not None:
                self._sums = self._sums + sums
        return prediction

    def attempt(
        self, source: audio.Source, *, transcript: str | None = None, words: Sequence[Word] | None = None
    ) -> Prediction | DuettoError:
        """Call the session and return its error instead of raising it, so that a batch can continue.

        Args:
            source: As for `Recogniser.__call__`.
            transcript: As for `Recogniser.__call__`.
            words: As for `Recogniser.__call__`.

        Returns:
            The prediction, or the error that prevented it, whatever it was.
        """
        return self._recogniser.guarded(partial(self, transcript=transcript, words=words), source)

    def _warnings(self) -> list[str]:
        count = self._sums.count
        trusted = self._adaptation.trusted(self._sums, self._training)
        if count < _FEWEST or trusted > _HELD_BACK * count:
            return []
        return [
            f"the {count} recordings of this session may show a single emotion; their statistics count as "
            f"{trusted:.1f} recordings"
        ]
