"""The 34 features against the released package, against their definitions written out, and by planted tones."""

import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.fft import dct

from duetto import audio
from duetto.errors import AudioError, ConfigurationError
from duetto.features import _filterbanks, _spectral, short_term
from duetto.features.short_term import NAMES, ShortTermConfig, extract, functionals

RATE = 16_000
FRAME = 1_600
COLUMN = {name: i for i, name in enumerate(NAMES)}
CHROMA = slice(COLUMN["chroma_1"], COLUMN["chroma_12"] + 1)
MFCC = slice(COLUMN["mfcc_1"], COLUMN["mfcc_13"] + 1)


def noise(n: int, seed: int = 0, level: float = 0.1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(n) * level


def tone(hertz: float, n: int = FRAME, rate: int = RATE, level: float = 0.5) -> np.ndarray:
    return level * np.sin(2 * np.pi * hertz * np.arange(n) / rate)


def as_int16(samples: np.ndarray) -> np.ndarray:
    return np.round(np.clip(samples, -1, 1) * 32_767).astype(np.int16)


def exact(samples: np.ndarray, rate: int = RATE, mode: str = "corrected") -> np.ndarray:
    """The features before they are rounded to float32."""
    return short_term.compute(samples, rate, ShortTermConfig(mode))


# ---- mode `pyaudioanalysis`: the released package is the oracle


def released(samples: np.ndarray, rate: int) -> np.ndarray:
    package = pytest.importorskip("pyAudioAnalysis.ShortTermFeatures")
    window = round(rate / 10)
    return package.feature_extraction(samples, rate, window, window, deltas=False)[0].T


def assert_as_released(samples: np.ndarray, rate: int) -> None:
    expected = released(samples, rate)
    # Both compute in float64 and differ in the order of sums only; observed: 1e-13. 1e-9 absolute is for
    # features that are 0 in theory, such as the flux of a constant tone.
    np.testing.assert_allclose(exact(samples, rate, "pyaudioanalysis"), expected, rtol=1e-6, atol=1e-9)
    public = extract(samples, rate, mode="pyaudioanalysis")
    assert public.dtype == np.float32
    np.testing.assert_allclose(public, expected, rtol=1e-6, atol=1e-9)  # float32 rounds at 6e-8


SIGNALS = {
    "noise": noise(8 * FRAME + 77),
    "tone": tone(440, 5 * FRAME),
    "between bins": tone(443.7, 5 * FRAME),
    "silence": np.zeros(4 * FRAME),
    "constant": np.full(3 * FRAME, 0.3),
    "impulse": np.eye(1, 3 * FRAME, 700).ravel(),
    "silent stretch": np.concatenate([noise(3 * FRAME), np.zeros(3 * FRAME), noise(3 * FRAME, 1)]),
    "late start": np.concatenate([np.zeros(2 * FRAME + 500), noise(2 * FRAME)]),
    "clipped": np.clip(tone(200, 4 * FRAME, level=3), -1, 1),
    "more than one block": noise(150 * FRAME),
    "sums finished more than once": noise(700 * FRAME, level=0.01),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", SIGNALS)
def test_the_package_gives_the_same_numbers(name: str) -> None:
    assert_as_released(as_int16(SIGNALS[name]), RATE)


@pytest.mark.parametrize("rate", [7_000, 8_000, 11_025, 16_000, 22_050, 44_100, 48_000])
def test_the_package_gives_the_same_numbers_at_any_rate(rate: int) -> None:
    assert_as_released(as_int16(noise(3 * rate)), rate)  # 11 025 and 22 050: neither frame nor spectrum divides by 10
    assert_as_released(as_int16(tone(500, rate, rate)), rate)


def test_rates_are_refused_where_the_package_fails() -> None:
    samples = as_int16(noise(16_000))
    for rate in range(6_846, 6_862):
        try:
            released(samples, rate)
        except IndexError:
            with pytest.raises(AudioError, match="too low a sample rate"):
                extract(samples, rate, mode="pyaudioanalysis")
        else:
            assert_as_released(samples, rate)


def test_int16_and_float_are_the_same_signal() -> None:
    samples = as_int16(noise(5 * FRAME))
    for mode in short_term.MODES:
        # Only the mean is summed in another order: 1e-12 is far above that, and below any difference in scale.
        np.testing.assert_allclose(exact(samples, mode=mode), exact(samples / 32_768, mode=mode), rtol=1e-9, atol=1e-12)


@pytest.mark.corpora
@pytest.mark.parametrize("corpus", ["emodb/wav", "ravdess", "ljspeech/wavs"])
def test_the_package_gives_the_same_numbers_for_speech(data: Path, corpus: str) -> None:
    for path in sorted(path for path in (data / corpus).rglob("*.*") if path.suffix in (".wav", ".flac"))[::60][:8]:
        samples = as_int16(audio.load(path).samples)
        assert_as_released(samples, RATE)
        samples[RATE // 2 : RATE] = 0
        assert_as_released(samples, RATE)


# ---- mode `corrected`: the definitions, frame by frame, are the oracle


def defined(samples: np.ndarray, rate: int = RATE) -> np.ndarray:
    """The definitions of docs/features.md, one frame at a time, with nothing shared with the library."""
    length, rows, before = round(rate / 10), [], None
    for at in range(0, len(samples), length):
        piece = samples[at : at + length]
        x = np.zeros(length)
        x[: len(piece)] = piece - piece.mean()
        k = length // 2
        f = np.arange(1, k + 1) * rate / length
        X = np.array([abs(v) for v in np.fft.fft(x)[1 : k + 1]]) / k
        zone = max(0.01 * np.sqrt((x**2).mean()), 2**-16 * abs(piece.mean()))
        row = [np.abs(np.diff(np.clip(x / zone, -1, 1))).sum() / 2 / (length - 1), (x**2).mean()]
        row.append(entropy([(b**2).sum() for b in np.split(x[: length // 10 * 10], 10)]))
        g = f / (rate / 2)
        centre = (g * X).sum() / X.sum()
        row += [centre, np.sqrt(((g - centre) ** 2 * X).sum() / X.sum())]
        row.append(entropy([(b**2).sum() for b in np.split(X[: k // 10 * 10], 10)]))
        relative = X / X.sum()
        row.append(0.0 if before is None else ((relative - before) ** 2).sum())
        before = relative
        row.append(g[np.argmax(np.cumsum(X**2) > (0.9 - 1e-9) * (X**2).sum())])
        edges = [133.33 + i * 200 / 3 for i in range(13)]
        edges += [edges[-1] * 1.0711703**i for i in range(1, 30)]
        outputs = []
        for low, middle, high in zip(edges, edges[1:], edges[2:], strict=False):
            weights = np.interp(f, [low, middle, high], [0, 2 / (high - low), 0])
            outputs.append(np.log10(max((weights * X).sum(), 1e-10)))
        row += list(dct(outputs, type=2, norm="ortho")[:13])
        sums, counts = np.zeros(12), np.zeros(12)
        for hertz, power in zip(f, X**2, strict=True):
            if hertz >= (rate / length) / (2 ** (1 / 6) - 1):
                sums[round(12 * np.log2(hertz / 27.5)) % 12] += power
                counts[round(12 * np.log2(hertz / 27.5)) % 12] += 1
        chroma = sums / counts / (sums / counts).sum()
        rows.append([*row, *chroma, chroma.std()])
    return np.array(rows)


def entropy(values: list[float]) -> float:
    shares = np.array(values) / np.sum(values)
    return float(-(shares[shares > 0] * np.log2(shares[shares > 0])).sum())


@pytest.mark.parametrize("name", ["noise", "between bins", "impulse", "clipped"])
@pytest.mark.parametrize("offset", [0.0, 0.2])
def test_corrected_follows_the_definitions(name: str, offset: float) -> None:
    samples = SIGNALS[name][:13_000] + offset
    if name == "impulse":
        # Silent frames have no spectrum to compare.
        samples = np.tile(samples[:FRAME], 3) + noise(3 * FRAME, level=1e-3)
    # float64 sums in another order. Energies that are 0 but for the rounding of the mean need the absolute part.
    np.testing.assert_allclose(exact(samples), defined(samples), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(extract(samples, RATE), defined(samples), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("rate", [14_000, 22_050, 44_100])
def test_corrected_at_other_rates(rate: int) -> None:
    samples = noise(rate // 2 + 3)
    np.testing.assert_allclose(exact(samples, rate), defined(samples, rate), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("hertz", [110, 220, 440, 880, 1_760, 3_520])
def test_octaves_of_a_are_one_pitch_class(hertz: float) -> None:
    chroma = extract(tone(hertz), RATE)[0, CHROMA]
    assert chroma[0] > 0.999 and chroma.sum() == pytest.approx(1, abs=1e-6)  # whole periods: nothing leaks
    package = extract(tone(hertz), RATE, mode="pyaudioanalysis")[0, CHROMA]
    assert package[0] < 0.5  # where the package puts it is the reason for the other mode


@pytest.mark.parametrize("semitone", range(12))
def test_every_pitch_class_has_its_place(semitone: int) -> None:
    for octave in (0, 1, 2):
        samples = tone(220 * 2 ** (octave + semitone / 12), 16 * FRAME)
        assert (extract(samples, RATE)[:, CHROMA].argmax(axis=1) == semitone).all()


def test_white_noise_favours_no_pitch_class() -> None:
    chroma = extract(noise(2_000 * FRAME), RATE)[:, CHROMA].mean(axis=0)
    # The class with the fewest bins has 42 of 792: over 2000 frames its mean deviates by 0.4 % (1 σ).
    np.testing.assert_allclose(chroma, 1 / 12, rtol=0.02)


def dense(parts: tuple[_filterbanks.Part, ...], bins: int = 800) -> np.ndarray:
    """The (bins, columns) table that was cut into parts."""
    table = np.zeros((bins, parts[-1].columns.stop))
    _filterbanks.product(np.eye(bins), parts, table)
    return table


def test_mel_filters_peak_where_they_should() -> None:
    edges = _filterbanks.filter_edges()
    table = _filterbanks.tables(RATE, FRAME, False)
    filters = dense(table.filters)
    peaks = np.arange(1, 801)[filters.argmax(axis=0)] * 10.0
    assert (np.abs(peaks - edges[1:-1]) <= 10).all()  # the grid of bins is 10 Hz wide
    area = filters.sum(axis=0) * 10
    np.testing.assert_allclose(area, 1, atol=0.02)  # sampling a triangle at least 133 Hz wide every 10 Hz
    # The package's filters, for comparison, stand at half of that.
    found = dense(_filterbanks.tables(RATE, FRAME, True).filters).argmax(axis=0) * 10.0
    assert (np.abs(found - edges[1:-1] / 2) <= 10).all()


@pytest.mark.parametrize("filter_index", [0, 5, 12, 20, 39])
def test_a_tone_excites_the_filter_of_its_frequency(filter_index: int) -> None:
    hertz = round(_filterbanks.filter_edges()[filter_index + 1] / 10) * 10
    sums = _spectral.Sums.empty(1)
    table = _filterbanks.tables(RATE, FRAME, False)
    work = _spectral.workspace(1, FRAME)
    work.frames[0] = tone(hertz)
    _spectral.block_sums(work, np.zeros(1), table, _spectral.Level(1.0), None, sums, slice(0, 1))
    assert sums.filters[0].argmax() == filter_index


@given(st.integers(1, 5 * FRAME), st.integers(0, 99), st.sampled_from([0.5, 0.25, 2.0]))
@settings(max_examples=30, deadline=None)
def test_gain_changes_energy_and_the_first_coefficient_only(n: int, seed: int, gain: float) -> None:
    samples = noise(n, seed)
    if n % FRAME == 1:  # one sample without its mean is silence, which has no level to change
        samples = samples[:-1] if n > 1 else noise(2)
    loud, quiet = exact(samples), exact(gain * samples)
    expected = loud.copy()
    expected[:, COLUMN["energy"]] *= gain**2
    # All 40 outputs move by log10(gain); an orthonormal DCT collects that as √40 times it in the first.
    expected[:, COLUMN["mfcc_1"]] += np.sqrt(40) * np.log10(gain)
    # A power of two scales float64 without rounding; the logarithm and the DCT after it round at 1e-16 of 100.
    np.testing.assert_allclose(quiet, expected, rtol=0, atol=1e-12)


def test_a_constant_offset_changes_nothing() -> None:
    samples = noise(5 * FRAME + 100)
    np.testing.assert_allclose(exact(samples + 0.5), exact(samples), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("level", [0.0, 0.3, -1.0])
@pytest.mark.parametrize("n", [1, 100, FRAME, 3 * FRAME + 5])
def test_silence_and_constants_are_finite_and_the_same(level: float, n: int) -> None:
    features = extract(np.full(n, level), RATE)
    assert features.shape == (-(-n // FRAME), 34)
    expected = np.zeros(34)
    expected[COLUMN["mfcc_1"]] = -10 * np.sqrt(40)  # log10 of the floor, 1e-10, in all 40 filters
    np.testing.assert_allclose(features, np.tile(expected, (len(features), 1)), atol=1e-5)  # float32 of 63


def test_silence_between_speech_has_the_features_of_silence() -> None:
    features = extract(SIGNALS["silent stretch"] + 0.1, RATE)
    np.testing.assert_array_equal(features[3:6, COLUMN["energy"]], 0)
    np.testing.assert_array_equal(features[3:6, CHROMA], 0)
    assert np.isfinite(features).all()


def test_frames_do_not_depend_on_their_neighbours() -> None:
    samples = noise(150 * FRAME)
    whole = exact(samples)
    for i in (0, 1, 81, 82, 149):  # a block has 81 frames
        alone = exact(samples[i * FRAME : (i + 1) * FRAME])[0]
        keep = np.arange(34) != COLUMN["spectral_flux"]
        np.testing.assert_allclose(alone[keep], whole[i, keep], rtol=1e-12, atol=1e-12)
        pair = exact(samples[max(i - 1, 0) * FRAME : (i + 1) * FRAME])[-1]
        np.testing.assert_allclose(pair, whole[i], rtol=1e-9, atol=1e-12)  # flux needs the frame before, no more


def crossings(rows: list[list[float]], zone: float) -> np.ndarray:
    block = np.array(rows, float)
    work = _spectral.workspace(len(rows) + 1, block.shape[1])
    work.frames[: len(rows)] = block
    return _spectral.crossings(work, np.square(block).sum(1), np.full(len(rows), zone))


def test_crossings_by_hand() -> None:
    rows = [[1, 0, -1, 0, 0, 2, 2, -3], [1, -1, 1, -1, 1, -1, 1, -1], [0] * 8, [0, 0, 0, 5, 0, 0, 0, 0]]
    np.testing.assert_array_equal(crossings(rows, 1e-300), [3, 7, 0, 1])  # the signs alone
    np.testing.assert_array_equal(crossings(rows, 1.0), [3, 7, 0, 1])
    # Divided by 2 and cut: 0.5 0 −0.5 0 0 1 1 −1; ±0.5; 0; 0 and one 1.
    np.testing.assert_array_equal(crossings(rows, 2.0), [2.25, 3.5, 0, 1])
    # Beyond the zone and back, through it in steps, into it and back.
    np.testing.assert_array_equal(crossings([[4, -4, 4, 4], [4, 1, -1, -4], [4, 1, 4, 4]], 2.0), [2, 1, 0.5])


def ulps(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Every value moved to the next one up or down, or left."""
    return np.nextafter(values, values + rng.integers(-1, 2, values.shape).astype(values.dtype))


QUANTISED = {
    "clipped to one level, a quarter of the samples the mean itself": np.resize([0.2, 1.0, 0.2, -0.6], FRAME),
    "16 bits": np.round(noise(FRAME) * 32_768) / 32_768,
    "16 bits, soft": np.round(noise(FRAME, level=3 / 32_768) * 32_768) / 32_768,
    "16 bits, one step up and down": np.resize([1, 0, -1, 0, 0], FRAME) / 32_768,
    "8 bits": np.round(noise(FRAME) * 128) / 128,
    "8 bits, soft, with an offset": np.round(noise(FRAME, level=1 / 128) * 128) / 128 + 0.25,
    "clipped": np.clip(tone(200, level=3), -1, 1) + 0.2,
    "a constant and noise": 0.5 + noise(FRAME, level=1e-6),
    "a square wave": np.resize(np.repeat([0.3, -0.3], 40), FRAME),
    "a tone with samples at zero": tone(1_000),
}


@pytest.mark.parametrize("name", QUANTISED)
@pytest.mark.parametrize("seed", range(3))
def test_the_last_bit_of_samples_and_mean_moves_no_feature(name: str, seed: int, monkeypatch) -> None:
    rng = np.random.default_rng(seed)
    samples = QUANTISED[name]
    expected = exact(samples)
    # 1e-16 of the samples, in a zone of 0.01 of the level or 1.5e-5 of the mean: s moves by at most 1e-11 each.
    np.testing.assert_allclose(exact(ulps(samples, rng))[:, 0], expected[:, 0], rtol=0, atol=1e-9)
    # float32: 6e-8 of the samples, so at most 6e-8 · 2^16 = 0.004 of the zone, for the samples that are in it.
    single = exact(samples.astype(np.float32))
    np.testing.assert_allclose(exact(ulps(samples.astype(np.float32), rng))[:, 0], single[:, 0], rtol=0, atol=0.01)
    vecdot = np.vecdot
    with monkeypatch.context() as patch:
        patch.setattr(np, "vecdot", lambda x, y, **k: ulps(np.asarray(vecdot(x, y, **k)), rng))
        moved = exact(samples)
    # Every sum of the extraction by its last bit. Entropies and spectra of rounding alone need the absolute part.
    np.testing.assert_allclose(moved[:, :2], expected[:, :2], rtol=1e-9, atol=1e-12)


@given(st.integers(0, 999), st.sampled_from([2**-15, 2**-7, 2**-3]), st.sampled_from([0.0, 0.25, 0.1]))
@settings(max_examples=50, deadline=None)
def test_crossings_are_continuous(seed: int, step: float, offset: float) -> None:
    """|change of zcr| ≤ Σ|change of x| / zone / (L − 1), whatever the samples."""
    rng = np.random.default_rng(seed)
    samples = np.round(rng.standard_normal(FRAME) * rng.uniform(0.5, 20)) * step / 32 + offset
    moved = samples + rng.uniform(-1, 1, FRAME) * 1e-9 * samples.std()
    # Each change counts at both of its sides, half each; twice that leaves room for the mean and the zone.
    assert abs(exact(moved)[0, 0] - exact(samples)[0, 0]) <= 2 * 1e-9 / 0.01 * FRAME / (FRAME - 1)


def test_samples_at_the_mean_are_no_crossings() -> None:
    """A quarter of the samples equal the mean but for the rounding of the sum: 0 1 0 −1 again and again."""
    samples = np.resize([0.2, 1.0, 0.2, -0.6], FRAME)
    assert exact(samples)[0, 0] == pytest.approx((2 * FRAME / 4 - 0.5) / (FRAME - 1), abs=1e-12)
    assert exact(samples * 0.1)[0, 0] == pytest.approx(exact(samples)[0, 0], abs=1e-12)


def test_the_rolloff_of_equal_lines_hangs_on_no_rounding(monkeypatch) -> None:
    """An impulse has 800 lines of equal power: 0.90 of them end exactly with the 720th."""
    vecdot, rng = np.vecdot, np.random.default_rng(0)
    samples = np.eye(1, FRAME, 700).ravel()
    expected = exact(samples)[0, COLUMN["spectral_rolloff"]]
    assert expected == 720 / 800
    for _ in range(20):
        monkeypatch.setattr(np, "vecdot", lambda x, y, **k: ulps(np.asarray(vecdot(x, y, **k)), rng))
        assert exact(ulps(samples, rng))[0, COLUMN["spectral_rolloff"]] == expected
        monkeypatch.undo()


@pytest.mark.corpora
@pytest.mark.parametrize("corpus", ["emodb/wav", "ravdess", "ljspeech/wavs"])
def test_the_last_bit_of_the_mean_moves_no_feature_of_speech(data: Path, corpus: str, monkeypatch) -> None:
    rng, vecdot = np.random.default_rng(0), np.vecdot
    for path in sorted(path for path in (data / corpus).rglob("*.*") if path.suffix in (".wav", ".flac"))[::12][:50]:
        samples = audio.load(path).samples
        expected = exact(samples)
        with monkeypatch.context() as patch:
            patch.setattr(np, "vecdot", lambda x, y, **k: ulps(np.asarray(vecdot(x, y, **k)), rng))
            moved = exact(samples)
        np.testing.assert_allclose(moved, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n", [1, 65_535, 65_536, 200_000])
@pytest.mark.parametrize("sample", [-32_768, 32_767])
def test_the_sum_of_the_loudest_samples_is_exact(n: int, sample: int) -> None:
    assert short_term.exact_sum(np.full(n, sample, np.int16)) == n * sample


def test_the_buffer_of_numpy_is_left_as_it_was() -> None:
    before = np.getbufsize()
    extract(np.zeros(FRAME, np.float32), 16_000)
    with pytest.raises(AudioError, match="too low"):  # raised with the small buffer set
        extract(np.zeros(FRAME, np.float32), 4_000)
    assert np.getbufsize() == before


def test_threads_do_not_share_their_workspace() -> None:
    signals = [noise(100 * FRAME, seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        for found, signal in zip(pool.map(exact, signals), signals, strict=True):
            np.testing.assert_array_equal(found, exact(signal))


@pytest.mark.parametrize("mode", short_term.MODES)
def test_working_memory_does_not_grow_with_the_recording(mode: str) -> None:
    peaks = []
    for minutes in (2, 8):
        samples = as_int16(noise(minutes * 60 * RATE))
        extract(samples[:FRAME], RATE, mode=mode)  # tables and workspace
        tracemalloc.start()
        result = extract(samples, RATE, mode=mode)
        peaks.append(tracemalloc.get_traced_memory()[1] - result.nbytes)
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 100_000 and peaks[1] < 5_000_000  # sums of 486 frames; the recording has 15 MB


def test_the_last_frame_is_filled_with_zeros_and_kept() -> None:
    samples = noise(2 * FRAME + 400)
    features = exact(samples)
    assert len(features) == 3
    tail = samples[2 * FRAME :] - samples[2 * FRAME :].mean()
    assert features[2, COLUMN["energy"]] == pytest.approx((tail**2).sum() / FRAME, rel=1e-12)
    assert len(extract(samples, RATE, mode="pyaudioanalysis")) == 2
    assert extract(np.array([0.5]), RATE).shape == (1, 34)


@pytest.mark.parametrize("mode", short_term.MODES)
def test_max_frames_keeps_the_beginning(mode: str) -> None:
    samples = noise(150 * FRAME)
    whole = extract(samples, RATE, mode=mode)
    for n in (1, 128, 129, 150, 999):
        # Equal but for sums that run over stacks of another height.
        np.testing.assert_allclose(extract(samples, RATE, mode=mode, max_frames=n), whole[:n], rtol=1e-6, atol=1e-9)


def test_names() -> None:
    assert len(NAMES) == len(set(NAMES)) == 34
    package = pytest.importorskip("pyAudioAnalysis.ShortTermFeatures")
    assert list(NAMES) == package.feature_extraction(noise(FRAME), RATE, FRAME, FRAME, deltas=False)[1]


def test_functionals_are_means_and_deviations() -> None:
    features = np.arange(68, dtype=np.float32).reshape(2, 34)
    result = functionals(features)
    assert result.shape == (68,) and result.dtype == np.float32
    np.testing.assert_array_equal(result[:34], np.arange(34) + 17)
    np.testing.assert_array_equal(result[34:], 17)
    assert (functionals(features[:1])[34:] == 0).all()
    assert short_term.FUNCTIONAL_NAMES[0] == "zcr_mean" and short_term.FUNCTIONAL_NAMES[-1] == "chroma_std_std"
    for wrong in (np.zeros((0, 34)), np.zeros((5, 33)), np.zeros(34)):
        with pytest.raises(ConfigurationError, match=r"functionals need \(frames, 34\)"):
            functionals(wrong)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(0), "no samples"),
        (np.zeros((2, 1_600)), r"not float64 of shape \(2, 1600\)"),
        (np.zeros(1_600, np.int64), "int16, not int64"),
        (np.zeros(1_600, complex), "complex128"),
        (np.array([0.0, np.nan, 0.0]), "NaN or infinity"),
        (np.array([0.0, np.inf, 0.0]), "NaN or infinity"),
        (np.array([0.0, -np.inf, np.inf]), "NaN or infinity"),
        (np.full(1_600, 30_000.0), "samples reach 30000, but full scale is ±1: divide 16-bit samples by 32768"),
    ],
)
@pytest.mark.parametrize("mode", short_term.MODES)
def test_samples_that_cannot_be_analysed(samples: np.ndarray, message: str, mode: str) -> None:
    with pytest.raises(AudioError, match=message):
        extract(samples, RATE, mode=mode)


def test_options_that_are_wrong() -> None:
    with pytest.raises(ConfigurationError, match="mode 'fixed' is not known; modes are corrected, pyaudioanalysis"):
        extract(noise(FRAME), RATE, mode="fixed")
    for n in (0, -1, 1.5, True):
        with pytest.raises(ConfigurationError, match="give a whole number from 1 on, or None"):
            ShortTermConfig(max_frames=n)  # pyright: ignore[reportArgumentType]
    with pytest.raises(AudioError, match="8000 Hz is too low a sample rate: the mel filters reach 6854 Hz"):
        extract(noise(FRAME), 8_000)
    with pytest.raises(AudioError, match="1599 samples at 16000 Hz are less than one frame"):
        extract(noise(1_599), RATE, mode="pyaudioanalysis")
    assert extract(noise(2_000), 13_708).shape == (2, 34)
    with pytest.raises(AudioError, match="too low"):
        extract(noise(2_000), 13_707)


def test_the_key_differs_between_configurations() -> None:
    configs = [ShortTermConfig(m, n) for m in short_term.MODES for n in (None, 1, 200)]
    assert len({config.key() for config in configs}) == 6
    # Caches outlive a session: this string changes only together with the numbers.
    assert ShortTermConfig().key() == (
        '{"extractor": "short_term", "max_frames": null, "mode": "corrected", "version": 2}'
    )


def test_input_is_left_alone_and_nothing_heavy_is_imported() -> None:
    samples = noise(3 * FRAME).astype(np.float32)
    copy = samples.copy()
    for mode in short_term.MODES:
        extract(samples, RATE, mode=mode)
    np.testing.assert_array_equal(samples, copy)
    import subprocess

    code = "import sys, duetto.features.short_term; sys.exit('torch' in sys.modules or 'scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
