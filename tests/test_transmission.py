"""Lines and codecs: µ-law against the table of G.711, bands, and the bit rate of MP3."""

import itertools

import numpy as np
import pytest

from duetto.audio import transmission
from duetto.errors import AudioError, ConfigurationError

RATE = 16_000
TIME = np.arange(2 * RATE) / RATE
NOISE = np.random.default_rng(0).normal(0, 0.1, 2 * RATE).astype(np.float32)


def g711_table() -> tuple[np.ndarray, np.ndarray]:
    """Decision values and decoded values of table 2a of G.711, built from its rows: 8 segments of 16 intervals (the
    first is half as wide), twice as wide in each segment, in units of 1/8192 of full scale."""
    decisions = [0, 1]
    for segment in range(8):
        for _ in range(15 if segment == 0 else 16):
            decisions.append(decisions[-1] + 2 * 2**segment)
    decoded = [0.0] + [(low + high) / 2 for low, high in itertools.pairwise(decisions[1:])]
    return np.array(decisions), np.array(decoded)


def test_mu_law_is_the_table_of_g711() -> None:
    decisions, decoded = g711_table()
    # The values that the Recommendation prints.
    assert decisions[[16, 32, 48, 64, 80, 96, 112, 128]].tolist() == [31, 95, 223, 479, 991, 2015, 4063, 8159]
    assert decoded[[0, 1, 127]].tolist() == [0, 2, 8031] and len(decoded) == 128
    whole = np.arange(-32768, 32768)
    magnitude = np.minimum(np.abs(whole) / 4, 8158)
    expected = np.sign(whole) * decoded[np.searchsorted(decisions, magnitude, side="right") - 1] / 8192
    found = transmission.mu_law((whole / 32768).astype(np.float32))
    np.testing.assert_array_equal(found, expected.astype(np.float32))
    assert len(np.unique(found)) == 255


def test_samples_beyond_full_scale_are_clipped() -> None:
    assert transmission.mu_law(np.array([2.0, -2.0], np.float32)).tolist() == pytest.approx([8031 / 8192, -8031 / 8192])


def spectrum(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.fft.rfftfreq(len(samples), 1 / RATE), np.abs(np.fft.rfft(samples)) ** 2


def test_a_telephone_keeps_its_band_and_adds_the_noise_of_8_bits() -> None:
    out = transmission.telephone(NOISE, RATE)
    hertz, power = spectrum(out)
    assert len(out) == len(NOISE)
    inside, low, high = ((hertz > a) & (hertz < b) for a, b in ((350, 3300), (10, 200), (4200, 8000)))
    before = spectrum(NOISE)[1]
    assert power[inside].sum() == pytest.approx(before[inside].sum(), rel=0.02)
    # Outside, µ-law leaves its own noise, some 37 dB below the signal; above 4 kHz the resampler nothing at all.
    assert 10 * np.log10(power[low].mean() / power[inside].mean()) < -25
    assert 10 * np.log10(power[high].mean() / power[inside].mean()) < -60


def test_a_low_rate_leaves_nothing_above_half_of_it() -> None:
    out = transmission.low_rate(NOISE, RATE, 8000)
    hertz, power = spectrum(out)
    before = spectrum(NOISE)[1]
    inside = hertz < 3500
    assert power[inside].sum() == pytest.approx(before[inside].sum(), rel=1e-3)
    assert power[hertz > 4100].sum() < 1e-5 * power.sum() and len(out) == len(NOISE)


@pytest.mark.parametrize("kilobits", [32, 64])
def test_mp3_has_its_bit_rate_and_its_sound(kilobits: int) -> None:
    tone = (0.3 * np.sin(2 * np.pi * 700 * TIME)).astype(np.float32)
    long = np.tile(tone, 10)
    assert len(transmission.mp3_file(long, RATE, kilobits)) * 8 / 20 == pytest.approx(1000 * kilobits, rel=0.03)
    out = transmission.mp3(tone, RATE, kilobits)
    assert 0 <= len(out) - len(tone) < 0.1 * RATE
    hertz, power = spectrum(out)
    assert hertz[power.argmax()] == pytest.approx(700, abs=1)
    assert power[np.abs(hertz - 700) < 20].sum() > 0.98 * power.sum()
    assert np.mean(out.astype(float) ** 2) == pytest.approx(
        np.mean(tone.astype(float) ** 2) * len(tone) / len(out),
        rel=0.15,  # LAME leaves itself headroom
    )


def test_what_mp3_does_not_have_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="500 kbit/s is not valid at 16000 Hz; give 8 to 160"):
        transmission.mp3(NOISE, RATE, 500)
    with pytest.raises(AudioError, match="cannot write MP3 at 17000 Hz"):
        transmission.mp3(NOISE, 17_000, 32)
