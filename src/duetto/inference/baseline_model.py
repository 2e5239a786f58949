"""A fitted baseline as a model folder: the arrays of its scorer in the place of a network.

Baseline, BaselineOutput ─ export_baseline ─▶ baseline.npz, model.json ─ BaselineSession ─▶ logits
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from ..baselines import BASELINES, Baseline, BaselineOutput
from ..baselines.scorer import Scorer
from ..config.experiment import LONGEST, Experiment
from ..errors import ModelError
from ..features.registry import feature_spec
from ..preprocessing import REPAIR, Normaliser, Padded, Preprocessor
from ..utils import files
from ..utils.arrays import read_arrays
from .model_folder import ARRAYS, describe, settings

_ENCODERS: tuple[tuple[Literal["acoustic", "words"], str], ...] = (("acoustic", "frames"), ("words", "words"))

_LIMIT = 512 << 20
"""Bytes of the arrays, unpacked. The support vectors of 100,000 utterances have 100 MB."""


def export_baseline(
    baseline: Baseline, output: BaselineOutput, temperature: float, label_set: str, folder: Path
) -> None:
    """Write `folder`/baseline.npz and model.json.

    Args:
        baseline: What was fitted.
        output: What it fitted.
        temperature: Divides the logits before the softmax; fitted on development data.
        label_set: Of the logits.
        folder: Created where it does not exist.
    """
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **output.scorer.to_arrays())  # pyright: ignore[reportArgumentType]
    experiment = Experiment(
        name=baseline.name,
        title=baseline.title,
        encoders=tuple(encoder for encoder, need in _ENCODERS if need in baseline.needs),
        label_set=label_set,
        normalisation="none",  # the scorer has its own
        max_frames=LONGEST,
        max_words=LONGEST,
    )
    identity = Normaliser.identity(feature_spec(experiment.features).statistics)
    preprocessor = Preprocessor(experiment, identity, output.vocabulary, Normaliser.identity(0))
    files.write_bytes(folder / ARRAYS, buffer.getvalue())
    describe(folder, preprocessor, temperature)


class BaselineSession:
    """The fitted baseline of a model folder; it answers where a `session.Session` does for a network.

    Args:
        folder: Holds baseline.npz and model.json.

    Attributes:
        folder: As given.
        preprocessor: Its vocabulary, and which features it reads.
        temperature: Of the logits, fitted on development data.

    Raises:
        ModelError: A file is missing or damaged, or they are not of one model.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.preprocessor, self.temperature = settings(folder)
        self._scorer = self._read()

    def _read(self) -> Scorer:
        """The scorer, tried on a short input."""
        path, name = self.folder / ARRAYS, self.preprocessor.experiment.name
        if name not in BASELINES:
            raise ModelError(f"{path}: of baseline {name!r}, which this version of duetto does not have; {REPAIR}")
        arrays = read_arrays(path, error=ModelError, limit=_LIMIT, repair=REPAIR)
        try:
            scorer = BASELINES[name].method.scorer.from_arrays(arrays)
            last = np.array([len(self.preprocessor.vocabulary) - 1])
            answer = scorer(np.zeros((2, feature_spec(self.preprocessor.experiment.features).dim), np.float32), last)
            if answer.shape != (len(self.preprocessor.classes),):
                raise ValueError(f"its logits have shape {answer.shape}")
        except (ValueError, IndexError, TypeError) as error:
            raise ModelError(f"{path}: no arrays of baseline {name!r} ({error}); {REPAIR}") from error
        return scorer

    def outputs(self, frames: Padded | None, words: Padded | None) -> np.ndarray:
        """Classify one padded batch; a baseline has no output but logits.

        Args:
            frames: From `Preprocessor.collate`; None for a baseline that reads words only.
            words: From `Preprocessor.collate`; None for a baseline that reads frames only.

        Returns:
            Logits (batch, classes) float32, not yet divided by the temperature.

        Raises:
            ModelError: A logit is not finite.
        """
        parts = [
            [x.values[i, : x.lengths[i]] for i in range(len(x.lengths))] if x is not None else None
            for x in (frames, words)
        ]
        return self.logits_of(*parts)

    def logits_of(self, frames: Sequence[np.ndarray] | None, words: Sequence[np.ndarray] | None) -> np.ndarray:
        """Classify any number of utterances.

        Args:
            frames: `Preprocessor.normalise_frames` of each utterance; None for a baseline that reads words only. One
                without a frame is read as a frame of zeros, as networks read it.
            words: `Preprocessor.ids` of each; None for a baseline that reads frames only.

        Returns:
            Logits (n, classes) float32 in the order of the utterances.

        Raises:
            ModelError: A logit is not finite.
        """
        count = len(frames if frames is not None else words or [])
        silence = np.zeros((1, feature_spec(self.preprocessor.experiment.features).dim), np.float32)
        no_words = np.empty(0, np.int64)
        logits = np.zeros((count, len(self.preprocessor.classes)), np.float32)
        for i in range(count):
            x = silence if frames is None or not len(frames[i]) else frames[i]
            logits[i] = self._scorer(x, no_words if words is None else words[i])
        if not np.isfinite(logits).all():
            raise ModelError(f"{self.folder / ARRAYS}: its logits are not finite; {REPAIR}")
        return logits
