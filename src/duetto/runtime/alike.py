"""Words that a system does not know, read as the known words that sound most like them. No PyTorch.

Word, its MFCC ─ SpokenEncoder ─ nearest by cosine among the sounds of known words ─▶ Word of another spelling
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import ModelError
from ..features.mfcc import word_frames
from ..inputs import REPAIR
from ..utils.reading import shortened
from ..utterance import Word
from ..words import vectors as word_vectors
from ..words.vectors import Vectors
from ..words.vocabulary import normalise
from .session import SpokenEncoder

SOUNDS = "sounds.vec"


@dataclass(frozen=True)
class SoundAlikes:
    """encoder: of spoken words. sounds: word of the training part → mean of its embeddings."""

    encoder: SpokenEncoder
    sounds: Vectors

    @classmethod
    def load(cls, folder: Path, *, threads: int = 1) -> SoundAlikes:
        """What `save` left in a model's folder, beside its encoder."""
        encoder, sounds = SpokenEncoder(folder, threads=threads), word_vectors.load(folder / SOUNDS)
        if sounds.dimension != encoder.dim:
            raise ModelError(
                f"{folder}: {SOUNDS} has vectors of {sounds.dimension} values, the encoder beside it gives "
                f"{encoder.dim}: they are not of one model; {REPAIR}"
            )
        if odd := [word for word in sounds.words if normalise(word) != [word]]:
            raise ModelError(f"{folder / SOUNDS}: {shortened(odd[0])} is no word as duetto writes them; {REPAIR}")
        return cls(encoder, sounds)

    def save(self, folder: Path) -> None:
        """Write the sounds into a model's folder; the encoder's files are copied there by whoever exports it."""
        word_vectors.save(self.sounds, folder / SOUNDS)

    def spelled(self, words: Sequence[Word], mfcc: np.ndarray, known: Container[str]) -> tuple[Word, ...]:
        """The words, each that is not `known` with the spelling of the training word that sounds most like it.

        mfcc: (frames, 13) of the recording. Words without times, or outside the recording, keep their spelling.
        """
        unknown = [i for i, word in enumerate(words) if any(t not in known for t in normalise(word.word))]
        places = {i: word_frames(words[i], len(mfcc)) for i in unknown}
        heard = {i: mfcc[place[0] : place[1]] for i, place in places.items() if place is not None}
        spelled = list(words)
        for i, embedded in zip(heard, self.encoder(list(heard.values())), strict=True):
            spelled[i] = replace(words[i], word=self.sounds.nearest(embedded, 1)[0][0])
        return tuple(spelled)
