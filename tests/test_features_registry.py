"""The registry of features: one extractor and one line add features to everything that reads the registry."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from duetto import audio
from duetto.config.experiment import load
from duetto.config.model import ModelConfig
from duetto.data.utterance import Utterance
from duetto.errors import ConfigurationError
from duetto.features.extractor import cache_key
from duetto.features.registry import FEATURES, FeatureSpec, feature_spec
from duetto.features.store import extract_corpus


@dataclass(frozen=True)
class LevelConfig:
    """Mean square and peak of every 10 ms."""

    def key(self) -> str:
        return cache_key("level", 1)

    def extract(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        frames = samples[: len(samples) // 160 * 160].reshape(-1, 160)
        return np.column_stack((np.square(frames).mean(1), np.abs(frames).max(1)))


@pytest.mark.parametrize("name", FEATURES)
def test_extractors_fit_the_store_and_their_specification(name: str, tmp_path: Path) -> None:
    samples = np.random.default_rng(0).normal(scale=0.1, size=16_000).astype(np.float32)
    audio.write(tmp_path / "a.wav", samples, 16_000)
    spec = feature_spec(name)
    store = extract_corpus([Utterance("a", tmp_path / "a.wav")], tmp_path / "features", spec.extractor, workers=1)
    frames = 1 if spec.step_seconds is None else round(1 / spec.step_seconds)
    assert spec.whole_recording == (spec.step_seconds is None)
    assert store["a"].shape == (frames, spec.dim) and spec.statistics in (1, spec.dim)


def test_extractors_differ_in_their_keys() -> None:
    assert len({spec.extractor.key() for spec in FEATURES.values()}) == len(FEATURES)


def test_unknown_features_list_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"'mel' are not known; choose from corrected, .*waveform"):
        feature_spec("mel")


def test_one_line_adds_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="features = 'level' is not valid; choose from corrected"):
        load("acoustic", features="level")
    monkeypatch.setitem(FEATURES, "level", FeatureSpec("levels", LevelConfig(), dim=2, step_seconds=0.01))
    experiment = load("acoustic", features="level")
    assert ModelConfig.from_experiment(experiment, word_dim=50).n_features == 2
    audio.write(tmp_path / "a.wav", np.full(1600, 0.5), 16_000)
    spec = feature_spec(experiment.features)
    store = extract_corpus([Utterance("a", tmp_path / "a.wav")], tmp_path / "features", spec.extractor, workers=1)
    np.testing.assert_allclose(store["a"], [[0.25, 0.5]] * 10, atol=1e-3)
