"""Systems that read speech only: silence added to a recording does not change what they predict."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import duetto
from duetto import audio
from duetto.audio.pauses import keep_speech
from duetto.config import experiment
from duetto.data.manifest import read_manifest
from duetto.experiments.runner import run_systems
from duetto.experiments.workspace import Workspace
from duetto.features.registry import FEATURES, feature_spec
from duetto.features.speech_only import SpeechOnly
from sounds import RATE, no_voices, voice

TOLERANCE = 0.02
"""Of a probability: the frames at the ends of speech hold up to 20 ms of one silence or the other."""

SILENCES = {"digital": 0.0, "dithered": 2.0**-15, "low noise": 3e-4}
"""Amplitudes of uniform noise."""


@pytest.mark.parametrize("name", FEATURES)
def test_the_features_are_those_of_the_speech_and_have_a_key_of_their_own(name: str) -> None:
    plain, spec = feature_spec(name), feature_spec(name, speech_only=True)
    signal = np.concatenate((np.zeros(RATE, np.float32), voice(), np.zeros(RATE, np.float32)))
    np.testing.assert_array_equal(
        spec.extractor.extract(signal, RATE), plain.extractor.extract(keep_speech(signal), RATE)
    )
    key = json.loads(spec.extractor.key())
    assert key["inner"] == plain.extractor.key() and key["longest_pause"] == 0.2
    assert not spec.local and spec.dim == plain.dim


def test_segments_that_were_found_before_give_the_same_features() -> None:
    extractor = feature_spec("corrected", speech_only=True).extractor
    assert isinstance(extractor, SpeechOnly)
    signal = np.concatenate((np.zeros(RATE, np.float32), voice()))
    found = extractor.extract_segments(signal, RATE, audio.activity.detect_speech(signal))
    np.testing.assert_array_equal(found, extractor.extract(signal, RATE))


@pytest.mark.parametrize("name", FEATURES)
def test_a_recording_without_speech_has_features_for_training(name: str) -> None:
    spec = feature_spec(name, speech_only=True)
    assert spec.extractor.extract(no_voices()["white noise"], RATE).shape[1] == spec.dim


PAPER = ("acoustic", "fusion-word2vec", "fusion-speech2vec", "mcnn", "spectrogram-cnn", "acoustic-portable")


def test_the_papers_systems_read_whole_recordings() -> None:
    assert not any(experiment.load(name).speech_only for name in PAPER)


@pytest.fixture(scope="module")
def run(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A quickly trained system that reads speech only."""
    folder = tmp_path_factory.mktemp("speech-only")
    small = {"hidden": 8, "dense": 8, "epochs": 2, "speech_only": True}
    system = experiment.load("acoustic", **small)
    run_systems([system], read_manifest(manifest), "session5", [folder / "run"], Workspace(folder / "cache"))
    return folder / "run"


def silence(kind: str, seconds: float) -> np.ndarray:
    noise = np.random.default_rng(7).uniform(-1, 1, round(seconds * RATE))
    return (SILENCES[kind] * noise).astype(np.float32)


@given(st.sampled_from(sorted(SILENCES)), st.floats(0.5, 5), st.sampled_from([0, 2, 4]), st.integers(0, 3))
@settings(max_examples=20, deadline=None)
def test_added_silence_changes_no_probability(
    run: Path, manifest: Path, kind: str, seconds: float, place: int, which: int
) -> None:
    """Before, within or after two utterances of the corpus with a pause of 0.6 s between them."""
    recogniser = duetto.load(run)
    first, second = (audio.load(u.audio).samples for u in read_manifest(manifest)[2 * which : 2 * which + 2])
    pause = silence("low noise", 0.3)
    parts = [first, pause, pause, second]
    plain = recogniser({"waveform": np.concatenate(parts), "sample_rate": RATE})
    parts.insert(place, silence(kind, seconds))
    longer = recogniser({"waveform": np.concatenate(parts), "sample_rate": RATE})
    assert longer.duration == pytest.approx(plain.duration + seconds, abs=1e-3)
    assert longer.speech_seconds == pytest.approx(plain.speech_seconds, abs=0.3)
    np.testing.assert_allclose(list(longer.probabilities.values()), list(plain.probabilities.values()), atol=TOLERANCE)


def test_prediction_equals_evaluation(run: Path, manifest: Path) -> None:
    """Training, evaluation and prediction cut alike."""
    from duetto import runs

    result = runs.result_of(run)
    recogniser = duetto.load(run)
    by_id = {u.id: u for u in read_manifest(manifest)}
    for row, name in enumerate(result.ids[:4]):
        probabilities = list(recogniser(by_id[str(name)].audio).probabilities.values())
        # float32 in two libraries
        np.testing.assert_allclose(probabilities, result.calibrated[0, row], atol=1e-4)
