"""Utterances of a stream: the law of pieces, the stated look-ahead, constant memory, and decisions worked by hand."""

import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from duetto.audio.activity import ActivityConfig, speech_segments
from duetto.audio.silero import CHUNK
from duetto.errors import AudioError, ConfigurationError
from duetto.live import Segmenter, SegmenterConfig, SpeechBegin, SpeechEnd, SpeechSegment, segments
from duetto.live.gain import CausalGain
from duetto.live.history import History
from duetto.live.segments import SegmentEvent
from duetto.live.state import UtteranceState, in_chunks
from duetto.live.windows import SlidingWindows
from sounds import RATE, conversation, no_voices, voice


class Level:
    """Instead of the network: a running level, which depends on all chunks so far, as that of the network does."""

    def __init__(self) -> None:
        self._state = 0.0

    def add(self, block: np.ndarray) -> np.ndarray:
        out = []
        for level in np.sqrt(np.mean(np.square(block.reshape(-1, CHUNK), dtype=np.float64), axis=1)):
            self._state += 0.7 * (min(1.0, 20 * float(level)) - self._state)
            out.append(self._state)
        return np.array(out, np.float32)


@pytest.fixture
def by_level(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "SpeechDetector", Level)


def phrases() -> np.ndarray:
    """About 19 s: voices at several levels with pauses of 0.3 to 2 s in soft noise."""
    rng, parts = np.random.default_rng(5), []
    for gain, spoken, pause in ((1.0, 2.5, 0.3), (0.6, 1.5, 2.0), (2.0, 4.0, 0.7), (0.8, 3.0, 1.0), (1.0, 0.7, 1.5)):
        parts += [gain * voice(spoken), np.zeros(round(pause * RATE))]
    sound = np.concatenate(parts)
    return (sound + 1e-4 * rng.standard_normal(len(sound))).astype(np.float32)


CONFIG = SegmenterConfig(max_utterance=2.0, cut_window=0.8, snapshot=0.5)
"""Short utterances, so that some are cut."""


def pushed(pieces: Sequence[np.ndarray], config: SegmenterConfig = CONFIG) -> list[SegmentEvent]:
    segmenter = Segmenter(config)
    return [event for piece in pieces for event in segmenter.push(piece)] + segmenter.finish()


def comparable(event: Any) -> tuple[Any, ...]:
    values = [getattr(event, name) for name in type(event).__slots__]
    return (type(event).__name__, *(v.tobytes() if isinstance(v, np.ndarray) else v for v in values))


FIXED = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(st.lists(st.integers(0, 90_000), max_size=40), st.sampled_from([0, 1, 4096, 8191]))
@FIXED
@pytest.mark.usefixtures("by_level")
def test_pieces_of_any_length_give_equal_segments(lengths: list[int], left_out: int) -> None:
    sound = phrases()
    sound = sound[: len(sound) - left_out]
    whole = pushed([sound])
    assert len([e for e in whole if isinstance(e, SpeechSegment) and e.final]) >= 4
    assert any(isinstance(e, SpeechSegment) and e.cut for e in whole)
    pieces = np.split(sound, np.cumsum(lengths))
    assert [comparable(e) for e in pushed(pieces)] == [comparable(e) for e in whole]


@given(st.lists(st.integers(1, 30_000), max_size=30))
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pieces_of_any_length_give_equal_segments_of_speech(tree: Path, lengths: list[int]) -> None:
    """With the network."""
    sound = conversation(tree, 4)
    whole = pushed([sound])
    assert len([e for e in whole if isinstance(e, SpeechSegment) and e.final]) >= 4
    assert [comparable(e) for e in pushed(np.split(sound, np.cumsum(lengths)))] == [comparable(e) for e in whole]


def test_small_pieces_are_pieces() -> None:
    sound = voice()
    expected = [comparable(e) for e in pushed([sound])]
    assert len(expected) > 3
    for size in (37, 160, CHUNK):
        assert [comparable(e) for e in pushed(np.split(sound, range(size, len(sound), size)))] == expected


@given(st.integers(0, 20 * RATE))
@FIXED
@pytest.mark.usefixtures("by_level")
def test_no_segment_depends_on_what_comes_after_its_lookahead(at: int) -> None:
    sound = phrases()
    changed = np.concatenate((sound[:at], np.float32(0.5) * voice(5)[::-1]))
    for config in (CONFIG, SegmenterConfig()):
        lookahead = round(config.lookahead_seconds * RATE)
        pause = in_chunks(config.min_pause) * CHUNK
        before, after = ([e for e in pushed([s], config) if isinstance(e, SpeechSegment)] for s in (sound, changed))
        settled = [e for e in before if e.known_at <= at]
        assert [comparable(e) for e in settled] == [comparable(e) for e in after[: len(settled)]]
        for event in before:
            if event.final and event.known_at < len(sound):  # the end of a group comes up to 3 chunks later
                assert event.known_at - event.end <= (lookahead if event.cut else pause) + 3 * CHUNK


@pytest.mark.usefixtures("by_level")
def test_each_beginning_has_its_end_and_samples_are_those_that_were_pushed() -> None:
    sound, used, inside = phrases(), 0, False
    for event in pushed([sound]):
        if isinstance(event, SpeechSegment):
            assert inside and event.first <= event.start < event.end <= event.first + len(event.samples)
            np.testing.assert_array_equal(event.samples, sound[event.first : event.first + len(event.samples)])
            assert event.first >= used
            used = event.first + len(event.samples) if event.final else used
            assert event.end - event.start <= round(CONFIG.max_utterance * RATE) + CHUNK
        else:
            assert isinstance(event, SpeechEnd if inside else SpeechBegin)
            inside = not inside
    assert not inside


@pytest.mark.usefixtures("by_level")
def test_padding_reaches_as_far_as_stated() -> None:
    events = pushed([phrases()], SegmenterConfig())
    assert len(events) >= 9
    for event in events:
        if isinstance(event, SpeechSegment):
            assert event.start - event.first in (3200, event.start)
            assert event.first + len(event.samples) - event.end in (3200, 0)


@pytest.mark.parametrize("name", no_voices())
def test_sounds_without_speech(name: str) -> None:
    assert pushed([no_voices()[name]], SegmenterConfig()) == []


def test_long_streams_take_constant_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half an hour, with speech that seldom pauses; the network is replaced by the peak."""

    class Peak:
        def add(self, block: np.ndarray) -> np.ndarray:
            return (np.abs(block.reshape(-1, CHUNK)).max(axis=1) > 0.05).astype(np.float32)

    monkeypatch.setattr(segments, "SpeechDetector", Peak)
    minute = np.random.default_rng(0).uniform(-0.5, 0.5, 60 * RATE).astype(np.float32)
    minute[5 * RATE : 6 * RATE] = 0
    segmenter, found = Segmenter(), 0

    def peak(minutes: int) -> int:
        nonlocal found
        tracemalloc.start()
        for _ in range(minutes):
            found += sum(isinstance(event, SpeechSegment) for event in segmenter.push(minute))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    first = peak(3)
    assert peak(27) < 1.1 * first
    assert found > 4 * 29


def test_what_a_stream_does_not_take() -> None:
    segmenter = Segmenter()
    assert segmenter.push(np.empty(0, np.float32)) == []
    with pytest.raises(AudioError, match="NaN"):
        segmenter.push(np.full(100, np.nan))
    assert segmenter.finish() == []
    for call in (segmenter.finish, lambda: segmenter.push(voice(1))):
        with pytest.raises(AudioError, match="has ended"):
            call()


def test_int16_counts_as_float() -> None:
    signal = np.rint(voice() * 32768).astype(np.int16)
    expected = [comparable(e) for e in pushed([signal / np.float32(32768)])]
    assert [comparable(e) for e in pushed([signal])] == expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": 1.0}, {"release": 0.6}, {"min_speech": 0.0}, {"min_pause": 11.0}, {"max_utterance": 0.5},
        {"cut_window": 8.0}, {"padding": 0.3}, {"snapshot": 0.0},
    ],
)  # fmt: skip
def test_settings_out_of_range(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        SegmenterConfig(**wrong)


# Chunks; speech begins at 0.5 and lasts from 0.35 on. At least 2 of speech, a pause of 3 ends, 10 are the most, of
# which the last 4 may be cut. Levels are 9 but where stated.
BY_HAND: list[tuple[list[float], dict[int, int], list[tuple[str, int, int]]]] = [
    ([0.0] * 9, {}, []),
    ([0.4] * 9, {}, []),
    ([0.9, 0, 0, 0, 0.9], {}, []),  # too short, each
    ([0.9, 0.4, 0, 0, 0], {}, [("begin", 0, 2), ("utterance", 0, 2), ("end", 2, 2)]),
    ([0.9, 0, 0, 0.4, 0, 0, 0], {}, [("begin", 0, 4), ("utterance", 0, 4), ("end", 4, 4)]),
    ([0, 0.9, 0.9], {}, [("begin", 1, 3), ("utterance", 1, 3), ("end", 3, 3)]),  # the stream ends
    (  # cut at the latest of the quietest of chunks 6 to 9, which begins the next utterance
        [0.9] * 12,
        {3: 0, 7: 5, 8: 5},
        [("begin", 0, 2), ("utterance", 0, 8), ("utterance", 8, 12), ("end", 12, 12)],
    ),
    (  # cut in a pause: the utterance ends before it, the next one begins after it
        [0.9] * 7 + [0, 0] + [0.9] * 3,
        {8: 1},
        [("begin", 0, 2), ("utterance", 0, 7), ("utterance", 9, 12), ("end", 12, 12)],
    ),
    (  # what is left after a cut is too short for an utterance
        [0.9] * 9 + [0.0] * 5,
        {8: 1},
        [("begin", 0, 2), ("utterance", 0, 8), ("end", 9, 9)],
    ),
]


@pytest.mark.parametrize(("probabilities", "quiet", "expected"), BY_HAND)
def test_decisions_by_hand(
    probabilities: list[float], quiet: dict[int, int], expected: list[tuple[str, int, int]]
) -> None:
    state = small_state()
    found = [each for i, p in enumerate(probabilities) for each in state.step(p, quiet.get(i, 9))] + state.close()
    assert [(each.kind, each.start, each.end) for each in found] == expected


def small_state(**changes: Any) -> UtteranceState:
    lengths: dict[str, Any] = {"shortest": 2, "pause": 3, "longest": 10, "window": 4, "snapshot": None}
    return UtteranceState(threshold=0.5, release=0.35, **(lengths | changes))


def test_snapshots_come_at_multiples_of_their_interval() -> None:
    state = small_state(longest=100, snapshot=4)
    found = [(i, each) for i in range(10) for each in state.step(0.9 if i != 7 else 0.0, 9)]
    assert [(i, each.start, each.end) for i, each in found if each.kind == "snapshot"] == [(3, 0, 4), (7, 0, 7)]


@given(st.lists(st.sampled_from([0.0, 0.3, 0.4, 0.45, 0.6, 0.9]), max_size=80), st.integers(1, 5), st.integers(4, 8))
def test_utterances_are_the_segments_of_the_whole_recording(probabilities: list[float], shortest: int, pause: int):
    """Where none is too long: those of `speech_segments`, which is written another way, with enough speech in them."""
    state = small_state(shortest=shortest, pause=pause, longest=1000, window=10)
    found = [each for p in probabilities for each in state.step(p, 0)] + state.close()
    utterances = [(each.start, each.end) for each in found if each.kind == "utterance"]
    config = ActivityConfig(min_speech=0, min_silence=pause * CHUNK / RATE, padding=0)
    expected = [(a // CHUNK, b // CHUNK) for a, b in speech_segments(np.array(probabilities), config=config)]
    spoken = [sum(p >= 0.35 for p in probabilities[a:b]) for a, b in expected]
    assert utterances == [each for each, count in zip(expected, spoken, strict=True) if count >= shortest]


def test_the_gain_follows_its_formula() -> None:
    rng = np.random.default_rng(0)
    chunks = (rng.uniform(-1, 1, (60, CHUNK)) * rng.choice([1e-6, 1e-3, 0.3], (60, 1)) + 0.1).astype(np.float32)
    gain = CausalGain()
    found = np.concatenate([gain(chunks[:7]), gain(chunks[7:])])
    peak, offset = 0.0, None
    for chunk, amplified in zip(chunks.astype(np.float64), found, strict=True):
        peak = max((chunk.max() - chunk.min()) / 2, peak * 0.5 ** (0.032 / 10), 1e-4)
        offset = chunk.mean() if offset is None else offset + 0.032 * (chunk.mean() - offset)
        np.testing.assert_allclose(amplified, (chunk - offset) * max(1.0, 0.05 / peak), rtol=1e-3, atol=1e-5)


def test_soft_speech_is_found(tree: Path) -> None:
    sound = conversation(tree, 4)
    seconds = []
    for level in (1.0, 0.1, 0.001):
        found = pushed([np.float32(level) * sound], SegmenterConfig())
        seconds.append(sum(e.end - e.start for e in found if isinstance(e, SpeechSegment)) / RATE)
    assert seconds[0] > 4 and min(seconds) > 0.9 * max(seconds)


def test_loud_speech_is_not_amplified() -> None:
    chunks = voice()[: 60 * CHUNK].reshape(60, CHUNK)
    gain = CausalGain()
    gain(chunks[:30])
    means = chunks[30:].mean(axis=1, keepdims=True)
    assert np.abs(gain(chunks[30:])).max() <= np.abs(chunks[30:] - means).max() + 0.01


@given(st.lists(st.integers(0, 20), max_size=50), st.integers(0, 30))
def test_a_history_is_the_end_of_its_stream(lengths: list[int], kept: int) -> None:
    history, whole = History(kept + 20), np.empty(0, np.float32)
    for length in lengths:
        block = np.arange(len(whole), len(whole) + length, dtype=np.float32)
        whole = np.concatenate((whole, block))
        history.append(block)
        np.testing.assert_array_equal(history.cut(history.begin, history.end + 5), whole[history.begin :])
        history.drop(history.end - kept)
        assert (history.begin, history.end) == (max(0, len(whole) - kept), len(whole))


@given(st.lists(st.integers(0, 3 * RATE), max_size=10), st.sampled_from([(1.0, 0.5), (1.0, 1.0), (0.5, 0.8)]))
@settings(max_examples=30, deadline=None)
def test_windows_lie_at_multiples_of_their_hop(lengths: list[int], timing: tuple[float, float]) -> None:
    length, hop = (round(seconds * RATE) for seconds in timing)
    sound = np.arange(sum(lengths), dtype=np.float32)
    windows, found = SlidingWindows(*timing, 3 * RATE), []
    for piece in np.split(sound, np.cumsum(lengths)):
        found += windows.push(piece)
    full = list(range(0, len(sound) - length + 1, hop))
    assert [w.first for w in found] == full
    rest = windows.finish()
    last = full[-1] + max(length, hop) if full else 0
    assert [w.first for w in rest] == ([full[-1] + hop if full else 0] if last < len(sound) else [])
    for window in found + rest:
        assert window.samples[0] == window.first and window.samples[-1] == window.known_at - 1


@pytest.mark.parametrize("timing", [(0.1, 1.0), (1.0, 0.1), (61.0, 1.0)])
def test_windows_out_of_range(timing: tuple[float, float]) -> None:
    with pytest.raises(ConfigurationError, match=r"give 0\.5 to 60 seconds"):
        SlidingWindows(*timing, RATE)
