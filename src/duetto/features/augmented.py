"""Features of augmented copies of recordings, for training data.

Augmented(extractor, copy, seed) ─ extract ─▶ features of one augmented copy, for a `FeatureStore`
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from ..audio.augment import recording
from ..audio.signal import as_float
from .extractor import Extractor, cache_key, stored_as_half

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Augmented:
    """Another extractor, applied to an augmented copy of each recording (`audio.augment.recording`).

    The augmentation is drawn from `copy`, `seed` and the samples, so it differs between the copies of an utterance and
    between utterances.

    Attributes:
        inner: The extractor of the features.
        copy: Number of the copy.
        seed: Seed of the augmentation.
    """

    inner: Extractor
    copy: int
    seed: int = 0

    @property
    def half(self) -> bool:
        """Whether the features are rounded to float16, as those of the inner extractor."""
        return stored_as_half(self.inner)

    def key(self) -> str:
        """The key of the feature store.

        Returns:
            Canonical JSON, with the key of the inner extractor.
        """
        return cache_key("augmented", _VERSION, copy=self.copy, seed=self.seed, inner=self.inner.key())

    def extract(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """Augment a recording and extract its features.

        Args:
            samples: (n,) with full scale ±1, or int16.
            sample_rate: Hz.

        Returns:
            (frames, dim), as the inner extractor returns them.

        Raises:
            AudioError: The samples are not valid (`audio.signal.validate_samples`).
        """
        sound = as_float(samples)
        digest = hashlib.blake2b(repr((self.seed, self.copy)).encode(), digest_size=8)
        digest.update(np.ascontiguousarray(sound, np.float32).tobytes())
        seed = int.from_bytes(digest.digest(), "big")
        return self.inner.extract(recording(sound, sample_rate, seed=seed), sample_rate)
