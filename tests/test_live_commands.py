"""`duetto stream` and the page of `duetto timeline`."""

import io
import json
import re
import shutil
import subprocess
import sys
import types
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

import duetto
from duetto import audio
from duetto.cli import app
from duetto.errors import AudioError, MissingExtraError
from duetto.live import ChannelStreams, StreamConfig, StreamingRecogniser, analyse, microphone, page
from duetto.live.channel_streams import LiveSound, pcm_stream, real_time, recorded_stream
from duetto.live.formats import Recorded
from duetto.report import rendering
from sounds import RATE, voice

RUN = CliRunner()
TALK = np.concatenate([voice(), np.zeros(RATE, np.float32), voice()])
CALL = np.stack([TALK, TALK[::-1]])


@pytest.fixture(scope="module")
def recogniser() -> Any:
    return duetto.load()


@pytest.fixture
def call(tmp_path: Path) -> Path:
    audio.write(tmp_path / "call.wav", CALL, RATE)
    return tmp_path / "call.wav"


def expected(recogniser: Any, sound: np.ndarray, channel: int) -> list[dict]:
    stream = StreamingRecogniser(recogniser, channel=channel)
    return [event.to_json() for event in stream.push(sound) + stream.finish()]


def printed(*arguments: object, stdin: bytes | None = None) -> list[dict]:
    done = RUN.invoke(app, ["stream", *map(str, arguments)], input=stdin)
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_file_and_a_pipe_give_the_events_of_the_stream(call: Path, recogniser: Any) -> None:
    sound, _ = soundfile.read(call, dtype="float32")
    by_channel = [expected(recogniser, sound[:, channel], channel) for channel in (0, 1)]
    pcm = np.rint(CALL.T * 32_768).astype("<i2").tobytes()
    for events in (
        printed(call),
        printed("-", stdin=call.read_bytes()),
        printed("-", "--rate", RATE, "--raw-channels", 2, stdin=pcm),
    ):
        assert [[e for e in events if e["channel"] == channel] for channel in (0, 1)] == by_channel
    assert printed(call, "--channels", 1) == by_channel[1]
    kinds = {event["event"] for event in printed(call, "--interval", 0.5, "--window", 1, "--realtime")}
    assert kinds == {"speech_started", "partial", "utterance", "speech_stopped", "window"}


def test_wrong_uses_of_stream(call: Path) -> None:
    done = RUN.invoke(app, ["stream", "-"], input=b"no wav file")
    assert isinstance(done.exception, AudioError) and "give --rate HZ" in str(done.exception)
    assert RUN.invoke(app, ["stream", str(call), "--device", "x"]).exit_code == 2
    assert RUN.invoke(app, ["stream", str(call), "--interval", "0.01"]).exit_code == 2


def test_a_wav_file_through_a_pipe_of_any_pieces() -> None:
    for subtype in ("PCM_16", "FLOAT"):
        for form in ("WAV", "WAVEX"):
            out = io.BytesIO()
            soundfile.write(out, CALL.T, RATE, subtype=subtype, format=form)

            class Pieces(io.BytesIO):
                def read1(self, size: int | None = -1, /) -> bytes:
                    return super().read1(min(size or 1, 4_097))

            sound = pcm_stream(Pieces(out.getvalue()))
            out.seek(0)
            whole, _ = soundfile.read(out, dtype="float32")
            assert (sound.sample_rate, sound.channels) == (RATE, 2)
            assert np.array_equal(np.concatenate(list(sound.blocks)), whole)
    bad = io.BytesIO()
    soundfile.write(bad, CALL.T, RATE, subtype="PCM_24", format="WAV")
    bad.seek(0)
    with pytest.raises(AudioError, match="wav of type 1 with 24 bits; give 16 bits or 32-bit floats"):
        pcm_stream(bad)


def test_real_time_holds_each_block_back_until_its_end() -> None:
    now, waits = [100.0], []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    sound = real_time(LiveSound(1_000, 1, iter([np.zeros((250, 1))] * 4)), clock=lambda: now[0], sleep=sleep)
    for number, _ in enumerate(sound.blocks):
        now[0] += 0.6 if number == 1 else 0.0  # one block that takes longer than it lasts
    assert waits == pytest.approx([0.25, 0.25])  # the third block comes late already, the fourth at once
    assert now[0] == pytest.approx(101.1)  # 0.5 s of waiting, 0.6 s of work


def test_channels_of_a_stream(call: Path, recogniser: Any) -> None:
    with recorded_stream(call) as sound:
        streams = ChannelStreams(recogniser, sample_rate=sound.sample_rate, count=sound.channels, channels="mix")
        events = [event for block in sound.blocks for event in streams.push(block)] + streams.finish()
    mixed = analyse(recogniser, call, channels="mix").segments
    assert [e.segment for e in events if hasattr(e, "segment")] == list(mixed)


def test_the_microphone_needs_its_package_and_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'duetto\[live\]'"), microphone.microphone():
        pass
    fake = types.ModuleType("sounddevice")
    fake.PortAudioError = RuntimeError  # type: ignore[attr-defined]
    blocks = [np.full((1_600, 1), value, np.float32) for value in (0.1, 0.2)]

    class InputStream:
        def __init__(self, *, device: object, callback: Any, **_: object) -> None:
            if device == "none":
                raise ValueError("No input device matching 'none'")
            for block in blocks:
                callback(block, len(block), None, None)

        def __enter__(self) -> None: ...

        def __exit__(self, *_: object) -> None: ...

    fake.InputStream = InputStream  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    with microphone.microphone() as sound:
        assert np.array_equal(next(sound.blocks), blocks[0]) and np.array_equal(next(sound.blocks), blocks[1])
    with pytest.raises(AudioError, match="No input device matching 'none'"), microphone.microphone("none"):
        pass


class Tags(HTMLParser):
    """Every element with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_a_page_is_one_file_with_every_utterance(call: Path, recogniser: Any, tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    done = RUN.invoke(app, ["timeline", str(call), "--html", str(tmp_path / "page.html"), "--window", "1"])
    assert done.exit_code == 0, done.output
    text = (tmp_path / "page.html").read_text("utf-8")
    segments = analyse(recogniser, call).segments
    tags = Tags(text).found
    labels = [
        attributes["aria-label"] or "" for tag, attributes in tags if tag == "button" and "data-number" in attributes
    ]
    assert len(labels) == len(segments)
    assert all(any(str(s.label) in label for s in segments) for label in labels)
    links = [v for _, attributes in tags for k, v in attributes.items() if k in ("src", "href", "action", "data")]
    assert all((link or "").startswith(("data:audio/mpeg;base64,", "#")) for link in links) and len(links) == 1
    policy = next(a["content"] for t, a in tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and "default-src 'none'" in policy and "http" not in policy
    data = re.search(r'id="data">(.*?)</script>', text, flags=re.S)
    assert data is not None and json.loads(data[1]) == [segment.to_json() for segment in segments]


def test_a_page_shows_what_moved_the_answers(call: Path, recogniser: Any, tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    path = tmp_path / "page.html"
    assert RUN.invoke(app, ["timeline", str(call), "--channels", "0", "--html", str(path), "--explain"]).exit_code == 0
    segments = analyse(recogniser, call, StreamConfig(explain=True), channels=0).segments
    effects = [m.effects.get(s.label or "", 0.0) for s in segments if s.explanation for m in s.explanation.moments]
    drawn = [a for t, a in Tags(path.read_text("utf-8")).found if t == "i" and a.get("class") in ("for", "against")]
    assert len(drawn) == len(effects) >= 2
    for attributes, effect in zip(drawn, effects, strict=True):
        assert attributes["class"] == ("for" if effect >= 0 else "against")
        assert f"height:{50 * min(abs(effect), 1):.1f}%" in (attributes["style"] or "")
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs Chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        shown = browser.new_page()
        shown.goto(f"file://{path}")
        shown.click("button[data-number='0']")
        listed = shown.eval_on_selector_all("#detail .moved li", "all => all.map(li => li.textContent)")
        browser.close()
    assert segments[0].explanation is not None and segments[0].label is not None
    moments = segments[0].explanation.to_json()["moments"]
    expected = [(m["start"], m["end"], m["effects"].get(segments[0].label)) for m in moments]
    nothing = "too little speech remains without it"
    told = [(f"{s:.2f}–{e:.2f} s", nothing if x is None else f"{x:+.2f}".replace("-", "−")) for s, e, x in expected]
    assert listed == [" ".join(each) for each in told]


def test_a_page_needs_its_extra_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rendering._environment.cache_clear()
    monkeypatch.setitem(sys.modules, "jinja2", None)
    done = RUN.invoke(app, ["timeline", str(tmp_path / "none.wav"), "--html", str(tmp_path / "page.html")])
    assert isinstance(done.exception, MissingExtraError) and "pip install 'duetto[live]'" in str(done.exception)


def test_a_page_of_a_pipe_has_no_sound_and_states_it(call: Path, tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    script = "from duetto.cli import main; main()"
    page_path = tmp_path / "page.html"
    for number, options in enumerate(([], ["--rate", str(RATE)])):
        command = [sys.executable, "-c", script, "timeline", "-", "--html", str(page_path), *options]
        data = call.read_bytes() if number == 0 else np.rint(TALK * 32_768).astype("<i2").tobytes()
        done = subprocess.run(command, input=data, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        text = page_path.read_text("utf-8")
        assert "came through a pipe" in text and "<audio" not in text and "data-number" in text


def test_a_page_escapes_what_comes_from_outside(recogniser: Any, tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    audio.write(tmp_path / "a.wav", TALK, RATE)
    peaks = page.Peaks()
    timeline = analyse(recogniser, tmp_path / "a.wav", watch=lambda channels, blocks, _: peaks.add(channels, blocks))
    recorded = Recorded("</script><script>alert(1)</script>.wav", timeline)
    text = page.page_html(page.Page.of(recorded, peaks, tmp_path / "a.wav", "link", beside=tmp_path))
    assert "<script>alert" not in text and 'src="a.wav"' in text
    assert len([tag for tag, _ in Tags(text).found if tag == "script"]) == 2


def test_peaks_are_the_largest_magnitudes() -> None:
    peaks = page.Peaks()
    sound = np.zeros(2_000, np.float32)
    sound[[10, 900, 1_700]] = 0.5, -0.75, 0.25
    for at in range(0, 2_000, 300):
        peaks.add([0], [sound[at : at + 300]])
    assert peaks.of(0).tolist() == [0.5, 0.75, 0.25] and peaks.seconds == 0.125
    long = page.Peaks()
    for _ in range(10):
        long.add([None], [np.full(8_000_000, 0.1, np.float32)])
    assert len(long.of(None)) <= page.MOST_POINTS


def test_a_long_recording_is_linked(
    call: Path, recogniser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "MOST_EMBEDDED_SECONDS", 1.0)
    peaks = page.Peaks()
    timeline = analyse(recogniser, call, watch=lambda channels, blocks, _: peaks.add(channels, blocks))
    made = page.Page.of(Recorded("call.wav", timeline), peaks, call, "embed", beside=call.parent / "pages")
    assert made.sound == "../call.wav" and "links to it" in made.note


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium")
def test_a_browser_runs_the_page_without_an_error(call: Path, tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    assert RUN.invoke(app, ["timeline", str(call), "--html", str(tmp_path / "page.html")]).exit_code == 0
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"]
    own = f"--user-data-dir={tmp_path / 'profile'}"
    done = subprocess.run(
        [*command, own, f"file://{tmp_path / 'page.html'}"], capture_output=True, text=True, check=True
    )
    tags = Tags(done.stdout).found
    assert "Uncaught" not in done.stderr and "Refused to" not in done.stderr
    assert [a for t, a in tags if t == "button" and a.get("tabindex") == "0" and "data-number" in a]  # the script ran
    assert not [a for t, a in tags if t == "p" and a.get("class") == "tools" and "hidden" in a]
