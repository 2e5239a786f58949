"""A transformer of scikit-learn: recordings in, one vector each out.

    make_pipeline(SpeechFeatures("whisper-voice"), StandardScaler(), LogisticRegression()).fit(files, labels)

Importing this module needs scikit-learn (extra `train`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np

from .. import audio
from ..errors import AudioError, ConfigurationError, MissingExtraError
from ..utils import parallel
from .extractor import pooled, pooled_names
from .registry import FeatureSpec, feature_spec

try:
    from sklearn.base import BaseEstimator, TransformerMixin
except ImportError as error:
    raise MissingExtraError("A transformer of scikit-learn", "train") from error

EMBEDDING = "whisper-voice"
"""The features of the model that answers by default (`inference.pretrained.DEFAULT`)."""


class SpeechFeatures(TransformerMixin, BaseEstimator):
    """Computes one vector for each recording; nothing is fitted.

    Args:
        features: A name of `features.registry.FEATURES`, or `KIND:FOLDER`. Features of whole recordings
            (`functionals`, `whisper-voice`, …) are taken as they are; of others, such as the 34 of `corrected`, mean
            and standard deviation over time.
        n_jobs: Recordings at a time, in threads; −1 for one on each core.

    Attributes:
        features: As given.
        n_jobs: As given.
    """

    def __init__(self, features: str = EMBEDDING, *, n_jobs: int = 1) -> None:
        self.features = features
        self.n_jobs = n_jobs

    def fit(self, X: Iterable[audio.Source], y: Any = None) -> SpeechFeatures:
        """Check the name of the features.

        Args:
            X: Not read.
            y: Not read.

        Returns:
            The transformer.

        Raises:
            ConfigurationError: There are no such features.
        """
        feature_spec(self.features)
        return self

    def transform(self, X: Iterable[audio.Source]) -> np.ndarray:
        """Compute the vectors of recordings.

        Args:
            X: (n,) recordings: a list, array or series of paths, or of other forms that `audio.load` takes.

        Returns:
            (n, d) float32, columns `get_feature_names_out()`.

        Raises:
            AudioError: A recording cannot be read or analysed.
            ConfigurationError: There are no such features, or `X` is no list of recordings.
        """
        shape = getattr(X, "shape", (0,))
        if isinstance(X, str | bytes) or not isinstance(X, Iterable) or len(shape) != 1:
            what = f"{type(X).__name__}{f' of shape {shape}' if len(shape) != 1 else ''}"
            raise ConfigurationError(f"X is a {what}; give a list of recordings, such as paths")
        workers = parallel.cores() if self.n_jobs == -1 else self.n_jobs
        compute = partial(_vector, feature_spec(self.features))
        rows = list(parallel.in_order(compute, X, workers=workers, crashed=compute))
        return np.stack(rows) if rows else np.empty((0, len(self.get_feature_names_out())), np.float32)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Name the columns.

        Args:
            input_features: Not read.

        Returns:
            (d,) strings.

        Raises:
            ConfigurationError: There are no such features.
        """
        spec = feature_spec(self.features)
        return np.array(spec.columns if spec.whole_recording else pooled_names(spec.columns), dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.one_d_array, tags.input_tags.string = False, True, True
        tags.no_validation, tags.requires_fit = True, False
        return tags


def _vector(spec: FeatureSpec, source: audio.Source) -> np.ndarray:
    waveform = audio.load(source)
    try:
        frames = spec.extractor.extract(waveform.samples, waveform.sample_rate)
    except AudioError as error:
        name = source if isinstance(source, str | os.PathLike) else "a recording"
        raise AudioError(f"{name}: {error}") from error
    return np.asarray(frames[0] if spec.whole_recording else pooled(frames), np.float32)
