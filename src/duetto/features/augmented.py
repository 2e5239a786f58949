"""Features of a changed copy of each recording, for training data.

Augmented(extractor, copy, seed) ─ extract ─▶ the features of a changed copy, for a `FeatureStore`
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np

from ..audio.augment import recording
from ..audio.signal import as_float
from .store import Extractor

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Augmented:
    """An extractor that hears `recording` number `copy` of every utterance.

    inner: what extracts the features. copy, seed: with the samples themselves they decide what is drawn, so
    the copies of an utterance differ, and so do equal copies of two utterances.
    """

    inner: Extractor
    copy: int
    seed: int = 0

    def key(self) -> str:
        """Canonical JSON that changes whenever the numbers can change."""
        own = {"extractor": "augmented", "version": _VERSION, "copy": self.copy, "seed": self.seed}
        return json.dumps(own | {"inner": self.inner.key()}, sort_keys=True)

    def extract(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """(n,) samples → the inner extractor's (frames, dim) of their changed copy."""
        sound = as_float(samples)
        digest = hashlib.blake2b(repr((self.seed, self.copy)).encode(), digest_size=8)
        digest.update(np.ascontiguousarray(sound, np.float32).tobytes())
        seed = int.from_bytes(digest.digest(), "big")
        return self.inner.extract(recording(sound, sample_rate, seed=seed), sample_rate)
