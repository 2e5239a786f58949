"""Pitch and voice features against planted tones, levels and pauses."""

import numpy as np
import pytest

from duetto.errors import AudioError
from duetto.features import pitch, short_term, voice

RATE = 16_000
VOICE = voice.VoiceConfig()


def buzz(hertz: float | np.ndarray, seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    """Five harmonics of a fundamental, falling like 1 / k."""
    n = round(seconds * rate)
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(hertz, n)) / rate
    return sum(0.1 * np.sin(k * phase + k) / k for k in range(1, 6)).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100])
@pytest.mark.parametrize("hertz", [70, 110, 150, 220, 330, 450])
def test_a_periodic_sound_has_its_pitch_in_every_frame(hertz: float, rate: int) -> None:
    found = pitch.track(buzz(hertz, rate=rate), rate)
    # A 40 ms window holds under three periods of 70 Hz: the parabola then errs most.
    np.testing.assert_allclose(found.hertz, hertz, rtol=5e-3)
    assert found.periodicity.min() > 0.9


def test_noise_and_silence_have_no_period() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    assert pitch.track(noise, RATE).periodicity.max() < voice.VOICED_PERIODICITY
    assert not pitch.track(np.zeros(RATE, np.float32), RATE).periodicity.any()


def test_periodicity_is_the_share_that_repeats() -> None:
    """Noise at 0 dB below a tone: half of the energy repeats."""
    tone = buzz(200, 4)
    noise = np.random.default_rng(1).normal(0, tone.std(), len(tone)).astype(np.float32)
    # Single frames of 40 ms scatter by some 0.1, and the best of many lags is a little too good; 4 s of them do not.
    assert pitch.track(tone + noise, RATE).periodicity.mean() == pytest.approx(0.5, abs=0.06)


def test_pitch_column_is_octaves_above_200_hz_and_unvoiced_frames_have_the_median() -> None:
    noise = np.random.default_rng(0).normal(0, 0.05, RATE).astype(np.float32)
    columns = VOICE.extract(np.concatenate((buzz(100), noise)), RATE)
    np.testing.assert_allclose(columns[:, 0], -1.0, atol=0.02)
    np.testing.assert_array_equal(columns[:9, 2], 1)
    np.testing.assert_array_equal(columns[11:, 2], 0)


def test_range_within_a_frame_is_that_of_a_glide() -> None:
    """One octave a second: 0.1 octaves a frame, of which 10 to 90 % are some 0.08."""
    columns = VOICE.extract(buzz(150 * 2 ** (np.arange(RATE) / RATE)), RATE)
    np.testing.assert_allclose(columns[1:-1, 1], 0.08, atol=0.015)


def test_gain_changes_nothing() -> None:
    speech = buzz(120) * np.linspace(0.2, 1, RATE, dtype=np.float32)
    # float32 spectra of samples whose rounding differs
    np.testing.assert_allclose(VOICE.extract(speech * 0.125, RATE), VOICE.extract(speech, RATE), atol=2e-3)


def test_soft_frames_are_left_out() -> None:
    """0.5 s of sound 40 dB below the rest, in frames 10 to 14."""
    quiet = buzz(120, 0.5) * np.float32(0.01)
    signal = np.concatenate((buzz(120), quiet, buzz(120)))
    columns = VOICE.extract(signal, RATE)
    assert len(columns) == 20 and columns[:, 4].min() > voice.FLOOR_DECIBELS


def test_taken_columns_are_the_short_term_ones() -> None:
    noise = np.random.default_rng(2).normal(0, 0.1, RATE).astype(np.float32)
    columns, base = VOICE.extract(noise, RATE), short_term.extract(noise, RATE)
    for name in ("energy_entropy", "zcr", "mfcc_2", "mfcc_6"):
        np.testing.assert_allclose(columns[:, voice.NAMES.index(name)], base[:, short_term.NAMES.index(name)])


@pytest.mark.parametrize("n", [1, 2, 159, 1600, 1601, 3333])
@pytest.mark.parametrize("level", [0.0, 0.1])
def test_every_length_has_an_answer(n: int, level: float) -> None:
    samples = np.random.default_rng(n).normal(0, 1, n).astype(np.float32) * np.float32(level)
    columns = VOICE.extract(samples, RATE)
    assert columns.ndim == 2 and len(columns) >= 1 and columns.shape[1] == len(voice.NAMES)
    assert np.isfinite(columns).all()


def test_a_rate_too_low_is_refused() -> None:
    with pytest.raises(AudioError, match="pitch needs at least 2000 samples a second, not 1000"):
        pitch.track(np.ones(100, np.float32), 1000)
