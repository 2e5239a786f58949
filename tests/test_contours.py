"""Contours: planted signals, a slow implementation by the definitions, and Praat."""

import os
from pathlib import Path

import numpy as np
import pytest
import scipy.fft
import scipy.linalg
import scipy.signal

from duetto.errors import AudioError
from duetto.features import contours, formants
from duetto.features._windows import BLOCK
from duetto.features.contours import NAMES, extract

RATE = 16_000
SECOND = np.arange(RATE) / RATE
FORMANTS = (600.0, 1400.0, 2500.0, 3500.0, 4500.0)


def column(samples: np.ndarray, name: str) -> np.ndarray:
    return extract(samples, RATE).values[:, NAMES.index(name)]


def harmonics(f0: float, amplitudes: np.ndarray, time: np.ndarray = SECOND) -> np.ndarray:
    """Cosines at the multiples of f0."""
    return sum(a * np.cos(2 * np.pi * f0 * (k + 1) * time + k) for k, a in enumerate(amplitudes))  # type: ignore[return-value]


def buzz(f0: float, time: np.ndarray = SECOND) -> np.ndarray:
    """All harmonics below 7 kHz, equally strong: a train of pulses that is free of aliasing."""
    return 0.02 * harmonics(f0, np.ones(int(7000 / f0)), time)


def vowel(f0: float, formant_hz: tuple[float, ...] = FORMANTS, bandwidth: float = 80.0) -> np.ndarray:
    """A buzz of −12 dB an octave through two-pole resonances, as a voice is."""
    sound = scipy.signal.lfilter([1], [1, -0.9], buzz(f0))
    for hertz in formant_hz:
        radius = np.exp(-np.pi * bandwidth / RATE)
        sound = scipy.signal.lfilter([1], [1, -2 * radius * np.cos(2 * np.pi * hertz / RATE), radius**2], sound)
    return 0.3 * sound / np.abs(sound).max()


def impulse(at: float = 0.5) -> np.ndarray:
    """One frame of which all frequencies are equally strong."""
    frame = np.zeros(640)
    frame[round(at * 640)] = 1.0
    return frame


@pytest.mark.parametrize("f0", [70.0, 110.0, 173.0, 240.0, 410.0])
def test_f0_of_a_train_of_pulses(f0: float) -> None:
    """In octaves above 200 Hz, of pulses that fall by 12 dB an octave, as those of a voice do."""
    pulses = scipy.signal.lfilter([1], [1, -1.9, 0.9025], buzz(f0))[1600:]
    np.testing.assert_allclose(column(pulses, "f0"), np.log2(f0 / 200), atol=0.007)  # lags are whole samples
    assert column(pulses, "periodicity").min() > 0.85  # of 70 Hz a window holds two periods and a half


@pytest.mark.parametrize("snr", [0.0, 5.0, 10.0, 20.0])
def test_hnr_is_the_ratio_of_harmonics_to_noise(snr: float) -> None:
    time = np.arange(4 * RATE) / RATE
    sound = buzz(200.0, time)
    noise = np.random.default_rng(0).normal(size=len(time))
    noise *= np.sqrt(np.square(sound).mean() / np.square(noise).mean()) * 10 ** (-snr / 20)
    assert np.median(column(sound + noise, "hnr")) == pytest.approx(snr, abs=1.0)


def test_level_is_relative_to_the_loudest_tenth_of_a_second() -> None:
    sound = np.concatenate((0.5 * np.sin(2 * np.pi * 300 * SECOND), 0.05 * np.sin(2 * np.pi * 300 * SECOND)))
    level = column(sound, "level")
    np.testing.assert_allclose(level[:90], 0, atol=0.01)
    np.testing.assert_allclose(level[-90:], -20, atol=0.01)


def test_a_flat_spectrum() -> None:
    """Means of the uniform distribution over 0–8 kHz."""
    values = dict(zip(NAMES, extract(impulse(), RATE).values[0], strict=True))
    for share in (25, 50, 75, 90):
        # Half a bin of 15.6 Hz, which is a ninth of 1/100 octave at 2 kHz.
        assert values[f"rolloff_{share}"] == pytest.approx(np.log2(1 + share * 80 / 100), abs=0.02)
    assert values["centroid"] == pytest.approx(np.log2(4000), abs=0.01)
    assert values["spread"] == pytest.approx(np.log2(8000 / np.sqrt(12)), abs=0.01)
    assert values["entropy"] == pytest.approx(np.log(513), abs=0.01)
    assert values["alpha_ratio"] == pytest.approx(10 * np.log10(950 / 4000), abs=0.1)
    for name in ("hammarberg", "slope_0_500", "slope_500_1500", "slope_1500_4000", "slope_0_8000", "mfcc_1"):
        assert values[name] == pytest.approx(0, abs=0.2), name


@pytest.mark.parametrize("slope", [-12.0, -6.0, 3.0])
def test_slopes_are_those_of_the_spectrum(slope: float) -> None:
    """A pulse in the middle of a frame whose amplitude falls by a known number of dB an octave above 100 Hz."""
    hertz = np.fft.rfftfreq(4096, 1 / RATE)
    response = np.fft.irfft(np.maximum(hertz, 100.0) ** (slope / (20 * np.log10(2))))
    frame = np.roll(response, 320)[:640]
    for name in ("slope_500_1500", "slope_1500_4000"):
        # The bands' own width bends a straight line by some tenths.
        assert column(frame / np.abs(frame).max(), name)[0] == pytest.approx(slope, abs=0.3), name


@pytest.mark.parametrize("hertz", [300.0, 1000.0, 3000.0])
def test_the_centre_of_a_tone(hertz: float) -> None:
    tone = np.sin(2 * np.pi * hertz * SECOND)
    np.testing.assert_allclose(column(tone, "centroid"), np.log2(hertz), atol=0.02)
    np.testing.assert_allclose(column(tone, "rolloff_50"), np.log2(1 + hertz / 100), atol=0.05)
    assert column(tone, "entropy").max() < np.log(6)  # a Hann window spreads a line over some five bins
    assert column(tone, "spread").max() < np.log2(40)


def test_two_tones_give_the_ratio_of_their_levels() -> None:
    sound = np.sin(2 * np.pi * 500 * SECOND) + 0.1 * np.sin(2 * np.pi * 3000 * SECOND)
    np.testing.assert_allclose(column(sound, "hammarberg"), 20, atol=0.2)
    np.testing.assert_allclose(column(sound, "alpha_ratio"), 20, atol=0.2)


@pytest.mark.parametrize("ratio", [0.25, 1.0, 2.0])
def test_h1_h2_of_two_harmonics(ratio: float) -> None:
    sound = harmonics(200.0, np.array([1.0, ratio, 0.5, 0.5]))
    np.testing.assert_allclose(column(sound, "h1_h2"), -20 * np.log10(ratio), atol=0.4)


def test_h1_a3_compares_the_first_harmonic_with_those_of_the_third_formant() -> None:
    """Both read off the spectrum by hand: the harmonics of 200 Hz near 2500 Hz."""
    sound = vowel(200.0)
    frame = sound[4000:4640] * np.hanning(642)[1:-1]
    level = 20 * np.log10(np.abs(np.fft.rfft(frame, 16_000)) + 1e-12)  # of every Hz
    expected = level[150:250].max() - level[2300:2700].max()
    assert np.median(column(sound, "h1_a3")) == pytest.approx(expected, abs=1.5)


@pytest.mark.parametrize("f0", [80.0, 110.0])
@pytest.mark.parametrize("shape", [FORMANTS, (300.0, 2200.0, 2900.0, 3500.0, 4500.0), (750.0, 1200.0, 2600.0, 3600.0)])
def test_formants_of_a_vowel(f0: float, shape: tuple[float, ...]) -> None:
    """Linear prediction is drawn to the harmonics, which are f0 apart."""
    found = np.median(extract(vowel(f0, shape), RATE).values, axis=0)
    for i in range(3):
        hertz = 500 * 2 ** found[NAMES.index(f"formant_{i + 1}")]
        assert abs(hertz - shape[i]) < 0.6 * f0, (i, hertz)


def test_linear_prediction_solves_the_normal_equations() -> None:
    rng = np.random.default_rng(0)
    sounds = rng.normal(size=(5, 400))
    correlation = np.array([[s[: 400 - k] @ s[k:] for k in range(12)] for s in sounds])
    for row, found in zip(correlation, formants.levinson(correlation), strict=True):
        expected = scipy.linalg.solve_toeplitz(row[:-1], -row[1:])
        np.testing.assert_allclose(found, [1, *expected], atol=1e-10)


def test_the_peaks_of_an_envelope_are_found_where_the_poles_are() -> None:
    """The power spectrum of known poles below 5.5 kHz, less the pre-emphasis that `track` applies."""
    hertz = np.linspace(0, 8000, 513)
    angle = np.pi * hertz / formants.HIGHEST_HZ
    poles = [0.97 * np.exp(1j * np.pi * f / formants.HIGHEST_HZ) for f in (500, 1500, 2500, 3500, 4500)]
    filter_ = np.poly([*poles, *np.conj(poles)]).real
    response = np.abs(np.polyval(filter_[::-1], np.exp(-1j * angle))) ** -2.0
    emphasis = 1 + 0.97**2 - 2 * 0.97 * np.cos(2 * np.pi * hertz / RATE)
    found = formants.track((response / emphasis)[None])
    np.testing.assert_allclose(found.hertz[0], (500, 1500, 2500), atol=15)
    levels = 10 * np.log10(response[np.searchsorted(hertz, (500, 1500))])
    assert found.decibels[0, 0] - found.decibels[0, 1] == pytest.approx(levels[0] - levels[1], abs=0.7)


def slow(frame: np.ndarray, before: np.ndarray) -> dict[str, float]:
    """The columns of a spectrum by their definitions, of one frame in float64 with loops and SciPy."""

    def spectrum(samples: np.ndarray) -> np.ndarray:
        power = np.abs(scipy.fft.fft((samples - samples.mean()) * scipy.signal.windows.hann(1281)[1::2], 1024)) ** 2
        return power[:513] + 1e-9 * power[:513].mean() + 1e-14

    power, hertz = spectrum(frame), np.arange(513) * RATE / 1024
    share = power / power.sum()
    found = {"entropy": -sum(p * np.log(p) for p in share)}
    centre = sum(share * hertz)
    found |= {"centroid": np.log2(centre), "spread": np.log2(np.sqrt(sum(share * (hertz - centre) ** 2)))}
    found["alpha_ratio"] = 10 * np.log10(
        power[(hertz >= 50) & (hertz < 1000)].sum() / power[(hertz >= 1000) & (hertz < 5000)].sum()
    )
    found["hammarberg"] = 10 * np.log10(power[hertz < 2000].max() / power[(hertz >= 2000) & (hertz < 5000)].max())
    amplitudes = [np.sqrt(p) / np.sqrt(p).sum() for p in (power, spectrum(before))]
    found["flux"] = np.log10(((amplitudes[0] - amplitudes[1]) ** 2).sum() + 1e-8)
    edges = 700 * np.expm1(np.linspace(1127 * np.log1p(50 / 700), 1127 * np.log1p(7600 / 700), 28) / 1127)
    levels = []
    for low, middle, high in zip(edges, edges[1:], edges[2:], strict=False):
        weight = np.interp(hertz, [low, middle, high], [0, 1, 0])
        levels.append(10 * np.log10((weight * power).sum() / weight.sum()))
    cepstra = scipy.fft.dct(levels, norm="ortho") / 10
    found |= {f"mfcc_{k}": cepstra[k] for k in range(1, 15)}
    octaves = np.log2(edges[1:-1])
    for low, high in ((0, 500), (500, 1500), (1500, 4000), (0, 8000)):
        within = (edges[1:-1] >= low) & (edges[1:-1] <= high)
        found[f"slope_{low}_{high}"] = np.polyfit(octaves[within], np.array(levels)[within], 1)[0]
    cepstrum = scipy.fft.ifft(10 * np.log10([*power, *power[-2:0:-1]])).real
    level = 20 * np.log10(np.abs(cepstrum[40:268]) + 1e-3)
    line = np.polyval(np.polyfit(np.arange(228), level, 1), np.arange(228))
    found["prominence"] = (level - line).max()
    return found


def test_the_columns_are_those_of_their_definitions() -> None:
    """All that depends on the spectrum of a frame alone, for noise, a vowel and a tone."""
    rng = np.random.default_rng(0)
    for sound in (rng.normal(scale=0.1, size=RATE), vowel(130.0), np.sin(2 * np.pi * 700 * SECOND)):
        values = extract(sound, RATE).values
        for t in (1, 40, 90):
            expected = slow(sound[160 * t :][:640], sound[160 * (t - 1) :][:640])
            for name, value in expected.items():
                tolerance = 0.02 if name == "prominence" else 2e-4  # float32; a logarithm near 0 in the cepstrum
                assert values[t, NAMES.index(name)] == pytest.approx(value, abs=tolerance, rel=1e-4), (t, name)


def test_prominence_is_high_for_a_voice_and_low_for_noise() -> None:
    noise = np.random.default_rng(0).normal(scale=0.1, size=RATE)
    assert np.median(column(vowel(120.0), "prominence")) > np.median(column(noise, "prominence")) + 5


def test_a_steady_sound_has_no_flux() -> None:
    """Periods of 400 Hz fit into the step of 10 ms, so all frames are equal."""
    np.testing.assert_allclose(column(np.sin(2 * np.pi * 400 * SECOND), "flux"), -8, atol=1e-3)


def test_what_is_speech_and_what_is_voice() -> None:
    rng = np.random.default_rng(0)
    hiss, silence = 0.05 * rng.normal(size=RATE // 2), np.zeros(RATE // 2)
    found = extract(np.concatenate((silence, vowel(120.0), hiss, silence)), RATE)
    for weights, on in ((found.speech, slice(55, 190)), (found.voiced, slice(55, 145))):
        assert (weights[on] > 0.99).all() and (weights[:45] == 0).all() and (weights[-45:] == 0).all()
    assert found.voiced[155:190].max() < 0.2
    assert np.ptp(np.diff(found.speech)) <= 2 and ((found.speech >= 0) & (found.speech <= 1)).all()


@pytest.mark.parametrize(
    "samples", [np.zeros(RATE), np.full(RATE, 0.3), np.ones(1), impulse(), np.tile([1, -1.0], 800)]
)
def test_odd_sounds_have_finite_contours(samples: np.ndarray) -> None:
    found = extract(samples, RATE)
    assert all(np.isfinite(part).all() for part in found) and len(found.values) == max(
        1, 1 + (len(samples) - 640) // 160
    )


def test_blocks_and_cuts_change_nothing() -> None:
    sound = np.random.default_rng(0).normal(scale=0.1, size=3 * RATE)
    whole = extract(sound, RATE).values
    assert len(whole) > 2 * BLOCK
    part = extract(sound[: 640 + 160 * 9], RATE).values
    np.testing.assert_allclose(part[:, 1:], whole[:10, 1:], atol=1e-5)  # the level is relative to the loudest part
    cut = extract(sound, RATE, 10).values
    np.testing.assert_allclose(cut, part, atol=1e-5)


def test_other_rates_and_broken_samples_are_refused() -> None:
    with pytest.raises(AudioError, match="contours need 16000 samples a second, not 8000"):
        extract(np.zeros(100), 8000)
    for samples in (np.array([0.1, np.nan]), np.zeros(0), np.zeros((2, 100))):
        with pytest.raises(AudioError):
            extract(samples, RATE)


# Praat, by way of parselmouth: the common reference implementation.


def praat(samples: np.ndarray):
    pytest.importorskip("parselmouth")
    import parselmouth

    return parselmouth.Sound(samples.astype(np.float64), RATE)


def praat_f0(samples: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Hz at these times (n,), NaN without voice."""
    track = praat(samples).to_pitch_ac(time_step=0.01, pitch_floor=75.0, pitch_ceiling=500.0)
    return np.array([track.get_value_at_time(t) for t in time])


def praat_hnr(samples: np.ndarray, time: np.ndarray) -> np.ndarray:
    track = praat(samples).to_harmonicity_ac(time_step=0.01, minimum_pitch=75.0, periods_per_window=4.5)
    return np.array([track.get_value(t) for t in time])


def praat_formants(samples: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Hz (n, 3)."""
    track = praat(samples).to_formant_burg(time_step=0.01, max_number_of_formants=5, maximum_formant=5500.0)
    return np.array([[track.get_value_at_time(i, t) for i in (1, 2, 3)] for t in time])


def middles(found: contours.Contours) -> np.ndarray:
    return 0.02 + 0.01 * np.arange(len(found.values))


@pytest.mark.parametrize("f0", [100.0, 150.0, 220.0])
def test_praat_agrees_on_vowels(f0: float) -> None:
    sound = vowel(f0) + 0.02 * np.random.default_rng(0).normal(size=RATE)
    found = extract(sound, RATE)
    time, inner = middles(found), slice(10, -10)
    values = found.values[inner]
    theirs = praat_f0(sound, time[inner])
    np.testing.assert_allclose(200 * 2 ** values[:, NAMES.index("f0")], theirs, rtol=0.005)
    difference = values[:, NAMES.index("hnr")] - praat_hnr(sound, time[inner])
    assert abs(np.median(difference)) < 3  # its window is longer, so that it averages more noise
    ours = 500 * 2 ** values[:, [NAMES.index(f"formant_{i}") for i in (1, 2, 3)]]
    assert (np.abs(np.median(ours / praat_formants(sound, time[inner]), axis=0) - 1) < (0.1, 0.08, 0.08)).all()


@pytest.mark.corpora
def test_praat_agrees_on_speech(data: Path) -> None:
    """Where both find voice: f0 within 5 % in nearly all frames, and HNR and formants that rise and fall together."""
    from duetto import audio

    files = sorted((data / "emodb").rglob("*.flac")) or sorted((data / "emodb").rglob("*.wav"))
    close, correlations = [], []
    for path in files[:: max(1, len(files) // 8)][:8]:
        sound = audio.load(path).samples
        found = extract(sound, RATE)
        time = middles(found)
        f0, hnr, formant_hz = (f(sound, time) for f in (praat_f0, praat_hnr, praat_formants))
        both = (found.voiced > 0.9) & np.isfinite(f0) & (hnr > 0)
        if both.sum() < 20:
            continue
        close += (np.abs(np.log2(f0[both] / 200) - found.values[both, NAMES.index("f0")]) < np.log2(1.05)).tolist()
        pairs = [(found.values[both, NAMES.index("hnr")], hnr[both])]
        pairs += [(found.values[both, NAMES.index(f"formant_{i}")], np.log2(formant_hz[both, i - 1])) for i in (1, 2)]
        correlations.append([np.corrcoef(a, b)[0, 1] for a, b in pairs])
    assert len(close) > 200, os.fspath(data)
    assert np.mean(close) > 0.9
    # Praat's window for HNR is half as long again; where two formants merge, its roots part and our peaks do not.
    assert (np.median(correlations, axis=0) > (0.45, 0.85, 0.45)).all(), np.median(correlations, axis=0)
