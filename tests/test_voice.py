"""Pitch and voice features against planted tones, levels and pauses."""

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from duetto.errors import AudioError
from duetto.features import pitch, short_term, voice
from duetto.features._windows import BLOCK, Windows

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


@pytest.mark.parametrize("gain", [8, 0.125, 0.1])
def test_gain_changes_nothing(gain: float) -> None:
    """The loudest 40 ms, at −22 dB, stay above −45 dB."""
    speech = buzz(120) * np.linspace(0.2, 1, RATE, dtype=np.float32)
    # float32 rounds the samples anew where the gain is no power of two: 1e-7 of each
    changed = VOICE.extract(speech * np.float32(gain), RATE)
    np.testing.assert_allclose(changed, VOICE.extract(speech, RATE), atol=1e-3)


def test_what_lies_below_the_floor_has_no_period() -> None:
    """−21 dB of full scale, turned down by 120 dB: below −120 dB. By 80 dB: above."""
    assert not pitch.track(buzz(120) * np.float32(1e-6), RATE).periodicity.any()
    assert pitch.track(buzz(120) * np.float32(1e-4), RATE).periodicity.min() > 0.9


def test_soft_frames_are_left_out() -> None:
    """0.5 s of sound 40 dB below the rest, in frames 10 to 14."""
    quiet = buzz(120, 0.5) * np.float32(0.01)
    signal = np.concatenate((buzz(120), quiet, buzz(120)))
    columns = VOICE.extract(signal, RATE)
    assert len(columns) == 20 and columns[:, 4].min() > voice.FLOOR_DECIBELS


def test_one_loud_event_drops_the_speech_around_it() -> None:
    """A known limit: half a frame of sound 40 dB above the rest leaves its own frame alone."""
    signal = buzz(120) * np.float32(0.01)
    signal[5 * 1600 : 5 * 1600 + 800] *= 100
    assert len(VOICE.extract(signal, RATE)) == 1


def test_silence_keeps_all_its_frames() -> None:
    columns = VOICE.extract(np.zeros(RATE, np.float32), RATE)
    assert columns.shape == (10, 25) and not columns[:, :5].any()


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
    with pytest.raises(AudioError, match="pitch needs a sample rate of at least 2000 Hz, not 1000"):
        pitch.track(np.ones(100, np.float32), 1000)


@pytest.mark.parametrize("function", [pitch.track, VOICE.extract])
@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(0, np.float32), "no samples"),
        (np.zeros((2, 1600)), r"not float64 of shape \(2, 1600\)"),
        (np.zeros(1600, np.int64), "int16, not int64"),
        (np.array([0.0, np.nan]), "NaN or infinity"),
        (np.array([0.0, np.inf]), "NaN or infinity"),
        (np.full(1600, 30_000.0), "samples reach 30000, but full scale is ±1"),
    ],
)
def test_samples_that_cannot_be_analysed(function: Callable[..., object], samples: np.ndarray, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        function(samples, RATE)


def test_16_bit_samples_count_as_their_share_of_full_scale() -> None:
    whole = np.round(buzz(120) * 32768).astype(np.int16)
    # Division by a power of two is exact.
    for found, expected in zip(pitch.track(whole, RATE), pitch.track(whole / 32768, RATE), strict=True):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(VOICE.extract(whole, RATE), VOICE.extract(whole / 32768, RATE))


def test_a_frame_does_not_depend_on_its_block() -> None:
    samples = np.random.default_rng(3).normal(0, 0.1, 1100 * 160).astype(np.float32)
    whole = pitch.track(samples, RATE)
    assert len(whole.level) == 1097
    for t in (0, 63, 64, 1096):
        alone = pitch.track(samples[160 * t : 160 * t + 640], RATE)
        # FFTs of one row and of many may add in another order.
        np.testing.assert_allclose([x[0] for x in alone], [x[t] for x in whole], rtol=1e-9)


def test_windows_have_the_spectra_of_single_ones_in_blocks_of_any_fill() -> None:
    """Also after a fuller block, whose arrays they share."""
    signal = np.random.default_rng(5).normal(0, 1, 64 * 100).astype(np.float32)
    cut = np.lib.stride_tricks.sliding_window_view(signal, 64)[::64]
    work = Windows(cut, 0.5, 128)
    for which in (slice(0, BLOCK), slice(BLOCK, 2 * BLOCK), np.array([7, 3, 99])):
        centred = work.centred(which)
        expected = 0.5 * cut[which].astype(float)
        expected -= expected.mean(1, keepdims=True)
        np.testing.assert_allclose(centred, expected, atol=1e-12)
        power = work.power(centred)
        np.testing.assert_allclose(power, np.abs(np.fft.fft(expected, 128)[:, :65]) ** 2, atol=1e-10)
        correlation = [np.correlate(x, x, "full")[63:] for x in expected]
        np.testing.assert_allclose(work.inverse(power)[:, :64], correlation, atol=1e-10)


def test_working_memory_does_not_grow_with_the_recording() -> None:
    peaks = []
    for minutes in (1, 4):
        samples = np.random.default_rng(4).normal(0, 0.1, minutes * 60 * RATE).astype(np.float32)
        pitch.track(samples[:RATE], RATE)  # the window's table
        tracemalloc.start()
        result = pitch.track(samples, RATE)
        peaks.append(tracemalloc.get_traced_memory()[1] - sum(x.nbytes for x in result))
        tracemalloc.stop()
    # A block of 64 frames; the longer recording has 15 MB, and 31 MB as float64.
    assert peaks[1] < peaks[0] + 100_000 and peaks[1] < 4_000_000
