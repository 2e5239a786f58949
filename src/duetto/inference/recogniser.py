"""`Recogniser`: audio in, `Prediction` out. No PyTorch.

recogniser = duetto.load("runs/fusion")
prediction = recogniser("call.wav", transcript="oh that's lovely")
prediction.label, prediction.probabilities, prediction.words
for outcome in recogniser.predict_many(files, workers=8): …   # in order; each a Prediction or an error
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import audio
from ..audio.activity import Segment, detect_speech, speech_seconds
from ..data.utterance import Word
from ..errors import AudioError, ConfigurationError, DuettoError, ModelError
from ..utils import parallel, worker_logs
from ..utils.progress import Progress
from .certainty import Certainty
from .explanation import Explanation
from .inputs import full_duration, part_begin, within_part
from .model_folder import find
from .network import PreparedRecording, in_fusion, joint_answer, open_networks, word_finder
from .occlusion import Occlusion, explained
from .prediction import Prediction, RecordingInputs, without_speech
from .pretrained import DEFAULT, terms
from .sources import crashed, guarded, named_errors, picklable, with_mixing_named
from .speaker_session import SpeakerSession, Statistics, Sums
from .worker import attempt_in_worker, opened_again

if TYPE_CHECKING:
    from ..asr.finder import WordFinder


class Recogniser:
    """A trained system that recognises emotion in recordings. Safe to call from several threads.

    It pickles as the place of its model and its arguments, and is opened again where it is unpickled.

    Args:
        model: See `duetto.load`.
        asr: See `duetto.load`.
        threads: See `duetto.load`.
        require_speech: See `duetto.load`.
        reject: See `duetto.load`.

    Attributes:
        name: The model, as given.
        terms: What the model was trained on and how it may be used; empty where that is not known.

    Raises:
        ModelError: The model is missing, damaged or unfinished.
        ConfigurationError: `asr` or `reject` is not valid, or the model states no error rates.
    """

    name: str
    terms: str

    def __init__(
        self,
        model: str | os.PathLike[str] = DEFAULT,
        *,
        asr: str = "auto",
        threads: int = 1,
        require_speech: bool = True,
        reject: float | str | None = None,
    ) -> None:
        folder = find(model)
        self.name = str(model)
        self._arguments = (self.name, asr, threads, require_speech, reject)
        self._require_speech = require_speech
        self.terms = terms(folder)
        self._fusion, self._networks = open_networks(folder, threads)
        self._certainty = Certainty.of(folder, self._fusion, self._networks, reject)
        self._word_finder: WordFinder | None = None
        self._unused_asr: tuple[str, ...] = ()
        if self.uses_words:
            self._word_finder = word_finder(asr, self._networks)
        elif asr not in ("auto", "corpus"):
            from ..asr.finder import recogniser_config

            recogniser_config(asr, folder)  # an unknown name is an error for these systems, too
            self._unused_asr = (f"this system reads no words; asr={asr!r} is not used",)

    def __reduce__(self) -> tuple[Callable[..., Recogniser], tuple[Any, ...], dict[str, Any]]:
        place = str(Path(self.name).absolute()) if Path(self.name).exists() else self.name  # else it has no folder here
        opened = partial(opened_again, type(self), (place, *self._arguments[1:]))
        return opened, (), {"name": self.name, "_arguments": self._arguments}

    @property
    def uses_words(self) -> bool:
        """Whether the system reads words, so that a transcript changes its predictions."""
        return any(network.uses_words for network in self._networks)

    @property
    def languages(self) -> tuple[str, ...] | None:
        """Languages (ISO 639-1) whose words the system reads; None for a system that reads no words."""
        return self._word_finder.languages if self._word_finder is not None else None

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of the label set."""
        return self._networks[0].preprocessor.classes

    @property
    def dimensions(self) -> tuple[str, ...]:
        """The dimensions that it predicts beside the classes; none for a fusion."""
        return self._networks[0].preprocessor.experiment.dimensions if self._fusion is None else ()

    @property
    def max_seconds(self) -> float:
        """Seconds that are decoded at most; the rest does not change the prediction, or is left out with a warning."""
        return max(network.acoustic_input.max_seconds for network in self._networks)

    def __call__(
        self, source: audio.Source, *, transcript: str | None = None, words: Sequence[Word] | None = None
    ) -> Prediction:
        """Recognise the emotion of one recording.

        Without `transcript` and `words`, a system that reads words finds them in the recording. A recording without
        speech has no emotion: its prediction has no label, and a warning. Only what reads nothing but words, and is
        given them, still predicts: a system, or the branches of a fusion, which leaves the others out.

        Args:
            source: Path, file object, bytes of a file, (samples, Hz), {"waveform": samples, "sample_rate": Hz}, or
                another of the forms of `audio.forms`, such as a row of an audio column of `datasets`.
            transcript: What is said; it is aligned with the recording.
            words: What is said, with times where known; takes precedence over `transcript`.

        Returns:
            The prediction.

        Raises:
            AudioError: The recording cannot be read or analysed.
        """
        return self.predict_for(None, source, transcript=transcript, words=words)[0]

    def session(self) -> SpeakerSession:
        """Begin a session: recordings of one speaker, to whose voice the system adapts.

        Returns:
            The session, without any recording.

        Raises:
            ConfigurationError: The system was not trained to adapt (`normalisation = "shrinkage"`), or is a fusion
                without such a branch.
        """
        return SpeakerSession(self, [network.preprocessor for network in self._networks])

    def predict_for(
        self,
        speaker: Statistics | None,
        source: audio.Source,
        *,
        transcript: str | None = None,
        words: Sequence[Word] | None = None,
    ) -> tuple[Prediction, Sums | None]:
        """Recognise the emotion of one recording by the statistics of its speaker.

        Args:
            speaker: The statistics for each network of the system; None for those of training.
            source: See `__call__`.
            transcript: See `__call__`.
            words: See `__call__`.

        Returns:
            The prediction, and what the recording adds to the statistics of each network; None where there is no
            speech.

        Raises:
            AudioError: The recording cannot be read or analysed.
        """
        waveform = self._load(source)
        with named_errors(source):
            prediction, recording = self._predicted(speaker, waveform, transcript, words)
        return prediction, None if recording is None else recording.sums

    def _predicted(
        self, speaker: Statistics | None, waveform: audio.Waveform, transcript: str | None, words: Sequence[Word] | None
    ) -> tuple[Prediction, PreparedRecording | None]:
        """The prediction, and what the networks read; None where there is no speech."""
        speech = detect_speech(waveform.samples)
        silent = self._require_speech and not speech
        given = transcript is not None or words is not None
        if silent and not (given and not all(network.uses_audio for network in self._networks)):
            return without_speech(waveform, self.name, self._unused_asr), None
        recording = self._prepared(waveform, speech, transcript, words, speaker, silent=silent)
        if silent and self._fusion is not None and all(each.lacks for each in recording.inputs):
            return without_speech(waveform, self.name, [*self._unused_asr, *recording.warnings]), None
        answer = joint_answer(self._fusion, self._networks, recording.inputs)
        certain = self._certainty(answer.log_posteriors, recording.inputs)
        prediction = Prediction(
            **certain.fields(self.labels),
            duration=recording.duration,
            speech_seconds=speech_seconds(speech),
            model=self.name,
            warnings=tuple(dict.fromkeys([*recording.warnings, *answer.warnings, *certain.warnings])),
            branches=answer.branches,
            dimensions=answer.dimensions,
            **recording.word_fields,
        )
        return prediction, recording

    def explain(
        self,
        source: audio.Source,
        *,
        transcript: str | None = None,
        words: Sequence[Word] | None = None,
        progress: Progress | None = None,
    ) -> Explanation:
        """Recognise the emotion of one recording, and compute which of its moments and words moved the answer.

        Args:
            source: See `__call__`.
            transcript: See `__call__`.
            words: See `__call__`.
            progress: Called with the number of moments and words done, and of all.

        Returns:
            The prediction of `__call__`, with the effects; without any where there is no speech to answer.

        Raises:
            AudioError: The recording cannot be read or analysed.
        """
        return self.explain_for(None, source, transcript=transcript, words=words, progress=progress)[0]

    def explain_for(
        self,
        speaker: Statistics | None,
        source: audio.Source,
        *,
        transcript: str | None = None,
        words: Sequence[Word] | None = None,
        progress: Progress | None = None,
    ) -> tuple[Explanation, Sums | None]:
        """Explain one recording by the statistics of its speaker.

        Args:
            speaker: See `predict_for`.
            source: See `__call__`.
            transcript: See `__call__`.
            words: See `__call__`.
            progress: See `explain`.

        Returns:
            The explanation, and what the recording adds to the statistics, as `predict_for` returns it.

        Raises:
            AudioError: The recording cannot be read or analysed.
        """
        waveform = self._load(source)
        with named_errors(source):
            prediction, recording = self._predicted(speaker, waveform, transcript, words)
            if recording is None:
                return Explanation(prediction, (), (), 0), None
            system = (self._fusion, self._networks, self._certainty)
            occlusion = Occlusion(*system, waveform, recording, speaker)
            return explained(prediction, occlusion, progress), recording.sums

    def speaker_sums(self, source: audio.Source) -> Sums:
        """Compute what a recording adds to its speaker's statistics.

        Args:
            source: See `__call__`.

        Returns:
            The sums of each network; None for a branch of a fusion that does not adapt.

        Raises:
            AudioError: The recording cannot be read or analysed, or there is no speech in it.
            ConfigurationError: The system does not adapt.
        """
        waveform = self._load(source)
        with named_errors(source):
            speech = detect_speech(waveform.samples)
            if self._require_speech and not speech:
                raise AudioError("no speech was found; enrol recordings in which the speaker speaks")
            extracted: dict[str, np.ndarray] = {}
            sums = [network.acoustic_input.sums(waveform, speech, extracted) for network in self._networks]
        if not any(sums):
            raise ConfigurationError(f"model {self.name} does not adapt to a speaker; predict without a session")
        return sums

    def _load(self, source: audio.Source) -> audio.Waveform:
        waveform = audio.load(source, max_seconds=self.max_seconds, side=self._networks[0].acoustic_input.side)
        return with_mixing_named(waveform)

    def prepare_inputs(
        self, source: audio.Source, *, transcript: str | None = None, words: Sequence[Word] | None = None
    ) -> RecordingInputs:
        """Prepare what a call with the same arguments passes to the network, whether or not there is speech.

        Args:
            source: See `__call__`.
            transcript: See `__call__`.
            words: See `__call__`.

        Returns:
            The inputs of the network.

        Raises:
            AudioError: The recording cannot be read or analysed.
            ModelError: The system is a fusion, which has several networks.
        """
        if self._fusion is not None:
            names = ", ".join(self._fusion.names)
            raise ModelError(f"{self.name}: is a fusion of several networks; load the folder of a branch ({names})")
        waveform = self._load(source)
        with named_errors(source):
            recording = self._prepared(waveform, detect_speech(waveform.samples), transcript, words, None)
        (own,) = recording.inputs
        fields = recording.word_fields
        return RecordingInputs(
            own.frames, own.word_values, fields["words"], fields["words_from"], recording.duration, recording.warnings
        )

    def _prepared(
        self,
        waveform: audio.Waveform,
        speech: Sequence[Segment],
        transcript: str | None,
        words: Sequence[Word] | None,
        speaker: Statistics | None,
        *,
        silent: bool = False,
    ) -> PreparedRecording:
        """Words are found once and features extracted once, for all networks."""
        warnings = [*waveform.warnings, *self._unused_asr]
        for network in self._networks:
            warnings += network.acoustic_input.truncation(waveform)
        read: tuple[Word, ...] = ()
        found, begin = None, part_begin(waveform, self._networks[0].acoustic_input.side)
        extracted: dict[str, np.ndarray] = {}
        if self._word_finder is not None:
            given = within_part(words, begin)
            found = self._word_finder(waveform.samples, transcript=transcript, words=given)
            read = found.words
            warnings += found.warnings if self._fusion is None else in_fusion(found.warnings)
        elif transcript is not None or words is not None:
            warnings.append("this system uses the acoustics only; the given words are not used")
        statistics = speaker or [None] * len(self._networks)
        inputs = tuple(
            network.inputs(waveform, speech, read, extracted, own, silent=silent)
            for network, own in zip(self._networks, statistics, strict=True)
        )
        warnings += [warning for each in inputs for warning in each.warnings]
        distinct = tuple(dict.fromkeys(warnings))
        return PreparedRecording(inputs, tuple(speech), silent, found, full_duration(waveform), distinct, begin)

    def attempt(
        self, source: audio.Source, *, transcript: str | None = None, words: Sequence[Word] | None = None
    ) -> Prediction | DuettoError:
        """Call the recogniser and return its error instead of raising it, so that a batch can continue.

        Args:
            source: See `__call__`.
            transcript: See `__call__`.
            words: See `__call__`.

        Returns:
            The prediction, or the error that prevented it, whatever it was.
        """
        return guarded(partial(self, transcript=transcript, words=words), source)

    def predict_many(self, sources: Iterable[audio.Source], *, workers: int = 1) -> Iterator[Prediction | DuettoError]:
        """Recognise the emotion of many recordings; one that fails gives its error, and the others continue.

        A system that uses the acoustics only runs in threads. One that reads words runs in processes, since its speech
        recogniser holds the GIL: each takes about 0.3 GB, and the calling program needs the usual
        `if __name__ == "__main__"`. What the processes log is handled by the logging of this one.

        Args:
            sources: The recordings, consumed as needed, so any number fits in memory.
            workers: Recordings at a time.

        Yields:
            The result of each recording, in their order.
        """
        if not self.uses_words or workers == 1:
            yield from parallel.in_order(self.attempt, sources, workers=workers, crashed=crashed)
            return
        level = logging.getLogger(__package__).getEffectiveLevel()
        results = parallel.in_order(
            partial(attempt_in_worker, type(self), self._arguments, level),
            map(picklable, sources),
            workers=workers,
            processes=True,
            crashed=lambda source: (crashed(source), []),
        )
        for outcome, records in results:
            worker_logs.replay(records)
            yield outcome
