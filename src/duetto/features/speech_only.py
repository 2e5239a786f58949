"""Features of the speech in a recording, without its pauses (`Experiment.speech_only`).

SpeechOnly(extractor) ─ extract ─▶ features of what `audio.pauses.keep_speech` keeps
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..audio import pauses
from ..audio.activity import Segment
from .extractor import Extractor, cache_key

_VERSION = 1


@dataclass(frozen=True, slots=True)
class SpeechOnly:
    """Another extractor, applied to a recording without its pauses.

    Silence before, after and within the speech then changes nothing. Training and prediction use the same class. The
    features of a recording without speech are those of the whole recording; prediction does not use them.

    Attributes:
        inner: The extractor of the features.
    """

    inner: Extractor

    def key(self) -> str:
        """The key of the feature store.

        Returns:
            Canonical JSON, with the key of the inner extractor and the lengths of `audio.pauses`.
        """
        return cache_key(
            "speech_only",
            _VERSION,
            inner=self.inner.key(),
            longest_pause=pauses.LONGEST_PAUSE_SECONDS,
            floor=pauses.FLOOR_DECIBELS,
            reach=pauses.REACH_SECONDS,
        )

    def extract(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """Find the speech and extract its features.

        Args:
            samples: (n,) with full scale ±1, or int16.
            sample_rate: Hz; 16 kHz.

        Returns:
            (frames, dim), as the inner extractor returns them.

        Raises:
            AudioError: The samples are not valid (`audio.signal.validate_samples`).
        """
        return self.inner.extract(pauses.keep_speech(samples), sample_rate)

    def extract_segments(self, samples: np.ndarray, sample_rate: int, segments: Sequence[Segment]) -> np.ndarray:
        """Extract the features of speech that has been found already.

        Args:
            samples: (n,) with full scale ±1, or int16.
            sample_rate: Hz; 16 kHz.
            segments: Of `audio.activity.detect_speech`.

        Returns:
            (frames, dim), the same as of `extract`.

        Raises:
            AudioError: The samples are not valid (`audio.signal.validate_samples`).
        """
        return self.inner.extract(pauses.keep_speech(samples, segments), sample_rate)
