"""Functionals: statistics held against NumPy and SciPy, timing against planted patterns, and what changes nothing."""

from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import scipy.stats

from duetto import inference
from duetto.errors import AudioError
from duetto.features import contours, functionals
from duetto.features.contours import Contours
from duetto.features.functionals import NAMES, STATISTICS, TIMING, FunctionalsConfig, statistics, timing
from duetto.features.registry import feature_spec
from duetto.inference.inputs import LONGEST_SECONDS
from test_contours import RATE, vowel

EXTRACT = FunctionalsConfig().extract


def speech(seed: int = 0, seconds: float = 2.0) -> np.ndarray:
    """Vowels and hisses in turn, between pauses, with an f0 and a level that wander."""
    rng = np.random.default_rng(seed)
    parts = []
    while sum(map(len, parts)) < seconds * RATE:
        kind = len(parts) % 4
        n = int(rng.uniform(0.08, 0.3) * RATE)
        if kind == 3:
            parts.append(np.zeros(n // 2))
        elif kind == 1:
            parts.append(0.03 * rng.normal(size=n // 2))
        else:
            second = rng.uniform(1000, 2200)
            shape = (rng.uniform(350, 800), second, second + 900, 3700.0, 4500.0)
            parts.append(rng.uniform(0.3, 1) * vowel(rng.uniform(90, 250), shape)[:n])
    return np.concatenate(parts) + 1e-4 * rng.normal(size=sum(map(len, parts)))


def test_every_value_has_a_name_of_its_own() -> None:
    assert len(NAMES) == len(set(NAMES)) == len(STATISTICS) * len(contours.NAMES) + len(TIMING) == 632
    assert NAMES[:2] == ("level_mean", "f0_mean") and NAMES[-1] == "log_seconds"
    assert set(contours.VOICED_ONLY) < set(contours.NAMES)
    assert feature_spec("functionals").dim == 632 and feature_spec("functionals").whole_recording


@pytest.mark.parametrize("n", [1, 2, 7, 400])
def test_unweighted_statistics_are_those_of_numpy_and_scipy(n: int) -> None:
    values = np.random.default_rng(n).gamma(2.0, 50.0, size=(n, 3))
    found = dict(zip(STATISTICS, statistics(values, np.ones(n)), strict=True))
    np.testing.assert_allclose(found["mean"], values.mean(0), rtol=1e-12)
    np.testing.assert_allclose(found["deviation"], values.std(0), rtol=1e-9, atol=1e-9)
    for p in (5, 20, 50, 80, 95):
        expected = np.percentile(values, p, axis=0, method="hazen")
        np.testing.assert_allclose(found[f"p{p}"], expected, rtol=1e-9, err_msg=str(p))
    np.testing.assert_allclose(found["range_90"], found["p95"] - found["p5"], atol=1e-9)
    np.testing.assert_allclose(found["range_60"], found["p80"] - found["p20"], atol=1e-9)
    if n < 3:
        return
    # The constant that deviations are enlarged by changes them by 2e-5.
    np.testing.assert_allclose(found["skew"], scipy.stats.skew(values), rtol=1e-3, atol=1e-3)
    fourth = scipy.stats.kurtosis(values, fisher=False)
    np.testing.assert_allclose(found["tail"], np.sqrt(fourth), rtol=1e-3)
    time = (np.arange(n) + 0.5) / n
    np.testing.assert_allclose(found["slope"], np.polyfit(time, values, 1)[0], rtol=1e-6)
    late, early = (np.clip(x, 0, 1) for x in ((time - 0.6) / 0.1, (0.4 - time) / 0.1))
    expected = [np.average(column, weights=late) - np.average(column, weights=early) for column in values.T]
    np.testing.assert_allclose(found["drift"], expected, rtol=1e-9)
    change = np.diff(values, axis=0)
    np.testing.assert_allclose(found["step"], np.abs(change).mean(0), rtol=1e-9)
    np.testing.assert_allclose(found["step_deviation"], np.sqrt((change**2).mean(0)), rtol=1e-9)
    np.testing.assert_allclose(found["stride"], np.abs(values[5:] - values[:-5]).mean(0) if n > 5 else 0, rtol=1e-9)


def test_whole_weights_are_repetitions() -> None:
    rng = np.random.default_rng(0)
    values, weights = rng.normal(size=(60, 4)), rng.integers(1, 4, 60)
    found, repeated = statistics(values, weights.astype(float)), np.repeat(values, weights, axis=0)
    expected = statistics(repeated, np.ones(len(repeated)))
    for name in ("mean", "deviation", "skew", "tail"):
        row = STATISTICS.index(name)
        np.testing.assert_allclose(found[row], expected[row], atol=1e-9, err_msg=name)
    for name in ("p5", "p20", "p50", "p80", "p95"):  # the widths that they are averaged over differ
        row = STATISTICS.index(name)
        np.testing.assert_allclose(found[row], expected[row], atol=0.15, err_msg=name)


def test_frames_of_no_weight_change_nothing() -> None:
    rng = np.random.default_rng(0)
    values, weights = rng.normal(size=(50, 3)), rng.uniform(0.1, 1, 50)
    padded = np.concatenate((1e6 * rng.normal(size=(20, 3)), values, 1e6 * rng.normal(size=(30, 3))))
    around = np.concatenate((np.zeros(20), weights, np.zeros(30)))
    np.testing.assert_allclose(statistics(padded, around), statistics(values, weights), atol=1e-8)


def test_nothing_jumps_as_a_weight_vanishes() -> None:
    rng = np.random.default_rng(0)
    values, weights = rng.normal(size=(40, 5)), np.ones(40)
    weights[7] = 0
    without = statistics(values, weights)
    weights[7] = 1e-6
    assert np.abs(statistics(values, weights) - without).max() < 1e-3


def test_a_constant_has_no_skew() -> None:
    values = np.full((100, 1), 3.0) + 1e-5 * np.random.default_rng(0).exponential(size=(100, 1))  # as rounding leaves
    found = dict(zip(STATISTICS, statistics(values, np.ones(100))[:, 0], strict=True))
    assert abs(found["skew"]) < 1e-4 and found["tail"] < 1e-3


def pattern(text: str) -> Contours:
    """Frames of 10 ms: `v` voice, `s` other speech, `-` silence, `h` half speech."""
    weights = {"v": (1, 1), "s": (1, 0), "-": (0, 0), "h": (0.5, 0)}
    found = np.array([weights[c] for c in text], float)
    return Contours(np.zeros((len(text), len(contours.NAMES))), *found.T)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v" * 100, (1, 0, 0, 1, 1, 1, 0, 0)),
        ("s" * 50, (1, 0, 0, 0, 0, 0, 0.5, np.log(0.5))),
        # 1 s: three stretches of voice of 0.2 s, two pauses of 0.15 s, 0.1 s of other speech
        ("v" * 20 + "-" * 15 + "v" * 20 + "s" * 10 + "-" * 15 + "v" * 20, (0.7, 2, 0.15, 0.6, 3, 0.2, 0.1, 0)),
        ("v" * 10 + "hh" + "v" * 10, (21 / 22, 0.5 / 0.22, 0.01, 20 / 22, 2 / 0.22, 0.1, 0.02 / 3, np.log(0.22))),
    ],
)
def test_timing_of_a_pattern(text: str, expected: tuple[float, ...]) -> None:
    """And silence around it changes nothing."""
    for around in ("", "-" * 30):
        found = timing(pattern(around + text + around))
        np.testing.assert_allclose(found, expected, atol=1e-9, err_msg=str(TIMING))


def test_gain_changes_nothing() -> None:
    sound = speech()
    quiet, loud = EXTRACT(sound / 30, RATE), EXTRACT(sound, RATE)
    np.testing.assert_allclose(quiet, loud, rtol=1e-3, atol=2e-3)


def test_silence_around_speech_changes_little() -> None:
    """The frames that straddle an edge of the sound count in part."""
    sound = speech()
    padded = np.concatenate((np.zeros(RATE), sound, np.zeros(RATE)))
    plain, found = (dict(zip(NAMES, EXTRACT(x, RATE)[0], strict=True)) for x in (sound, padded))
    for name in ("mfcc_1_mean", "mfcc_2_deviation", "f0_p50", "hnr_p50", "centroid_mean", "voiced_share"):
        assert found[name] == pytest.approx(plain[name], rel=0.03, abs=0.03), name
    assert found["log_seconds"] == pytest.approx(plain["log_seconds"], abs=0.06)  # 40 ms at either end, in part


def test_integers_are_samples_too() -> None:
    sound = np.round(speech() * 32768 / 4).astype(np.int16)
    np.testing.assert_allclose(EXTRACT(sound, RATE), EXTRACT(sound / 32768, RATE), rtol=1e-5, atol=1e-5)


def test_rounding_turns_no_choice() -> None:
    """A relative error of 1e-12 in every sample is far more than processors differ by in float64, where the best lag
    and the peaks of the envelope are chosen; float32 rounds all else."""
    rng = np.random.default_rng(0)
    for seed in range(3):
        sound = speech(seed)
        found, moved = EXTRACT(sound, RATE), EXTRACT(sound * (1 + 1e-12 * rng.normal(size=len(sound))), RATE)
        np.testing.assert_allclose(moved, found, rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(RATE),
        np.full(RATE, 0.5),
        np.ones(1) * 0.1,
        np.zeros(1),
        np.tile([0.5, -0.5], 3000),
        1e-9 * np.ones(700),
    ],
)
def test_recordings_without_voice_or_length_have_finite_values(samples: np.ndarray) -> None:
    found = EXTRACT(samples, RATE)
    assert found.shape == (1, 632) and found.dtype == np.float32 and np.isfinite(found).all()


def test_hiss_has_no_voice_and_a_vowel_has() -> None:
    place = {name: NAMES.index(name) for name in ("voiced_share", "voiced_seconds", "pause_rate")}
    hiss = EXTRACT(0.1 * np.random.default_rng(0).normal(size=RATE), RATE)[0]
    voice = EXTRACT(vowel(150.0), RATE)[0]
    assert hiss[place["voiced_share"]] < 0.1 and voice[place["voiced_share"]] > 0.95
    assert voice[place["voiced_seconds"]] > 0.9 and voice[place["pause_rate"]] == 0


def test_a_long_recording_is_described_by_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = speech(seconds=3.0)
    monkeypatch.setattr(functionals, "LONGEST_SECONDS", 1.0)
    # 100 frames, the last of which ends 40 ms after it begins.
    np.testing.assert_array_equal(EXTRACT(sound, RATE), EXTRACT(sound[: 99 * 160 + 640], RATE))


def test_training_and_prediction_read_as_much_of_a_recording() -> None:
    assert functionals.LONGEST_SECONDS == LONGEST_SECONDS


@pytest.mark.parametrize("samples", [np.array([0.1, np.nan]), np.zeros(0), np.zeros((2, 5)), np.array([np.inf])])
def test_broken_samples_are_refused(samples: np.ndarray) -> None:
    with pytest.raises(AudioError):
        EXTRACT(samples, RATE)
    with pytest.raises(AudioError, match="contours need 16000 samples a second"):
        EXTRACT(np.zeros(100), 44_100)


def test_a_prediction_reads_the_whole_recording_without_a_warning_about_frames(tmp_path: Path) -> None:
    """A system of whole recordings warns of no frames left out, however long a recording is."""
    import duetto
    from quick_training import train

    recogniser = duetto.load(train("functionals", tmp_path))
    assert recogniser.max_seconds == LONGEST_SECONDS
    sound = np.tile(speech(), 15)
    prediction = recogniser({"waveform": sound.astype(np.float32), "sample_rate": RATE})
    assert not any("analysed" in warning for warning in prediction.warnings)
    assert prediction.duration > 25 and sum(prediction.probabilities.values()) == pytest.approx(1)
    assert inference.Session(tmp_path / "run/fold0-seed0").preprocessor.experiment.most_frames == 1


def test_the_filter_of_the_vowels_is_as_meant() -> None:
    """The planted voice of these tests: its spectrum peaks at its formants."""
    hertz, power = scipy.signal.welch(vowel(100.0, (500.0, 1500.0, 2500.0)), RATE, nperseg=4096)
    for formant in (500, 1500, 2500):
        near = (hertz > formant - 150) & (hertz < formant + 150)
        between = (hertz > formant + 350) & (hertz < formant + 650)
        assert power[near].max() > 10 * power[between].max()
