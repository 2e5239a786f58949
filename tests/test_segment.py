"""The segmenter on planted signals and on synthetic speech with known word times."""

import math
from itertools import pairwise

import numpy as np
import pytest

from duetto import audio
from duetto.asr.align import Aligner
from duetto.asr.metrics import BoundaryCounts, boundary_counts, boundary_times
from duetto.asr.segment import SegmenterConfig, segment, without_spelling
from duetto.audio.timing import SAMPLE_RATE
from duetto.data.utterance import Word
from duetto.errors import AudioError, ConfigurationError

SENTENCES = (
    "I can't believe you did that to me",
    "the train leaves the station at seven every evening",
    "could you bring me another cup of coffee please",
    "nobody ever listens to a word that I say",
    "why are you always so late in the morning",
    "we won the game and everybody was happy",
)


def vowel(seconds: float, formants: tuple[float, float]) -> np.ndarray:
    """A steady vowel-like sound: two tones with a soft onset and offset."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    envelope = np.minimum(1, np.minimum(time, seconds - time) / 0.02).clip(0)
    tones = sum(np.sin(2 * np.pi * f * time) for f in formants)
    return (0.2 * envelope * tones).astype(np.float32)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


def test_planted_pauses():
    signal = np.concatenate(
        [silence(0.3), vowel(0.3, (500, 1500)), silence(0.3), vowel(0.4, (700, 1100)), silence(0.3)]
    )
    found = segment(signal)
    assert [word.word for word in found] == ["", ""]
    assert {word.source for word in found} == {"segmented"}
    # The onsets are ramps of 20 ms, seen through windows of 25 ms: 30 ms covers both.
    assert boundary_times(found) == pytest.approx([0.3, 0.6, 0.9, 1.3], abs=0.03)


def test_planted_change_of_sound():
    # Two vowels without a pause: the dip and the change of spectrum mark the boundary at 0.65 s.
    signal = np.concatenate([silence(0.3), vowel(0.35, (300, 2200)), vowel(0.35, (700, 1100)), silence(0.3)])
    found = boundary_times(segment(signal))
    assert np.abs(found - 0.65).min() <= 0.02


def test_level_does_not_matter():
    rng = np.random.default_rng(0)
    signal = np.concatenate([vowel(0.3, (500, 1500)), vowel(0.2, (300, 2200)), vowel(0.4, (700, 1100))])
    signal += rng.standard_normal(len(signal)).astype(np.float32) * 1e-3
    assert segment(signal) == segment(signal * np.float32(2**-8))  # a power of two loses no bit
    assert segment(signal)


@pytest.mark.parametrize(
    "signal",
    [
        np.zeros(1, np.float32),
        np.zeros(SAMPLE_RATE, np.float32),
        np.full(SAMPLE_RATE, 0.5, np.float32),
        np.random.default_rng(0).standard_normal(3 * SAMPLE_RATE).astype(np.float32) * 0.1,
        np.sin(np.arange(2 * SAMPLE_RATE) * 0.1),
    ],
    ids=["one sample", "silence", "DC", "noise", "tone"],
)
def test_no_speech(signal):
    assert segment(signal) == ()


@pytest.mark.parametrize("n", [800, 801, 1000, 2400])
def test_short_signals(n):
    signal = np.random.default_rng(n).standard_normal(n)
    for word in segment(signal):
        assert 0 <= word.start < word.end <= n / SAMPLE_RATE


@pytest.mark.parametrize(
    ("signal", "message"),
    [
        (np.zeros(0, np.float32), "no samples"),
        (np.array([0.0, math.nan]), "sample 1 is nan"),
        (np.zeros((2, 100)), r"shape \(2, 100\)"),
        (np.zeros(100, np.int32), "int32"),
    ],
)
def test_bad_samples(signal, message):
    with pytest.raises(AudioError, match=message):
        segment(signal)


@pytest.mark.parametrize(
    "values", [{"envelope_frames": 0}, {"change_frames": 1.5}, {"duration": 0.0}, {"dip_weight": -1}]
)
def test_bad_settings(values):
    with pytest.raises(ConfigurationError, match=next(iter(values))):
        SegmenterConfig(**values)


def test_recogniser_boundaries_lose_their_words():
    words = [Word("a", 0.1, 0.3, "recognised", 0.5), Word("b")]
    assert without_spelling(words) == (Word("", 0.1, 0.3, "segmented"),)


def pooled(pairs, tolerance):
    total = BoundaryCounts(0, 0, 0)
    for truth, found in pairs:
        total = total + boundary_counts(truth, found, tolerance)
    return total


def test_true_word_times():
    pytest.importorskip("espeakng_loader")
    from duetto.synthetic.espeak import Speaker

    found, blind = [], []
    for text in SENTENCES:
        signal, words = Speaker("f2").synthesise(text)
        truth = boundary_times(words)
        segments = segment(signal)
        assert all(a.end <= b.start for a, b in pairwise(segments))
        found.append((truth, boundary_times(segments)))
        blind.append((truth, np.linspace(truth[0], truth[-1], len(found[-1][1]))))
    ours, chance = pooled(found, 0.05), pooled(blind, 0.05)
    # F is 0.65 over 48 utterances (docs/words.md); 0.5 leaves room for these few. As many boundaries, evenly
    # spread between the true ends (which they are given), must do clearly worse.
    assert ours.f_score > 0.5
    assert ours.r_value > 0.55
    assert ours.f_score > chance.f_score + 0.1


@pytest.mark.corpora
def test_human_speech(data):
    rows = (data / "ljspeech" / "metadata.csv").read_text(encoding="utf-8").splitlines()[-12:]  # not tuned on
    aligner, pairs = Aligner(), []
    for row in rows:
        name, _, text = row.split("|")
        signal = audio.load(next((data / "ljspeech" / "wavs").glob(f"{name}.*"))).samples
        pairs.append((boundary_times(aligner.align(signal, text).words), boundary_times(segment(signal))))
    # 0.615 over the whole second half; evenly spaced boundaries reach 0.36.
    assert pooled(pairs, 0.05).f_score > 0.5
