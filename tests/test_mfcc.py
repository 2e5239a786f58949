"""MFCC against SciPy's transform written out frame by frame, and against planted tones and times."""

import numpy as np
import pytest
import scipy.fft
from hypothesis import given, settings
from hypothesis import strategies as st

from duetto.errors import AudioError, ConfigurationError
from duetto.features.mfcc import BANDS, PRE_EMPHASIS, MfccConfig, extract
from duetto.features.spectrogram import log_mel

RATE = 16_000


def slow(signal: np.ndarray, rate: int) -> np.ndarray:
    """The definition, one frame and one band at a time, in float64."""
    x = np.concatenate(([signal[0]], signal[1:] - 0.97 * signal[:-1])).astype(np.float64)
    step, window = rate // 100, round(rate * 0.025)
    size = 2 ** int(np.ceil(np.log2(window)))
    frequencies = np.arange(size // 2 + 1) * rate / size
    mel = 2595 * np.log10(1 + frequencies / 700)
    edges = np.linspace(2595 * np.log10(1 + 20 / 700), 2595 * np.log10(1 + rate / 2 / 700), BANDS + 2)
    rows = []
    for t in range(-(-len(signal) // step)):
        frame = np.zeros(window)
        for i in range(window):
            n = t * step - (window - step) // 2 + i
            frame[i] = x[n] if 0 <= n < len(x) else 0.0
        power = np.abs(np.fft.fft(frame * np.hamming(window), size)[: size // 2 + 1]) ** 2
        energies = []
        for low, middle, high in zip(edges, edges[1:], edges[2:], strict=False):
            rising, falling = (mel - low) / (middle - low), (high - mel) / (high - middle)
            energies.append(np.sum(power * np.clip(np.minimum(rising, falling), 0, None)))
        rows.append(scipy.fft.dct(np.log(np.maximum(energies, 1e-10)), norm="ortho")[:13])
    return np.array(rows)


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050])
def test_equals_the_definition(rate: int) -> None:
    signal = np.random.default_rng(0).normal(0, 0.1, 1777).astype(np.float32)
    # float32 against float64 over sums of some 500 products
    np.testing.assert_allclose(extract(signal, rate), slow(signal, rate), rtol=1e-3, atol=2e-3)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 2000))
def test_every_length_has_its_frames_and_blocks_do_not_change_them(n: int) -> None:
    signal = np.random.default_rng(n).normal(size=n).astype(np.float32)
    features = extract(signal, RATE)
    assert features.shape == (-(-n // 160), 13) and np.isfinite(features).all()


def test_a_signal_longer_than_a_block_equals_its_parts() -> None:
    signal = np.random.default_rng(1).normal(0, 0.1, 160 * 1500).astype(np.float32)
    whole, tail = extract(signal, RATE), extract(signal[160 * 1000 :], RATE)
    # The first frames of the part see zeros where the whole sees signal; the others are the same numbers.
    np.testing.assert_allclose(whole[1002:], tail[2:], rtol=1e-4, atol=1e-4)


def test_a_click_falls_into_the_frame_of_its_time() -> None:
    signal = np.zeros(RATE, np.float32)
    signal[round(0.505 * RATE)] = 1.0
    assert int(extract(signal, RATE)[:, 0].argmax()) == 50


def test_gain_changes_the_zeroth_coefficient_only() -> None:
    signal = np.random.default_rng(2).normal(0, 0.1, RATE).astype(np.float32)
    difference = extract(signal * 2, RATE) - extract(signal, RATE)
    np.testing.assert_allclose(difference[:, 0], 2 * np.log(2) * np.sqrt(BANDS), rtol=1e-4)
    np.testing.assert_allclose(difference[:, 1:], 0, atol=1e-3)


def test_silence_is_finite_and_bad_input_is_refused() -> None:
    assert np.isfinite(extract(np.zeros(1, np.float32), RATE)).all()
    for bad, message in ((np.zeros(0), "no samples"), (np.array([np.nan]), "NaN or infinity")):
        with pytest.raises(AudioError, match=message):
            extract(bad, RATE)
    with pytest.raises(AudioError, match="at least 2000 Hz"):
        extract(np.zeros(9), 900)
    with pytest.raises(ConfigurationError, match="1 to 40"):
        MfccConfig(41)


def test_centring_takes_gain_and_colour_of_the_channel_away() -> None:
    signal = np.random.default_rng(3).normal(0, 0.1, RATE).astype(np.float32)
    centred = MfccConfig().extract(signal, RATE)
    np.testing.assert_allclose(centred.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(MfccConfig().extract(signal * 4, RATE), centred, atol=2e-3)  # float32 logarithms
    np.testing.assert_array_equal(MfccConfig(centred=False).extract(signal, RATE), extract(signal, RATE))
    assert MfccConfig().key() != MfccConfig(centred=False).key()


def test_the_cosine_transform_is_rounded_once() -> None:
    """A product in float32 differs by 2e-5 between processors; here by the rounding of the answer, 6e-8 of it."""
    samples = np.random.default_rng(0).standard_normal(16_000 * 12).astype(np.float32) * 0.1  # 1200 frames
    bands = log_mel(samples, RATE, bands=BANDS, pre_emphasis=PRE_EMPHASIS)
    expected = scipy.fft.dct(bands.astype(np.float64), type=2, norm="ortho", axis=1)[:, :13]
    np.testing.assert_allclose(extract(samples, RATE), expected, rtol=6e-8, atol=1e-12)
