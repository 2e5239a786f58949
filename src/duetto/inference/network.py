"""One trained network and the inputs it reads from a recording: a whole system, or a branch of a fusion.

Waveform, words ─ Network.inputs ─▶ NetworkInputs ─ Network.logits ─▶ (classes,)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import audio
from ..audio.activity import Segment
from ..data.text import word_tokens
from ..data.utterance import Word
from ..errors import ModelError
from ..features.registry import feature_spec
from ..preprocessing.normalisation import Normaliser, SpeakerSums
from .confidence import Confidence
from .fusion_folder import FusedAnswer, branch_folder, fuse, is_fusion, lacking, read_fusion
from .inputs import AcousticInput, WordInput
from .model_folder import ARRAYS
from .session import Session

if TYPE_CHECKING:
    from ..asr.finder import FoundWords, WordFinder
    from ..evaluation.product import PosteriorFusion
    from .baseline_model import BaselineSession


@dataclass(frozen=True)
class NetworkInputs:
    """What a network reads of one recording; None for a modality that it does not use.

    Attributes:
        frames: (frames, values) float32, normalised.
        word_values: Ids (n,) int64 or vectors (n, dim) float32.
        warnings: Reasons to trust the answer less.
        lacks: What is missing for it to take part in a fusion (`fusion_folder.lacking`); "" if nothing is.
        sums: What the recording adds to its speaker's statistics; None for a system that does not adapt.
    """

    frames: np.ndarray | None
    word_values: np.ndarray | None
    warnings: tuple[str, ...]
    lacks: str
    sums: SpeakerSums | None = None


class Network:
    """A model folder, opened.

    Args:
        folder: An ordinary model folder.
        threads: Of ONNX Runtime.

    Attributes:
        folder: As given.
        session: The network, or the baseline.
        preprocessor: What training fitted.
        acoustic_input: Its frames.
        word_input: Its words; None for a system that reads none.

    Raises:
        ModelError: A file is missing or damaged.
    """

    def __init__(self, folder: Path, *, threads: int = 1) -> None:
        self.folder = folder
        self.session = _session(folder, threads)
        self.preprocessor = self.session.preprocessor
        self.acoustic_input = AcousticInput(self.preprocessor)
        self.word_input = WordInput(folder, self.preprocessor, threads=threads) if self.uses_words else None

    @property
    def uses_words(self) -> bool:
        """Whether it reads words."""
        return self.preprocessor.experiment.uses_words

    @property
    def uses_audio(self) -> bool:
        """Whether it reads the voice."""
        return self.preprocessor.experiment.uses_audio

    def inputs(
        self,
        waveform: audio.Waveform,
        speech: Sequence[Segment],
        words: Sequence[Word],
        extracted: dict[str, np.ndarray],
        speaker: Normaliser | None = None,
        *,
        silent: bool = False,
    ) -> NetworkInputs:
        """Prepare what the network reads.

        Args:
            waveform: The recording.
            speech: Where there is speech (`audio.activity.detect_speech`).
            words: Its words; not read by a system that reads none.
            extracted: Features of this recording by the key of their extractor; those that are missing are added.
            speaker: Statistics of the speaker, for a system that adapts.
            silent: The recording has no speech; there are no inputs then for a branch that reads the voice.

        Returns:
            The inputs.
        """
        frames, values, sums, warnings = None, None, None, []
        timed = any(word.start is not None for word in words)
        lacks = lacking(self.preprocessor, word_tokens(words), timed=timed, speech=not silent)
        if silent and self.preprocessor.experiment.uses_audio:
            return NetworkInputs(None, None, (), lacks)
        if self.preprocessor.experiment.uses_audio:
            frames, sums, more = self.acoustic_input(waveform, speech, extracted, speaker)
            warnings += more
        if self.word_input is not None:
            values, more = self.word_input(waveform, words)
            warnings += more
        return NetworkInputs(frames, values, tuple(warnings), lacks, sums)

    def with_sound(
        self,
        inputs: NetworkInputs,
        waveform: audio.Waveform,
        speech: Sequence[Segment],
        extracted: dict[str, np.ndarray],
        speaker: Normaliser | None = None,
    ) -> NetworkInputs:
        """Prepare what the network reads if the voice is that of another recording.

        Args:
            inputs: Of the recording whose words stay.
            waveform: See `inputs`.
            speech: See `inputs`.
            extracted: See `inputs`.
            speaker: See `inputs`.

        Returns:
            The inputs; the same object for a network that does not read the voice.
        """
        if inputs.frames is None:
            return inputs
        return replace(inputs, frames=self.acoustic_input(waveform, speech, extracted, speaker)[0])

    def with_words(
        self, inputs: NetworkInputs, waveform: audio.Waveform, words: Sequence[Word], *, speech: bool
    ) -> NetworkInputs:
        """Prepare what the network reads if other words are said.

        Args:
            inputs: Of the recording whose voice stays.
            waveform: The recording, for the sounds of the words.
            words: The words.
            speech: Whether there is speech in the recording.

        Returns:
            The inputs; the same object for a network that does not read words.
        """
        if self.word_input is None or inputs.word_values is None:
            return inputs
        timed = any(word.start is not None for word in words)
        lacks = lacking(self.preprocessor, word_tokens(words), timed=timed, speech=speech)
        return replace(inputs, word_values=self.word_input(waveform, words)[0], lacks=lacks)

    def logits_of(self, inputs: Sequence[NetworkInputs]) -> np.ndarray:
        """Classify several recordings.

        Args:
            inputs: From `inputs`; all have the same modalities.

        Returns:
            (n, classes) float32 logits, not yet divided by the temperature.
        """
        frames = [each.frames for each in inputs if each.frames is not None]
        values = [each.word_values for each in inputs if each.word_values is not None]
        if not frames and not values:
            return np.zeros((len(inputs), len(self.preprocessor.classes)), np.float32)
        return self.session.logits_of(frames or None, values or None)

    def answer(self, inputs: NetworkInputs) -> tuple[np.ndarray, dict[str, float]]:
        """Classify one recording, and predict its ratings.

        Args:
            inputs: From `inputs`.

        Returns:
            (classes,) float32 logits, not yet divided by the temperature; and dimension → rating in the units of
            training, for the dimensions that the network has.
        """
        frames, values = ([x] if x is not None else None for x in (inputs.frames, inputs.word_values))
        outputs = self.session.outputs(*self.preprocessor.collate(frames, values))[0]
        logits, ratings = self.preprocessor.split(outputs)
        return logits, dict(zip(self.preprocessor.experiment.dimensions, ratings.tolist(), strict=True))


def _session(folder: Path, threads: int) -> Session | BaselineSession:
    if not (folder / ARRAYS).is_file():
        return Session(folder, threads=threads)
    from .baseline_model import BaselineSession  # late, since a network needs nothing of it

    return BaselineSession(folder)


@dataclass(frozen=True)
class PreparedRecording:
    """The inputs of every network from one recording.

    Attributes:
        inputs: Of each network.
        speech: Where there is speech, in samples.
        silent: Whether it counts as a recording without speech.
        found: The words, and how they were found; None for a system that reads none.
        duration: See `prediction.Prediction`.
        warnings: See `prediction.Prediction`.
        begin: Seconds of the recording before the part that was read (`part_begin`).
    """

    inputs: tuple[NetworkInputs, ...]
    speech: tuple[Segment, ...]
    silent: bool
    found: FoundWords | None
    duration: float
    warnings: tuple[str, ...]
    begin: float = 0.0

    @property
    def word_fields(self) -> dict[str, Any]:
        """The fields of a `prediction.Prediction` that state which words were read."""
        if self.found is None:
            return {"words": (), "words_from": "none"}
        return {
            "words": tuple(word.shifted(self.begin) for word in self.found.words),
            "words_from": self.found.words_from,
            "speech_recogniser": self.found.recogniser,
            "language": self.found.language,
            "language_probability": self.found.language_probability,
            "rejected_words": tuple(word.shifted(self.begin) for word in self.found.rejected),
        }

    @property
    def sums(self) -> tuple[SpeakerSums | None, ...]:
        """What the recording adds to its speaker's statistics in each network; None in those that do not adapt."""
        return tuple(each.sums for each in self.inputs)


def open_networks(folder: Path, threads: int) -> tuple[PosteriorFusion | None, tuple[Network, ...]]:
    """Open all networks of a model.

    Args:
        folder: A model folder, or that of a fusion.
        threads: Of ONNX Runtime.

    Returns:
        What joins the networks, None where there is one only; and the networks.

    Raises:
        ModelError: A file is missing or damaged, or the branches of a fusion differ in their classes.
    """
    if not is_fusion(folder):
        return None, (Network(folder, threads=threads),)
    fusion, classes = read_fusion(folder)
    networks = tuple(Network(branch_folder(folder, name), threads=threads) for name in fusion.names)
    for network in networks:
        if network.preprocessor.classes != classes:
            raise ModelError(
                f"{network.folder}: has classes {', '.join(network.preprocessor.classes)}, and the fusion "
                f"{', '.join(classes)}: they are not of one model; export again"
            )
    return fusion, networks


def open_confidence(folder: Path, fusion: PosteriorFusion | None, networks: Sequence[Network]) -> Confidence | None:
    """Open what a model states of its own confidence.

    Args:
        folder: A model folder, or that of a fusion.
        fusion: From `open_networks`.
        networks: From `open_networks`.

    Returns:
        The statement; None where the folder holds none.

    Raises:
        ModelError: It is damaged, or of another model.
    """
    found = Confidence.load(folder)
    if found is not None:
        names = [""] if fusion is None else fusion.names
        read = [network.preprocessor.experiment for network in networks]
        found.check(
            {name: feature_spec(e.features).dim for name, e in zip(names, read, strict=True) if e.uses_audio},
        )
    return found


def joint_answer(
    fusion: PosteriorFusion | None, networks: Sequence[Network], inputs: Sequence[NetworkInputs]
) -> FusedAnswer:
    """Compute the answer of a model for one recording.

    Args:
        fusion: What joins the networks; None for one network.
        networks: Of the model.
        inputs: Of each.

    Returns:
        The answer. Branches that do not take part are not computed. Only a single network gives ratings: a fusion is a
        product of posteriors.
    """
    if fusion is None:
        logits, ratings = networks[0].answer(inputs[0])
        return replace(joined(None, networks, [logits], inputs), dimensions=ratings or None)
    each = [
        np.zeros(len(network.preprocessor.classes)) if own.lacks else network.answer(own)[0]
        for network, own in zip(networks, inputs, strict=True)
    ]
    return joined(fusion, networks, each, inputs)


def joined(
    fusion: PosteriorFusion | None,
    networks: Sequence[Network],
    logits: Sequence[np.ndarray],
    inputs: Sequence[NetworkInputs],
) -> FusedAnswer:
    """Join the logits of the networks of a model for one recording.

    Args:
        fusion: What joins the networks; None for one network.
        networks: Of the model.
        logits: (classes,) of each network; those of a branch that does not take part are not used.
        inputs: Of each network.

    Returns:
        The answer.
    """
    if fusion is None:
        return FusedAnswer(logits[0] / networks[0].session.temperature, (), ())
    return fuse(fusion, networks[0].preprocessor.classes, logits, [each.lacks for each in inputs])


def word_finder(asr: str, networks: Sequence[Network]) -> WordFinder:
    """Make what finds words for all networks that read them.

    Args:
        asr: See `duetto.load`.
        networks: Of the model.

    Returns:
        The finder; times are indispensable to it only where no network reads spellings.

    Raises:
        ConfigurationError: `asr` is not valid.
    """
    from ..asr.finder import WordFinder  # late, since a system that uses the acoustics only does not need it

    readers = [network for network in networks if network.uses_words]
    inputs = [network.word_input for network in readers if network.word_input is not None]
    needs_times, uses_times = all(x.needs_times for x in inputs), any(x.uses_times for x in inputs)
    return WordFinder(asr, readers[0].folder, needs_times=needs_times, uses_times=uses_times)


def in_fusion(warnings: Sequence[str]) -> list[str]:
    """Take from the warnings of a word finder what does not hold for a fusion.

    Args:
        warnings: Of the word finder.

    Returns:
        The warnings, without the statement that the system answers as if nothing had been said.
    """
    from ..asr.finder import AS_IF_NOTHING_SAID

    return [warning.removesuffix(AS_IF_NOTHING_SAID) for warning in warnings]
