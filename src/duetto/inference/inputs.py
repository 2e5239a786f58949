"""The inputs of a network, from one recording.

Waveform ─ AcousticInput ─▶ normalised frames
Waveform, words ─ WordInput ─▶ ids, or vectors of their sounds
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from .. import audio
from ..audio.activity import Segment
from ..data.text import word_tokens
from ..data.utterance import Word
from ..embeddings import sentences
from ..embeddings.spoken_words import word_features
from ..errors import ModelError
from ..features.mfcc import MfccConfig
from ..features.registry import feature_spec
from ..features.speech_only import SpeechOnly
from ..preprocessing import REPAIR, Preprocessor
from ..preprocessing.normalisation import Normaliser, SpeakerSums
from .spoken import OovResolver, SpokenWordEncoder

LONGEST_SECONDS = 600.0
"""Seconds of a recording that are decoded for a system whose output depends on more than its first frames: one that
reads words, normalises by utterance or speaker, or whose features are relative to the whole recording."""
_MARGIN_SECONDS = 1.0
"""Decoded beyond the last frame that is used: analysis windows and the resampling filter reach less far."""
_NAMED = 5
"""Words that a warning names."""


def full_duration(waveform: audio.Waveform) -> float:
    """Duration of the recording that a waveform may be a part of.

    Args:
        waveform: From `audio.load`.

    Returns:
        Seconds.
    """
    return waveform.duration if waveform.source_duration is None else waveform.source_duration


def part_begin(waveform: audio.Waveform, side: str) -> float:
    """Find where the part of a recording begins that was decoded.

    Args:
        waveform: From `audio.load`.
        side: Which part of a long recording that is (`AcousticInput.side`).

    Returns:
        Seconds.
    """
    return full_duration(waveform) - waveform.duration if side == "last" else 0.0


def within_part(words: Sequence[Word] | None, begin: float) -> Sequence[Word] | None:
    """Place given words in the part of a recording that was decoded.

    Args:
        words: Of the recording; None where they were not given.
        begin: From `part_begin`.

    Returns:
        Those that do not end before the part begins, with times in it; those without times as they are.
    """
    if words is None or not begin:
        return words
    return [word.shifted(-begin) for word in words if word.end is None or word.end > begin]


class AcousticInput:
    """The frames that the acoustic encoder reads.

    Args:
        preprocessor: Of the system.
    """

    def __init__(self, preprocessor: Preprocessor) -> None:
        self._preprocessor, self._experiment = preprocessor, preprocessor.experiment
        self._spec = feature_spec(self._experiment.features, speech_only=self._experiment.speech_only)

    @property
    def side(self) -> Literal["first", "last"]:
        """Which part of a long recording is used."""
        return "last" if self._experiment.padding == "pre" else "first"

    @property
    def max_seconds(self) -> float:
        """Seconds of a recording to decode; the rest does not change the output, or is beyond `LONGEST_SECONDS`."""
        e = self._experiment
        step = self._spec.step_seconds
        if step is not None and self._spec.local and e.normalisation == "train" and not e.uses_words:
            return min(LONGEST_SECONDS, e.max_frames * step + _MARGIN_SECONDS)
        return LONGEST_SECONDS

    def __call__(
        self,
        waveform: audio.Waveform,
        speech: Sequence[Segment],
        extracted: dict[str, np.ndarray] | None = None,
        speaker: Normaliser | None = None,
    ) -> tuple[np.ndarray, SpeakerSums | None, list[str]]:
        """Extract and normalise the frames of a recording.

        Args:
            waveform: The recording.
            speech: Where there is speech (`audio.activity.detect_speech`), for a system with `speech_only`.
            extracted: Features of this recording by the key of their extractor, which are not extracted again; those
                that are missing are added.
            speaker: Statistics of the speaker; see `Preprocessor.normalise_frames`.

        Returns:
            (frames, values) float32, what the recording adds to the speaker's statistics (None for systems that do not
            adapt), and warnings.
        """
        features = self._extracted(waveform, speech, {} if extracted is None else extracted)
        frames = self._preprocessor.normalise_frames(features, speaker)
        return frames, self._sums(features), self._warnings(len(features), waveform)

    def sums(
        self, waveform: audio.Waveform, speech: Sequence[Segment], extracted: dict[str, np.ndarray]
    ) -> SpeakerSums | None:
        """Compute what a recording adds to its speaker's statistics.

        Args:
            waveform: The recording.
            speech: As for `__call__`.
            extracted: As for `__call__`.

        Returns:
            The sums; None for systems that do not adapt.
        """
        return (
            None if self._preprocessor.adaptation is None else self._sums(self._extracted(waveform, speech, extracted))
        )

    def _extracted(
        self, waveform: audio.Waveform, speech: Sequence[Segment], extracted: dict[str, np.ndarray]
    ) -> np.ndarray:
        extractor, key = self._spec.extractor, self._spec.extractor.key()
        if key not in extracted:
            extracted[key] = (
                extractor.extract_segments(waveform.samples, waveform.sample_rate, speech)
                if isinstance(extractor, SpeechOnly)
                else extractor.extract(waveform.samples, waveform.sample_rate)
            )
        return extracted[key]

    def _sums(self, features: np.ndarray) -> SpeakerSums | None:
        adaptation = self._preprocessor.adaptation
        return None if adaptation is None else adaptation.sums(features, self._preprocessor.normaliser)

    def truncation(self, waveform: audio.Waveform) -> list[str]:
        """Warn of a recording that was too long to be decoded to its end.

        Args:
            waveform: From `audio.load`, of `max_seconds` at most.

        Returns:
            A warning, or none if what is missing does not change the prediction.
        """
        duration = full_duration(waveform)
        if waveform.duration < duration and self.max_seconds >= LONGEST_SECONDS:
            return [f"only the {self.side} {waveform.duration:g} s of {duration:.1f} s were read"]
        return []

    def _warnings(self, count: int, waveform: audio.Waveform) -> list[str]:
        step = self._spec.step_seconds
        warnings = [] if step is None else self._left_out(count, step, waveform)
        if self._experiment.normalisation == "speaker":
            source = "this recording alone" if step is not None else "the speakers of the training data"
            warnings.append(f"the system normalises by speaker, and this speaker's statistics come from {source}")
        return warnings

    def _left_out(self, count: int, step: float, waveform: audio.Waveform) -> list[str]:
        """Warn of parts of a recording that have no frame among those that are read; step: seconds of a frame."""
        warnings, maximum = [], self._experiment.max_frames
        analysed = count * step
        if not self._spec.continuous and analysed < waveform.duration / 4:
            warnings.append(
                f"only {analysed:.1f} s of {waveform.duration:.1f} s are loud enough to be analysed, compared with the "
                "loudest sound"
            )
        if count > maximum:
            sound = "" if self._spec.continuous else " of sound"
            warnings.append(
                f"only the {self.side} {maximum * step:g} s{sound} of {full_duration(waveform):.1f} s were analysed; "
                "the system was trained on single utterances"
            )
        return warnings


class WordInput:
    """What the word encoder reads: vectors of the sounds of words, or ids of their spellings.

    Args:
        folder: The model folder.
        preprocessor: Of the system.
        threads: Of ONNX Runtime.

    Raises:
        ModelError: A file of the encoder of spoken words or of sentences is missing or damaged.
    """

    def __init__(self, folder: Path, preprocessor: Preprocessor, *, threads: int = 1) -> None:
        e = preprocessor.experiment
        self._preprocessor = preprocessor
        self._encoder = SpokenWordEncoder(folder, threads=threads) if e.embeddings == "spoken" else None
        resolves = self._encoder is None and e.unknown == "spoken"
        self._resolver = OovResolver.load(folder, threads=threads) if resolves else None
        if e.sentences and (dim := sentences.opened(Path(e.sentences)).dim) != len(preprocessor.word_normaliser.mean):
            raise ModelError(
                f"{e.sentences}: embeds sentences in {dim} values, and the system was trained on "
                f"{len(preprocessor.word_normaliser.mean)}; {REPAIR}"
            )

    @property
    def needs_times(self) -> bool:
        """Whether it reads the sound of words, and so cannot use words without times."""
        return self._encoder is not None

    @property
    def uses_times(self) -> bool:
        """Whether it reads the sound of some words."""
        return self._encoder is not None or self._resolver is not None

    def __call__(self, waveform: audio.Waveform, words: Sequence[Word]) -> tuple[np.ndarray, list[str]]:
        """Encode the words of a recording.

        Args:
            waveform: The recording.
            words: Its words.

        Returns:
            Ids (n,) int64, vectors (n, dim) or weighted counts (1, n-grams + 1) float32, and warnings.
        """
        warnings, e = [], self._preprocessor.experiment
        if len(words) > e.max_words:
            warnings.append(f"only {e.max_words} of {len(words)} words were read")
        if e.word_order == "shuffled":
            warnings.append("the system was trained on words in random order; it reads these as they were spoken")
        if self._encoder is not None:
            mfcc = MfccConfig().extract(waveform.samples, waveform.sample_rate)
            return self._preprocessor.normalise_vectors(self._encoder(word_features(words, mfcc))), warnings
        if self._resolver is not None:
            words = self._resolved(self._resolver, waveform, words, warnings)
        tokens = word_tokens(words)
        if unknown := [token for token in tokens if token not in self._preprocessor.vocabulary]:
            named = ", ".join(unknown[:_NAMED])
            warnings.append(f"{len(unknown)} of {len(tokens)} words are not in the system's vocabulary: {named}")
        return self._preprocessor.encode_words(tokens), warnings

    def _resolved(
        self, resolver: OovResolver, waveform: audio.Waveform, words: Sequence[Word], warnings: list[str]
    ) -> Sequence[Word]:
        """The words with unknown ones replaced; adds a warning that names them."""
        mfcc = MfccConfig().extract(waveform.samples, waveform.sample_rate)
        resolved = resolver.respell(words, mfcc, self._preprocessor.vocabulary)
        pairs = [f"{a.word} by {b.word}" for a, b in zip(words, resolved, strict=True) if a.word != b.word]
        if pairs:
            named = ", ".join(pairs[:_NAMED])
            warnings.append(f"{len(pairs)} unknown words were replaced by words of similar sound: {named}")
        return resolved
