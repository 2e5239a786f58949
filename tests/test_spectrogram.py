"""Spectrograms against SciPy's transform and planted tones; waveforms against the signal itself; both in the store."""

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from duetto.errors import AudioError, ConfigurationError
from duetto.features.registry import feature_spec
from duetto.features.spectrogram import BANDS, SpectrogramConfig, log_mel
from duetto.features.waveform import WaveformConfig

RATE = 16_000


def mel(hertz: np.ndarray | float) -> np.ndarray:
    return 2595 * np.log10(1 + np.asarray(hertz) / 700)


def centres(bands: int, rate: int = RATE) -> np.ndarray:
    """Mel of the peaks of the triangles."""
    return np.linspace(mel(20), mel(rate / 2), bands + 2)[1:-1]


def noise(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, n).astype(np.float32)


@pytest.mark.parametrize(("rate", "window", "before", "size"), [(RATE, 400, 120, 512), (8000, 200, 60, 256)])
def test_equals_scipys_short_time_fourier_transform(rate: int, window: int, before: int, size: int) -> None:
    signal, step = noise(1777), rate // 100
    count = -(-len(signal) // step)
    padded = np.zeros((count - 1) * step + window)
    padded[before : before + len(signal)] = signal[: len(padded) - before]
    taper = scipy.signal.windows.hamming(window)
    frequencies, _, spectrum = scipy.signal.stft(
        padded, rate, taper, window, window - step, size, boundary=None, padded=False
    )
    power = np.abs(spectrum * taper.sum()) ** 2
    peaks = np.concatenate(([mel(20)], centres(40, rate), [mel(rate / 2)]))
    bands = [np.interp(mel(frequencies), peaks[i : i + 3], [0, 1, 0]) @ power for i in range(40)]
    # float32 against float64 over sums of some 500 products
    np.testing.assert_allclose(log_mel(signal, rate, bands=40), np.log(bands).T, rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("hertz", [200, 440, 1000, 2500, 6000])
def test_a_sine_stands_out_in_the_band_of_its_frequency(hertz: int) -> None:
    tone = 0.1 * np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE)
    rows = log_mel(tone, RATE)[5:-5]
    nearest = int(np.abs(centres(BANDS) - mel(hertz)).argmin())
    # The FFT's bins are 31 Hz apart, more than half a low band: the next band may win.
    assert (np.abs(rows.argmax(1) - nearest) <= 1).all()


def test_a_click_falls_into_the_frame_of_its_time() -> None:
    signal = np.zeros(RATE, np.float32)
    signal[round(0.505 * RATE)] = 1.0
    assert int(log_mel(signal, RATE).mean(1).argmax()) == 50


def test_gain_moves_every_band_by_its_logarithm() -> None:
    difference = log_mel(noise(RATE) * 3, RATE) - log_mel(noise(RATE), RATE)
    np.testing.assert_allclose(difference, 2 * np.log(3), rtol=1e-3)  # float32 logarithms


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 2000))
def test_every_length_has_its_frames(n: int) -> None:
    for name, dim in (("spectrogram", BANDS), ("waveform", 160)):
        frames = feature_spec(name).extractor.extract(noise(n, n), RATE)
        assert frames.shape == (-(-n // 160), dim) and frames.dtype == np.float32 and np.isfinite(frames).all()


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 2000))
def test_a_waveform_is_the_signal_and_zeros(n: int) -> None:
    rows = WaveformConfig().extract(noise(n, n), RATE).ravel()
    np.testing.assert_array_equal(rows[:n], noise(n, n))
    assert not rows[n:].any()


@pytest.mark.parametrize("name", ["spectrogram", "waveform"])
def test_silence_is_finite_and_bad_input_is_refused(name: str) -> None:
    extract = feature_spec(name).extractor.extract
    assert np.isfinite(extract(np.zeros(1, np.float32), RATE)).all()
    for bad, message in (
        (np.zeros(0), "no samples"),
        (np.zeros((2, 9)), r"shape \(2, 9\)"),
        (np.array([np.nan]), "NaN or infinity"),
        (np.full(9, 20_000.0), "full scale"),
    ):
        with pytest.raises(AudioError, match=message):
            extract(bad, RATE)
    with pytest.raises(
        AudioError, match="at least 2000 Hz, not 900" if name == "spectrogram" else "of 16000 Hz, not 900"
    ):
        extract(np.zeros(9), 900)


@pytest.mark.parametrize("name", ["spectrogram", "waveform"])
def test_16_bit_samples_count_as_their_share_of_full_scale(name: str) -> None:
    """Also soft ones, which are within the range that floating-point samples may have."""
    samples = np.arange(-90, 90, dtype=np.int16)
    extract = feature_spec(name).extractor.extract
    np.testing.assert_array_equal(extract(samples, RATE), extract((samples / 32768).astype(np.float32), RATE))


def test_bands_are_checked_and_all_hold_a_bin() -> None:
    with pytest.raises(ConfigurationError, match="1 to 100"):
        SpectrogramConfig(101)
    assert (log_mel(noise(RATE), RATE, bands=100) > np.log(1e-9)).all()
    assert SpectrogramConfig(40).key() != SpectrogramConfig().key()
