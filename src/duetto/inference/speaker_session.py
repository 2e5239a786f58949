"""A session: recordings of one speaker, one after another, to whose voice the system adapts.

session = recogniser.session()
session.enrol(["greeting.wav"])              # optional: earlier recordings of the speaker, without labels
prediction = session("turn-1.wav")           # by the recordings before it; then counts itself
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from .. import audio
from ..data.utterance import Word
from ..errors import ConfigurationError, DuettoError
from ..preprocessing import Preprocessor
from ..preprocessing.normalisation import Adaptation, Normaliser, SpeakerSums
from ..utils.progress import Progress
from .explanation import Explanation
from .prediction import Prediction
from .sources import guarded

_HELD_BACK = 0.5
_FEWEST = 3
"""Recordings from which on a session that is held back is worth a warning."""


Sums = Sequence[SpeakerSums | None]
"""Of each network of a system; None for one that does not adapt."""

Statistics = Sequence[Normaliser | None]
"""Of a speaker, for each network of a system; None for one that does not adapt."""


class _Predictor(Protocol):
    """What a session needs of its `Recogniser`; the methods are documented there.

    Attributes:
        name: Of the model.
    """

    name: str

    def predict_for(
        self,
        speaker: Statistics | None,
        source: audio.Source,
        *,
        transcript: str | None = None,
        words: Sequence[Word] | None = None,
    ) -> tuple[Prediction, Sums | None]: ...

    def explain_for(
        self,
        speaker: Statistics | None,
        source: audio.Source,
        *,
        transcript: str | None = None,
        words: Sequence[Word] | None = None,
        progress: Progress | None = None,
    ) -> tuple[Explanation, Sums | None]: ...

    def speaker_sums(self, source: audio.Source) -> Sums: ...


class SpeakerSession:
    """Predictions for one speaker; make it with `Recogniser.session`.

    A recording is normalised by the statistics of those before it, without the guessed emotions, and then counts
    itself: so the first one of a session without enrolment is answered as `Recogniser.__call__` answers it, and no
    answer depends on a later recording. A recording that cannot be read, or holds no speech, changes nothing.

    In a fusion each branch that adapts has statistics, and a guard, of its own; the others answer as ever.

    Safe to call from several threads: calls of one session are answered one at a time, in the order in which they get
    its lock, and each counts for those after it. For a defined order call it from one thread. Sessions of one
    recogniser do not affect each other. A pickled session keeps its statistics; its recogniser is opened again.

    Args:
        recogniser: Of a system with `normalisation = "shrinkage"`, or of a fusion with such a branch.
        preprocessors: Of each network of that system.

    Raises:
        ConfigurationError: No network was trained to adapt.
    """

    def __init__(self, recogniser: _Predictor, preprocessors: Sequence[Preprocessor]) -> None:
        self._recogniser, self._lock = recogniser, threading.Lock()
        self._voices = [None if each.adaptation is None else _Voice.of(each) for each in preprocessors]
        if not any(self._voices):
            raise ConfigurationError(_not_trained(recogniser.name, preprocessors))

    def __getstate__(self) -> dict[str, Any]:
        with self._lock:
            return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())

    @property
    def utterances(self) -> int:
        """Recordings that the session's statistics hold."""
        return max(voice.sums.count for voice in self._voices if voice is not None)

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
                self._add(sums)

    def fork(self) -> SpeakerSession:
        """Copy the session, to answer by its statistics without adding to them.

        Returns:
            A session with the same statistics; what it is given does not count for this one.
        """
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
            prediction, sums = self._recogniser.predict_for(
                self._statistics(), source, transcript=transcript, words=words
            )
            return self._counted(prediction, sums)

    def explain(
        self,
        source: audio.Source,
        *,
        transcript: str | None = None,
        words: Sequence[Word] | None = None,
        progress: Progress | None = None,
    ) -> Explanation:
        """Recognise the emotion of the speaker's next recording, and compute what moved the answer.

        Args:
            source: As for `Recogniser.__call__`.
            transcript: As for `Recogniser.__call__`.
            words: As for `Recogniser.__call__`.
            progress: As for `Recogniser.explain`.

        Returns:
            The prediction that a call gives, with the effects under the same statistics. The recording counts once.

        Raises:
            AudioError: The recording cannot be read or analysed.
        """
        with self._lock:
            explanation, sums = self._recogniser.explain_for(
                self._statistics(), source, transcript=transcript, words=words, progress=progress
            )
            return replace(explanation, prediction=self._counted(explanation.prediction, sums))

    def _statistics(self) -> Statistics:
        return [voice and voice.normaliser() for voice in self._voices]

    def _counted(self, prediction: Prediction, sums: Sums | None) -> Prediction:
        """A prediction with what it rests on; then its recording counts."""
        prediction = replace(
            prediction, session_utterances=self.utterances, warnings=(*prediction.warnings, *self._warnings())
        )
        if sums is not None:
            self._add(sums)
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
        return guarded(partial(self, transcript=transcript, words=words), source)

    def _add(self, sums: Sums) -> None:
        self._voices = [
            voice if voice is None or own is None else replace(voice, sums=voice.sums + own)
            for voice, own in zip(self._voices, sums, strict=True)
        ]

    def _warnings(self) -> list[str]:
        """A warning where a guard holds back, which names the branches of a fusion."""
        count = self.utterances
        trusted = [(voice.name, voice.trusted()) for voice in self._voices if voice is not None]
        held_back = [(name, number) for name, number in trusted if number <= _HELD_BACK * count]
        if count < _FEWEST or not held_back:
            return []
        several = len(self._voices) > 1
        numbers = ", ".join(f"{number:.1f} recordings{f' in {name}' if several else ''}" for name, number in held_back)
        return [
            f"the {count} recordings of this session may show a single emotion; their statistics count as {numbers}"
        ]


@dataclass(frozen=True)
class _Voice:
    """The speaker's statistics in one network. name: of its system."""

    name: str
    adaptation: Adaptation
    training: Normaliser
    sums: SpeakerSums

    @classmethod
    def of(cls, preprocessor: Preprocessor) -> _Voice:
        adaptation, training = preprocessor.adaptation, preprocessor.normaliser
        assert adaptation is not None
        return cls(preprocessor.experiment.name, adaptation, training, adaptation.empty(training))

    def normaliser(self) -> Normaliser:
        return self.adaptation.normaliser(self.sums, self.training)

    def trusted(self) -> float:
        return self.adaptation.trusted(self.sums, self.training)


def _not_trained(name: str, preprocessors: Sequence[Preprocessor]) -> str:
    """Why there is no session."""
    systems = [p.experiment for p in preprocessors]
    repair = 'choose a system with normalisation = "shrinkage", such as acoustic-adaptive, or predict without a session'
    if len(systems) > 1:
        return (
            f"model {name}: none of the branches {', '.join(e.name for e in systems)} was trained to adapt to a "
            f"speaker; {repair}"
        )
    return (
        f"model {name}: system {systems[0].name!r} has normalisation = {systems[0].normalisation!r} and was not "
        f"trained to adapt to a speaker; {repair}"
    )
