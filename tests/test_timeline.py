"""Emotion over time, with the model that comes along: the law of pieces, channels, sessions, sources."""

import csv
import io
import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import soxr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import duetto
from duetto import audio
from duetto.cli import app
from duetto.data.manifest import read_manifest
from duetto.data.text import normalise
from duetto.data.utterance import Word
from duetto.errors import AudioError, ConfigurationError
from duetto.inference.prediction import Prediction
from duetto.inference.recogniser import Recogniser
from duetto.live import (
    Partial,
    SegmenterConfig,
    SpeechStarted,
    SpeechStopped,
    StreamConfig,
    StreamEvent,
    StreamingRecogniser,
    UtteranceAnswered,
    WindowAnswered,
    analyse,
)
from duetto.live.formats import FORMATS, Recorded
from duetto.live.transcript import aligned_words
from sounds import RATE, conversation, no_voices, voice

CONFIG = StreamConfig(SegmenterConfig(max_utterance=2.0, cut_window=0.8, snapshot=0.5), window=1.5, hop=1.0)


@cache
def recogniser() -> Recogniser:
    return duetto.load()


@pytest.fixture(scope="module")
def talk(tree: Path) -> np.ndarray:
    return conversation(tree, 4)


def streamed(pieces: list[np.ndarray], config: StreamConfig = CONFIG, **more: Any) -> list[StreamEvent]:
    stream = StreamingRecogniser(more.pop("recogniser", recogniser()), config, **more)
    return [event for piece in pieces for event in stream.push(piece)] + stream.finish()


@given(st.lists(st.integers(0, 40_000), max_size=30))
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pieces_of_any_length_give_equal_events(talk: np.ndarray, lengths: list[int]) -> None:
    whole = streamed([talk])
    assert {type(event) for event in whole} == {
        SpeechStarted,
        Partial,
        UtteranceAnswered,
        WindowAnswered,
        SpeechStopped,
    }
    assert streamed(np.split(talk, np.cumsum(lengths))) == whole


@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_a_stream_of_another_rate_is_converted_whatever_its_pieces(talk: np.ndarray, rate: int) -> None:
    sound = soxr.resample(talk, RATE, rate).astype(np.float32)
    whole = streamed([sound], sample_rate=rate)
    assert streamed(np.split(sound, range(333, len(sound), 777)), sample_rate=rate) == whole
    found = [e.segment for e in whole if isinstance(e, UtteranceAnswered)]
    as_file = analyse(recogniser(), {"waveform": sound, "sample_rate": rate}, CONFIG)
    assert tuple(replace(segment, channel=0) for segment in found) == as_file.segments


def test_an_answer_is_that_of_the_samples_of_its_utterance() -> None:
    """A voice between two silences: the recogniser is given it with 0.2 s on each side."""
    silence = np.zeros(RATE, np.float32)
    sound = np.concatenate((silence, voice(1.5), silence))
    (found,) = analyse(recogniser(), {"waveform": sound, "sample_rate": RATE}).segments
    part = sound[round(found.start * RATE) - 3200 : round(found.end * RATE) + 3200]
    expected = recogniser()({"waveform": part, "sample_rate": RATE})
    assert (found.label, found.probabilities) == (expected.label, expected.probabilities)
    assert found.speech_seconds == expected.speech_seconds and found.kind == "utterance"
    assert abs(found.start - 1.0) < 0.2 and abs(found.end - 2.5) < 0.2


def test_an_explained_answer_is_that_of_the_recogniser_at_its_place() -> None:
    silence = np.zeros(RATE, np.float32)
    sound = np.concatenate((silence, voice(1.5), silence))
    source = {"waveform": sound, "sample_rate": RATE}
    (found,) = analyse(recogniser(), source, StreamConfig(explain=True, window=1.0)).segments
    (plain,) = analyse(recogniser(), source).segments
    assert replace(found, explanation=None) == plain and plain.explanation is None
    first = round(found.start * RATE) - 3200
    part = sound[first : round(found.end * RATE) + 3200]
    expected = recogniser().explain({"waveform": part, "sample_rate": RATE}).shifted(first / RATE)
    assert found.explanation is not None and len(expected.moments) >= 2
    assert (found.explanation.moments, found.explanation.words) == (expected.moments, expected.words)
    assert found.start - 0.2 < expected.moments[0].start < expected.moments[-1].end < found.end + 0.2
    assert found.to_json() == {**plain.to_json(), "explanation": expected.to_json()}
    events = streamed([sound], StreamConfig(SegmenterConfig(snapshot=0.5), explain=True), channel=0)
    partial = [e.segment for e in events if isinstance(e, Partial)]
    assert partial and not any(segment.explanation for segment in partial)
    assert [e.segment for e in events if isinstance(e, UtteranceAnswered)] == [found]


def test_events_are_known_in_order_and_within_the_lookahead(talk: np.ndarray) -> None:
    events = streamed([talk])
    assert [event.known_at for event in events] == sorted(event.known_at for event in events)
    for event in events:
        if isinstance(event, UtteranceAnswered):
            assert event.known_at - event.segment.end <= CONFIG.segmenter.lookahead_seconds + 0.128
        json.dumps(event.to_json(), allow_nan=False)
        assert event.to_json()["event"] == event.event


def test_partial_answers_grow_towards_the_final_one() -> None:
    events = streamed([voice(1.9)], StreamConfig(SegmenterConfig(snapshot=0.5)))
    *partial, final = [e.segment for e in events if isinstance(e, Partial | UtteranceAnswered)]
    assert len(partial) >= 2 and final.kind == "utterance"
    assert {p.start for p in partial} == {final.start}
    assert [p.end for p in partial] == sorted(p.end for p in partial) and partial[-1].end <= final.end


# channels


@pytest.fixture(scope="module")
def two_speakers(tree: Path) -> np.ndarray:
    """(2, n): the first speaks and stops, then the second."""
    first, second = conversation(tree, 1, 1), conversation(tree, 3, 2)
    return np.stack((np.pad(first, (0, len(second))), np.pad(second, (len(first), 0)))).astype(np.float32)


@pytest.mark.parametrize("as_file_object", [False, True])
def test_two_channels_are_two_speakers(tmp_path: Path, two_speakers: np.ndarray, as_file_object: bool) -> None:
    path = tmp_path / "call.wav"
    audio.write(path, two_speakers, RATE)
    with path.open("rb") as file:
        found = analyse(recogniser(), file if as_file_object else path)
    channels = [segment.channel for segment in found.segments]
    assert channels == sorted(c for c in channels if c is not None) and set(channels) == {0, 1} and found.channels == 2
    assert found.duration == two_speakers.shape[1] / RATE
    (second,) = audio.stream(path, channel=1, block_seconds=1000)
    alone = analyse(recogniser(), {"waveform": second, "sample_rate": RATE})
    assert tuple(replace(s, channel=0) for s in found.segments if s.channel == 1) == alone.segments


def test_channels_are_mixed_with_a_warning_or_chosen(two_speakers: np.ndarray) -> None:
    source = {"waveform": two_speakers, "sample_rate": RATE}
    mixed = analyse(recogniser(), source, channels="mix")
    assert {segment.channel for segment in mixed.segments} == {None} and "2 channels were mixed" in mixed.warnings[0]
    first = analyse(recogniser(), source, channels=0)
    assert {segment.channel for segment in first.segments} == {0} and not first.warnings
    for wrong in (2, -1, cast(Any, "left")):
        with pytest.raises(ConfigurationError, match="give 'split', 'mix' or one of 0 to 1"):
            analyse(recogniser(), source, channels=wrong)
    with pytest.raises(AudioError, match="it has channels 0 to 1"):
        list(audio.stream(source, channel=2))


def test_a_channel_is_streamed_as_it_is() -> None:
    noise = np.random.default_rng(0).uniform(-1, 1, (3, 40_000)).astype(np.float32)
    for channel in range(3):
        blocks = audio.stream({"waveform": noise, "sample_rate": RATE}, block_seconds=0.7, channel=channel)
        np.testing.assert_array_equal(np.concatenate(list(blocks)), noise[channel])


def test_recordings_without_speech_have_an_empty_time_line() -> None:
    for name, sound in no_voices().items():
        found = analyse(recogniser(), {"waveform": sound, "sample_rate": RATE}, StreamConfig(window=2.0))
        assert found.segments == (), name
        assert [window.label for window in found.windows] == [None, None]
        assert [(window.start, window.end) for window in found.windows] == [(0.0, 2.0), (2.0, 3.0)]


def test_a_recording_is_described(talk: np.ndarray) -> None:
    found = analyse(recogniser(), {"waveform": talk, "sample_rate": RATE})
    record = found.to_json("call.wav")
    assert record["file"] == "call.wav" and record["duration"] == round(len(talk) / RATE, 3)
    assert record["labels"] == list(recogniser().labels) and len(record["segments"]) == len(found.segments) > 0
    json.dumps(record, allow_nan=False)


# sessions, with a recogniser that states what it was given


class _Session:
    def __init__(self, utterances: int = 0) -> None:
        self.utterances = utterances

    def fork(self) -> "_Session":
        return _Session(self.utterances)

    def attempt(self, source: dict[str, Any]) -> Any:
        self.utterances += 1
        if len(source["waveform"]) < RATE:
            return AudioError("too short")
        words = (Word("yes", 0.1, 0.4), Word("no"))
        prediction = Prediction("sad", {"sad": 1.0}, words, "recognised", 1.0, 0.5, "double", ())
        return replace(prediction, session_utterances=self.utterances - 1)


class _Adapting:
    """What a stream needs of a recogniser that adapts."""

    name, labels = "double", ("sad",)

    def __init__(self) -> None:
        self.own = _Session(100)

    def session(self) -> _Session:
        return _Session()

    def attempt(self, source: dict[str, Any]) -> Any:
        return _Session(-1).attempt(source)


def test_only_utterances_count_for_the_statistics_and_words_have_times_of_the_stream(talk: np.ndarray) -> None:
    double = cast(Recogniser, _Adapting())
    events = streamed([talk], recogniser=double)
    counts, before = [], 0
    for event in events:
        if isinstance(event, UtteranceAnswered | Partial | WindowAnswered):
            segment = event.segment
            if segment.label is None:
                assert segment.warnings == ("too short",)
            else:
                assert segment.session_utterances == before
            before += isinstance(event, UtteranceAnswered)
            counts.append(segment.kind)
    assert before >= 3 and {"utterance", "partial", "window"} <= set(counts)
    windows = [e.segment for e in events if isinstance(e, WindowAnswered) and e.segment.label]
    assert [w.words[0].start for w in windows] == pytest.approx([w.start + 0.1 for w in windows])
    assert windows[0].words[1].start is None


class _Reading:
    """States the words that it is given."""

    name, labels = "double", ("sad",)

    def session(self) -> None:
        raise ConfigurationError("does not adapt")

    def attempt(self, source: dict[str, Any], *, words: Any = None) -> Prediction:
        return Prediction("sad", {"sad": 1.0}, tuple(words or ()), "given", 1.0, 0.5, "double", ())


def test_an_utterance_is_given_the_words_in_it() -> None:
    silence = np.zeros(RATE, np.float32)
    sound = np.concatenate((silence, voice(1.5), silence, silence, voice(1.5), silence))
    source = {"waveform": sound, "sample_rate": RATE}
    words = [
        Word("one", 1.1, 1.4),
        Word("two", 2.3, 2.6),
        Word("nobody", 3.3, 3.6),
        Word("three", 4.8, 5.2),
        Word("never"),
    ]
    found = analyse(cast(Recogniser, _Reading()), source, words=words)
    assert [[w.word for w in s.words] for s in found.segments] == [["one", "two"], ["three"]]
    np.testing.assert_allclose([w.start for s in found.segments for w in s.words], [1.1, 2.3, 4.8], atol=1e-9)  # type: ignore[arg-type]
    windows = analyse(cast(Recogniser, _Reading()), source, StreamConfig(window=2.0), words=words).windows
    assert [[w.word for w in window.words] for window in windows][:2] == [["one"], ["two", "nobody"]]
    with pytest.raises(ConfigurationError, match="one channel"):
        analyse(cast(Recogniser, _Reading()), {"waveform": np.stack((sound, sound)), "sample_rate": RATE}, words=words)


def test_a_transcript_is_aligned_with_the_whole(manifest: Path) -> None:
    one, other = [u for u in read_manifest(manifest) if u.words][:2]
    sounds = [audio.load(each.audio).samples for each in (one, other)]
    gap = len(sounds[0]) / RATE + 1.0
    whole = np.concatenate((sounds[0], np.zeros(RATE, np.float32), sounds[1]))
    source = {"waveform": whole, "sample_rate": RATE}
    text = f"{one.text} {other.text}"
    words = aligned_words(source, text)
    assert [word.word for word in words] == normalise(text)
    expected = [*(one.words or ()), *(word.shifted(gap) for word in other.words or ())]
    for word, planted in zip(words, expected, strict=True):
        assert word.start is not None and planted.start is not None and abs(word.start - planted.start) < 0.25
    with pytest.raises(AudioError, match="cannot be aligned"):
        aligned_words(source, "entirely different words about railways and elephants in november")


def test_each_channel_has_a_session_and_one_may_be_given_or_left_out(talk: np.ndarray) -> None:
    double = _Adapting()
    source = {"waveform": np.stack((talk, talk)), "sample_rate": RATE}
    found = analyse(cast(Recogniser, double), source)
    by_channel = [[s.session_utterances for s in found.segments if s.channel == c and s.label] for c in (0, 1)]
    assert by_channel[0] == by_channel[1] and by_channel[0][0] == 0
    events = streamed([talk], recogniser=cast(Any, double), session=cast(Any, double.own))
    assert next(e.segment.session_utterances for e in events if isinstance(e, UtteranceAnswered)) == 100
    plain = streamed([talk], StreamConfig(adapt=False), recogniser=cast(Any, double))
    assert {e.segment.session_utterances for e in plain if isinstance(e, UtteranceAnswered) if e.segment.label} == {-1}


def test_what_a_stream_does_not_take() -> None:
    with pytest.raises(ConfigurationError, match="there is no window"):
        StreamConfig(hop=1.0)
    with pytest.raises(AudioError, match="the sample rate of the stream"):
        StreamingRecogniser(recogniser(), sample_rate=10)
    stream = StreamingRecogniser(recogniser())
    assert stream.push(np.empty(0, np.float32)) == [] == stream.finish()
    for call in (stream.finish, lambda: stream.push(voice(1))):
        with pytest.raises(AudioError, match="has ended"):
            call()


# the command


def listed(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["timeline", *map(str, arguments)])


def test_the_command_writes_each_format(tmp_path: Path, two_speakers: np.ndarray) -> None:
    path = tmp_path / "call.wav"
    audio.write(path, two_speakers, RATE)
    expected = Recorded(str(path), analyse(recogniser(), path))
    done = listed(path, "--json")
    assert done.exit_code == 0 and json.loads(done.stdout) == expected.timeline.to_json(str(path))
    for name, form in FORMATS.items():
        out = tmp_path / f"out{form.suffix}"
        assert listed(path, "-o", out, *(() if form.suffix else ("--format", name))).exit_code == 0
        for file, text in form.files([expected], out).items():
            assert file.read_text("utf-8") == text, name
    assert listed(path, "--format", "rttm").stdout == (tmp_path / "out.rttm").read_text()
    assert f"channel {expected.timeline.segments[0].channel}" in (tmp_path / "out.txt").read_text("utf-8")


def test_the_command_writes_a_file_for_each_recording(tmp_path: Path) -> None:
    for name in ("a/x.wav", "b/x.wav"):
        (tmp_path / name).parent.mkdir()
        audio.write(tmp_path / name, voice(), RATE)
    done = listed("-r", tmp_path, "-o", tmp_path / "grids", "--format", "textgrid")
    assert done.exit_code == 0, done.output
    assert sorted(each.name for each in (tmp_path / "grids").iterdir()) == ["x-2.TextGrid", "x.TextGrid"]
    assert listed("-r", tmp_path, "-o", tmp_path / "all.csv").exit_code == 0
    rows = list(csv.DictReader(io.StringIO((tmp_path / "all.csv").read_text("utf-8"))))
    assert {row["file"] for row in rows} == {str(tmp_path / "a/x.wav"), str(tmp_path / "b/x.wav")}
    done = listed("-r", tmp_path, "-o", tmp_path / "all.vtt")
    assert done.exit_code == 2 and "holds one recording" in " ".join(done.output.replace("│", " ").split())


def test_the_command_continues_after_a_bad_file(tmp_path: Path) -> None:
    audio.write(tmp_path / "hum.wav", no_voices()["mains hum"], RATE)
    done = listed(tmp_path / "no.wav", tmp_path / "hum.wav", "--channels", "0")
    assert done.exit_code == 1
    assert "no.wav: no such file" in done.stderr and "1 of 2 recordings have no time line" in done.stderr
    assert "no speech was found" in done.stdout
