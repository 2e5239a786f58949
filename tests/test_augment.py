"""Augmentation: every transform against a signal for which the answer is known."""

import json

import numpy as np
import pytest

from duetto.audio import augment, transmission
from duetto.errors import AudioError, ConfigurationError
from duetto.features import augmented
from duetto.features.short_term import ShortTermConfig

RATE = 16_000
TIME = np.arange(2 * RATE) / RATE
TONE = (0.1 * np.sin(2 * np.pi * 440 * TIME)).astype(np.float32)
NOISE = np.random.default_rng(0).normal(0, 0.1, 2 * RATE).astype(np.float32)


def decibels(a: np.ndarray, b: np.ndarray) -> float:
    return 10 * float(np.log10(np.mean(a.astype(np.float64) ** 2) / np.mean(b.astype(np.float64) ** 2)))


def peak_hertz(samples: np.ndarray) -> float:
    return float(np.abs(np.fft.rfft(samples)).argmax() * RATE / len(samples))


def test_gain_is_exact() -> None:
    np.testing.assert_allclose(augment.gain(TONE, 20.0), 10 * TONE, rtol=1e-6)


@pytest.mark.parametrize("ratio", [0.9, 1.1, 1.25])
def test_speed_moves_length_and_pitch_by_one_ratio(ratio: float) -> None:
    faster = augment.speed(TONE, RATE, ratio)
    assert len(faster) == pytest.approx(len(TONE) / ratio, abs=2)
    # A bin of the spectrum is about half a hertz wide.
    assert peak_hertz(faster) == pytest.approx(440 * ratio, abs=1)


@pytest.mark.parametrize("snr", [-5.0, 0.0, 20.0])
@pytest.mark.parametrize("colour", [0.0, 1.0, 2.0])
def test_noise_has_the_requested_ratio(snr: float, colour: float) -> None:
    noisy = augment.add_noise(TONE, RATE, snr, colour=colour, seed=3)
    assert decibels(TONE, noisy - TONE) == pytest.approx(snr, abs=0.01)  # float32


@pytest.mark.parametrize("snr", [-5.0, 0.0, 20.0])
def test_another_sound_is_added_at_the_requested_ratio_and_repeated(snr: float) -> None:
    short = NOISE[:5000]
    mixed = augment.add_sound(TONE, short, snr)
    added = mixed - TONE
    assert decibels(TONE, added) == pytest.approx(snr, abs=0.01)
    np.testing.assert_allclose(added[5000:10_000], added[:5000], atol=1e-6)
    np.testing.assert_array_equal(augment.add_sound(TONE, np.zeros(9, np.float32), snr), TONE)


def test_babble_has_every_voice_at_one_level() -> None:
    """Two tones of very different level are equal parts of the mixture, and none of it depends on their length."""
    soft = (1e-3 * np.sin(2 * np.pi * 1000 * TIME[:RATE])).astype(np.float32)
    mixed = augment.babble([TONE, soft], 2 * RATE, seed=4)
    power = np.abs(np.fft.rfft(mixed)) ** 2
    assert len(mixed) == 2 * RATE and power[2000] == pytest.approx(power[880], rel=0.01)
    np.testing.assert_array_equal(mixed, augment.babble([TONE, soft], 2 * RATE, seed=4))
    assert np.abs(mixed - augment.babble([TONE, soft], 2 * RATE, seed=5)).max() > 0.01
    with pytest.raises(ConfigurationError, match="babble needs recordings"):
        augment.babble([], RATE)


def test_clipping_leaves_the_given_share_at_the_limit() -> None:
    out = augment.clip(NOISE, 0.05)
    limit = np.abs(out).max()
    assert np.mean(np.abs(out) >= limit) == pytest.approx(0.05, abs=1e-3)
    below = np.abs(NOISE) < limit
    np.testing.assert_array_equal(out[below], NOISE[below])
    # Of normal samples, 5 % lie beyond 1.96 deviations.
    assert limit == pytest.approx(1.96 * 0.1, rel=0.03)
    with pytest.raises(ConfigurationError, match="share = 1 is not valid"):
        augment.clip(NOISE, 1)


def test_silence_is_put_before_the_recording() -> None:
    out = augment.lead_in(TONE, RATE, 0.5)
    assert not out[:8000].any()
    np.testing.assert_array_equal(out[8000:], TONE)
    with pytest.raises(ConfigurationError, match="lead-in = -1 s is not valid"):
        augment.lead_in(TONE, RATE, -1)


def test_coloured_noise_falls_by_its_slope() -> None:
    """Brown noise has 20 dB less power a decade: mean power in octave bands a decade apart."""
    noise = augment.add_noise(TONE, RATE, -60.0, colour=2.0, seed=1) - TONE
    power = np.abs(np.fft.rfft(noise)) ** 2
    hertz = np.fft.rfftfreq(len(noise), 1 / RATE)
    low, high = (power[(hertz > f / 1.4) & (hertz < f * 1.4)].mean() for f in (200, 2000))
    # At least 280 bins of independent exponentials in the lower band: a deviation of 0.3 dB.
    assert 10 * np.log10(low / high) == pytest.approx(20, abs=1)


def test_a_band_keeps_what_is_inside_and_nothing_outside() -> None:
    outside = augment.band(NOISE, RATE, 300, 3400)
    power, hertz = np.abs(np.fft.rfft(outside)) ** 2, np.fft.rfftfreq(len(outside), 1 / RATE)
    before = np.abs(np.fft.rfft(NOISE)) ** 2
    inside = (hertz >= 300) & (hertz <= 3400)
    np.testing.assert_allclose(power[inside], before[inside], rtol=1e-3)
    beyond = (hertz < 300 / 1.1) | (hertz > 3400 * 1.1)
    assert power[beyond].max() < 1e-8 * before.max()


@pytest.mark.parametrize(("hertz", "expected"), [(250, -6), (1000, 0), (4000, 6)])
def test_tilt_is_its_slope_an_octave(hertz: float, expected: float) -> None:
    tone = np.sin(2 * np.pi * hertz * TIME).astype(np.float32)
    assert decibels(augment.tilt(tone, RATE, 3.0), tone) == pytest.approx(expected, abs=0.01)


def test_a_room_decays_by_60_db_in_its_time() -> None:
    """The response to a click: by Schroeder's backward integral its energy falls 60 dB in the time given."""
    click = np.zeros(RATE, np.float32)
    click[0] = 1
    response = augment.reverberate(click, RATE, 0.5, seed=2).astype(np.float64)
    assert np.mean(response**2) == pytest.approx(1 / RATE, rel=1e-3)
    tail = response[1:]
    assert response[0] ** 2 / (tail**2).sum() == pytest.approx(1, rel=1e-3)  # direct sound at 0 dB
    decay = 10 * np.log10(np.cumsum(tail[::-1] ** 2)[::-1][: RATE // 4])
    slope = np.polyfit(np.arange(len(decay)) / RATE, decay, 1)[0]
    assert slope == pytest.approx(-60 / 0.5, rel=0.05)


def test_equal_seeds_give_equal_recordings_and_others_differ() -> None:
    one, again, other = (augment.recording(NOISE, RATE, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert len(one) != len(other) or np.abs(one - other).max() > 0.01
    assert one.dtype == np.float32


@pytest.mark.parametrize("samples", [np.zeros(1, np.float32), np.zeros(RATE, np.float32), NOISE[:2], NOISE[:999]])
def test_silence_and_very_short_samples_pass(samples: np.ndarray) -> None:
    for seed in range(20):
        out = augment.recording(samples, RATE, seed=seed)
        assert len(out) and np.isfinite(out).all()


class Extractor:
    """An extractor whose features are the samples themselves."""

    def key(self) -> str:
        return "{}"

    def extract(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        return samples[:, None]


def test_copies_differ_between_copies_and_utterances_but_never_between_runs() -> None:
    first, second = (augmented.Augmented(ShortTermConfig(), copy) for copy in (0, 1))
    np.testing.assert_array_equal(first.extract(NOISE, RATE), first.extract(NOISE, RATE))
    assert first.key() != second.key() and json.loads(first.key())["inner"] == ShortTermConfig().key()
    a, b = first.extract(NOISE, RATE), second.extract(NOISE, RATE)
    assert a.shape != b.shape or np.abs(a - b).max() > 1e-3
    # Another utterance draws another chain: its speed, hence its length, is another.
    augmentation = augmented.Augmented(Extractor(), 0)
    lengths = {len(augmentation.extract(utterance, RATE)) for utterance in (NOISE, TONE, -NOISE, 0.5 * NOISE)}
    assert len(lengths) == 4


def test_errors_state_what_is_valid() -> None:
    with pytest.raises(ConfigurationError, match=r"speed ratio = 3 is not valid; give a number from 0\.5 to 2"):
        augment.speed(TONE, RATE, 3)
    with pytest.raises(ConfigurationError, match="band 400–300 Hz is not valid; give 0 < low < high"):
        augment.band(TONE, RATE, 400, 300)
    with pytest.raises(ConfigurationError, match="reverberation time = 0 s is not valid"):
        augment.reverberate(TONE, RATE, 0)
    with pytest.raises(ConfigurationError, match="reverberation time = inf s is not valid; give a finite number"):
        augment.reverberate(TONE, RATE, np.inf)
    with pytest.raises(ConfigurationError, match="pivot = 0 Hz is not valid; give a number above 0"):
        augment.tilt(TONE, RATE, 3.0, pivot=0)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_settings_are_finite(wrong: float) -> None:
    for call in (
        lambda: augment.gain(TONE, wrong),
        lambda: augment.speed(TONE, RATE, wrong),
        lambda: augment.tilt(TONE, RATE, wrong),
        lambda: augment.tilt(TONE, RATE, 1.0, pivot=wrong),
        lambda: augment.add_noise(TONE, RATE, wrong),
        lambda: augment.add_noise(TONE, RATE, 9.0, colour=wrong),
        lambda: augment.reverberate(TONE, RATE, wrong),
        lambda: augment.reverberate(TONE, RATE, 0.3, direct=wrong),
    ):
        with pytest.raises(ConfigurationError, match=f"{wrong}.* is not valid; give a"):
            call()


TRANSFORMS = {
    "gain": lambda x: augment.gain(x, 3.0),
    "speed": lambda x: augment.speed(x, RATE, 1.1),
    "band": lambda x: augment.band(x, RATE, 300, 3400),
    "tilt": lambda x: augment.tilt(x, RATE, 2.0),
    "add_noise": lambda x: augment.add_noise(x, RATE, 10.0, colour=1.0),
    "reverberate": lambda x: augment.reverberate(x, RATE, 0.3),
    "add_sound": lambda x: augment.add_sound(x, TONE, 10.0),
    "babble": lambda x: augment.babble([x], 100),
    "clip": lambda x: augment.clip(x, 0.1),
    "lead_in": lambda x: augment.lead_in(x, RATE, 0.1),
    "mu_law": transmission.mu_law,
    "low_rate": lambda x: transmission.low_rate(x, RATE, 8000),
    "telephone": lambda x: transmission.telephone(x, RATE),
    "mp3": lambda x: transmission.mp3(x, RATE, 32),
    "recording": lambda x: augment.recording(x, RATE, seed=1),
    "augmented": lambda x: augmented.Augmented(Extractor(), 0).extract(x, RATE),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_samples_that_cannot_be_changed(name: str) -> None:
    for samples, message in (
        (np.zeros(0, np.float32), "no samples"),
        (np.zeros((2, 100)), r"\(n,\) samples needed"),
        (np.array([0.0, np.nan], np.float32), "NaN or infinity"),
        (np.array([0.0, np.inf], np.float32), "NaN or infinity"),
        (np.full(100, 3e4), "full scale is ±1"),
    ):
        with pytest.raises(AudioError, match=message):
            TRANSFORMS[name](samples)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_16_bit_samples_count_as_their_share_of_full_scale(name: str) -> None:
    whole = np.round(TONE * 32768).astype(np.int16)
    as_float = (whole / 32768).astype(np.float32)
    np.testing.assert_array_equal(TRANSFORMS[name](whole), TRANSFORMS[name](as_float))


def test_tilt_and_band_remove_the_mean() -> None:
    shifted = TONE + np.float32(0.1)
    for out in (augment.tilt(shifted, RATE, 2.0), augment.band(shifted, RATE, 100, 3400)):
        assert abs(out.mean(dtype=np.float64)) < 1e-8  # float32 samples of 0.1 round at 4e-9
