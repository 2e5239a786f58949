"""What a voice does over a recording, against planted glides, levels, spectra and noise."""

import tracemalloc

import numpy as np
import pytest

from duetto.audio import augment
from duetto.features import pitch, prosody, voice

RATE = 16_000


def tones(hertz: float | np.ndarray, amplitudes: dict[int, float], seconds: float = 1.0) -> np.ndarray:
    """Harmonics k of a fundamental, with these amplitudes."""
    n = round(seconds * RATE)
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(hertz, n)) / RATE
    return sum(a * np.sin(k * phase + k) for k, a in amplitudes.items()).astype(np.float32)


RICH = {k: 0.1 / k for k in range(1, 21)}


def whole(samples: np.ndarray) -> dict[str, float]:
    """The eight values by name, as the voice features hold them."""
    columns = voice.VoiceConfig().extract(samples, RATE)[:, -len(prosody.NAMES) :]
    np.testing.assert_array_equal(columns, np.broadcast_to(columns[0], columns.shape))
    return dict(zip(prosody.NAMES, columns[0].tolist(), strict=True))


def alternating(loud: np.ndarray, soft: np.ndarray) -> np.ndarray:
    """Half a second of each in turn, six times."""
    return np.tile(np.concatenate((loud[: RATE // 2], soft[: RATE // 2])), 3)


def test_drift_is_that_of_a_glide_and_of_a_fall_in_level() -> None:
    """Over 3 s an octave up and 15 dB down: the middles of the outer thirds are two thirds of it apart."""
    course = np.arange(3 * RATE) / (3 * RATE)
    falling = tones(150 * 2**course, RICH, 3) * (10 ** (-15 * course / 20)).astype(np.float32)
    found = whole(falling)
    # Harmonics pass the window as pitch rises, and scatter its level by some tenths of a decibel.
    assert found["pitch_drift"] == pytest.approx(2 / 3, abs=0.01)
    assert found["level_drift"] == pytest.approx(-10, abs=0.3)
    assert found["pitch_level_correlation"] == pytest.approx(-1, abs=0.02)
    assert found["pitch_with_level"] == pytest.approx(-0.67, abs=0.02)


@pytest.mark.parametrize("high_first", [True, False])
def test_pitch_that_goes_with_level(high_first: bool) -> None:
    """200 and 150 Hz, one of them 12 dB louder."""
    high, low = tones(200, RICH), tones(150, RICH)
    found = whole(alternating(high, low / 4) if high_first else alternating(low, high / 4))
    sign = 1 if high_first else -1
    assert found["pitch_with_level"] == pytest.approx(sign * np.log2(200 / 150), abs=0.01)
    # Parts across a change have levels and pitches in between.
    assert found["pitch_level_correlation"] == pytest.approx(sign, abs=0.05)


def test_a_monotone_has_no_correlation() -> None:
    loudness = (1 + 0.5 * np.sin(2 * np.pi * 3 * np.arange(2 * RATE) / RATE)).astype(np.float32)
    assert abs(whole(tones(150, RICH, 2) * loudness)["pitch_level_correlation"]) < 0.1


@pytest.mark.parametrize("slope", [0.0, 3.0, -3.0])
def test_balances_of_loud_against_soft_parts(slope: float) -> None:
    """At 200 Hz harmonics 1, 2 and 10 lie one in each band: the differences follow from their amplitudes.

    Also behind a microphone that favours high or low tones, by so many decibels an octave: of the loudest and softest
    parts alike, so that the balance of two harmonics changes by nothing.
    """
    loud, soft = np.array((0.2, 0.2, 0.1)), np.array((0.04, 0.01, 0.002))
    signal = alternating(*(tones(200, dict(zip((1, 2, 10), x, strict=True))) for x in (loud, soft)))
    found = whole(augment.tilt(signal, RATE, slope))
    first, second, third = np.square(np.array((loud, soft)) * 10 ** (slope * np.log2((0.2, 0.4, 2.0)) / 20)).T
    low, tilt = (10 * np.log10(x[0] / x[1]) for x in (first / second, (first + second) / third))
    # The skirts of a Hann window carry a little of one band into the next.
    assert found["low_with_level"] == pytest.approx(low, abs=0.1)
    assert low == pytest.approx(20 * np.log10((0.2 / 0.2) / (0.04 / 0.01)))
    assert found["tilt_with_level"] == pytest.approx(tilt, abs=0.15)
    assert found["pitch_drift"] == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("gain", [0.125, 0.1, 0.05])
def test_gain_changes_nothing(gain: float) -> None:
    noise = np.random.default_rng(0).normal(0, 0.003, 2 * RATE)
    speech = (tones(120 * 2 ** (0.5 * np.sin(np.arange(2 * RATE) / RATE)), RICH, 2) + noise).astype(np.float32)
    # float32 rounds the samples anew where the gain is no power of two: 1e-7 of each
    assert whole(speech * np.float32(gain)) == pytest.approx(whole(speech), abs=1e-3)


def test_prominence_falls_as_noise_rises() -> None:
    noise = np.random.default_rng(1).normal(0, 1, RATE).astype(np.float32)
    clear = tones(150, RICH)
    found = [whole(clear + np.float32(level) * noise)["prominence"] for level in (0.0, 0.003, 0.01, 0.03)]
    assert found == sorted(found, reverse=True) and found[0] - found[-1] > 5


def test_prominence_is_the_residual_of_a_straight_line() -> None:
    """Against numpy's own line through the values of every row."""
    cepstrum = np.random.default_rng(2).normal(0, 1, (3, 1024))
    first, last = RATE // 400, round(RATE / 60)
    level = 20 * np.log10(np.abs(cepstrum[:, first : last + 1]) + 1e-3)
    quefrency = np.arange(first, last + 1) / RATE
    expected = [(row - np.polyval(np.polyfit(quefrency, row, 1), quefrency)).max() for row in level]
    np.testing.assert_allclose(prosody.peak_prominence(cepstrum, RATE), expected, rtol=1e-9)


def test_short_voiced_stretches_do_not_count() -> None:
    """Of a mask's runs those of five parts and more stay; without any, all loud parts count."""
    mask = np.array([1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 0, 1], bool)
    np.testing.assert_array_equal(np.flatnonzero(prosody.sustained(mask)), range(5, 10))
    hiss = np.random.default_rng(3).normal(0, 0.1, RATE).astype(np.float32)
    found = whole(hiss)
    assert np.isfinite(list(found.values())).all() and found["prominence"] > 0


def test_smoothing_removes_single_octave_errors_within_a_run_only() -> None:
    values = np.array([0, 0, 1, 0, 0, 9, 3, 3, 3, 3, 2], float)
    mask = np.array([1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1], bool)
    expected = [0, 0, 0, 0, 0, 9, 3, 3, 3, 3, 2]
    np.testing.assert_array_equal(prosody.smoothed(values, mask), expected)


def test_silence_has_no_prosody() -> None:
    """Neither has what is as good as silence: rounding, the dither of 24 bits."""
    dither = np.random.default_rng(4).choice((-1.0, 0.0, 1.0), RATE) * 2.0**-23
    for silence in (np.zeros(RATE, np.float32), np.full(RATE, 0.1), dither.astype(np.float32)):
        assert not any(whole(silence).values())


def test_working_memory_does_not_grow_with_the_recording() -> None:
    peaks = []
    for minutes in (1, 4):
        samples = tones(150, RICH, 60 * minutes)
        track = pitch.track(samples, RATE)
        mask = np.ones(len(track.level), bool)
        tracemalloc.start()
        prosody.extract(samples, RATE, track, mask, mask)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # Some ten numbers for each of the 18 000 parts more, and not the 92 MB of their windows.
    assert peaks[1] - peaks[0] < 18_000 * 8 * 16 and peaks[1] < 8_000_000


def test_equally_loud_parts_are_not_ranked_by_rounding() -> None:
    """Worked by hand: all levels equal, so every part is among the loudest and the softest, and nothing rises."""
    rng = np.random.default_rng(0)
    equal = np.full(50, -20.0)
    moved = np.nextafter(equal, equal + rng.integers(-1, 2, 50))
    assert prosody.rise(rng.normal(size=50), moved) == 0
