"""Files that state a wrong length, hold several recordings, are damaged, or are no files at all."""

import ctypes
import io
import os
import random
import socket
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import soundfile

from duetto import audio
from duetto.audio import ffmpeg, messages, sources
from duetto.errors import AudioError
from duetto.features.short_term import ShortTermConfig
from duetto.features.spectrogram import SpectrogramConfig

RATE = 16_000


@pytest.fixture(autouse=True)
def by_libsndfile_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it does not read is an error here, whether or not ffmpeg is installed."""
    monkeypatch.setattr(ffmpeg, "installed", lambda: None)


def speech(seconds: float, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """Noise whose level and colour change, so that a coder of variable rate varies."""
    rng = np.random.default_rng(seed)
    n = round(seconds * rate)
    x = rng.standard_normal(n) * 0.1 * (np.arange(n) // (rate // 2) % 2)
    return x.astype(np.float32)


def encoded(samples: np.ndarray, container: str, subtype: str | None = None, rate: int = RATE, **options: Any) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=container, subtype=subtype, **options)
    return file.getvalue()


def load(content: bytes) -> audio.Waveform:
    return audio.load(io.BytesIO(content))


def lengths(waveform: audio.Waveform) -> list[str]:
    return [w for w in waveform.warnings if "header" in w or "truncated" in w or "stream" in w]


# MPEG frames, worked by hand: MPEG-2 layer III has 576 samples and 72 · bitrate / rate bytes a frame.
KILOBITS = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


def frames(mp3: bytes) -> list[int]:
    """Where the frames of an MP3 file of 16 kHz begin."""
    at, found = 0, []
    while at < len(mp3):
        assert mp3[at] == 0xFF and mp3[at + 1] & 0xFE == 0xF2, at
        found.append(at)
        at += 72_000 * KILOBITS[mp3[at + 2] >> 4] // RATE + (mp3[at + 2] >> 1 & 1)
    return found


@pytest.mark.parametrize("mode", ["VARIABLE", "CONSTANT", "AVERAGE"])
def test_mp3_without_its_first_frame_is_read_whole(tmp_path: Path, mode: str) -> None:
    whole = encoded(speech(20), "MP3", bitrate_mode=mode)
    starts = frames(whole)
    assert whole[: starts[1]].count(b"Xing") + whole[: starts[1]].count(b"Info") == 1
    bare = whole[starts[1] :]
    path = tmp_path / "a.mp3"
    path.write_bytes(bare)
    waveform = audio.load(path)
    assert len(waveform.samples) == 576 * (len(starts) - 1) and lengths(waveform) == []
    assert audio.duration(path) == waveform.duration
    # The frame that was taken away states how many samples the encoder put before the sound; 529 are the decoder's.
    gaps = int.from_bytes(whole[(tag := whole.index(b"LAME")) + 21 : tag + 24], "big") >> 12
    trimmed = load(whole).samples
    assert len(trimmed) == 20 * RATE
    np.testing.assert_allclose(waveform.samples[gaps + 529 :][: len(trimmed)], trimmed, atol=1e-5)
    cut = audio.load(path, start=18.0, end=19.0)
    np.testing.assert_allclose(cut.samples, waveform.samples[18 * RATE : 19 * RATE], atol=1e-6)
    if mode == "VARIABLE":  # what is guarded against: an estimate from the first frame
        assert abs(soundfile.info(path).frames - len(waveform.samples)) > RATE


def test_a_tag_that_states_another_number_of_frames() -> None:
    whole = encoded(speech(5), "MP3")
    at = max(whole.find(b"Xing"), whole.find(b"Info")) + 8
    count = int.from_bytes(whole[at : at + 4], "big")
    for stated in (count // 2, count * 2):
        waveform = load(whole[:at] + stated.to_bytes(4, "big") + whole[at + 4 :])
        assert abs(waveform.duration - 5) < 0.15  # without the padding that the encoder states
        [warning] = lengths(waveform)
        assert f"{stated * 576 / RATE:.3f} s" in warning and f"{waveform.duration:.3f} s" in warning


def test_mp3_between_tags_and_junk() -> None:
    whole = encoded(speech(3), "MP3")
    expected = load(whole).samples
    picture = b"ID3\4\0\0" + bytes([0, 8, 0, 0]) + os.urandom(8 << 14)
    assert len(picture) == 10 + (8 << 14)
    for content in (picture + whole, whole + b"TAG" + b" " * 125, bytes(5_000) + whole, picture + picture + whole):
        waveform = load(content)
        np.testing.assert_array_equal(waveform.samples, expected)
        assert lengths(waveform) == []


JOINED = [("MP3", None), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("FLAC", None), ("WAV", None), ("WAV", "FLOAT"),
          ("WAVEX", None), ("AIFF", None), ("AU", None), ("W64", None), ("RF64", None), ("CAF", None)]  # fmt: skip


@pytest.mark.parametrize(("container", "subtype"), JOINED)
def test_joined_files_are_read_one_after_the_other(tmp_path: Path, container: str, subtype: str | None) -> None:
    first, second = (encoded(speech(s, seed=s), container, subtype) for s in (2, 3))
    path = tmp_path / "joined"
    path.write_bytes(first + second + first)
    waveform = audio.load(path)
    parts = [load(first).samples, load(second).samples, load(first).samples]
    np.testing.assert_allclose(waveform.samples, np.concatenate(parts), atol=1e-6)
    assert [w for w in lengths(waveform) if "longer than its header states: 7.0" in w and "not 2.0" in w]
    assert audio.duration(path) == pytest.approx(7, abs=0.01)
    cut = audio.load(path, start=1.5, end=5.5).samples
    np.testing.assert_allclose(cut, waveform.samples[round(1.5 * RATE) : round(5.5 * RATE)], atol=1e-6)


def test_joined_files_of_other_formats_and_rates() -> None:
    mixed = encoded(speech(1), "WAV") + encoded(speech(2), "AIFF") + encoded(speech(3), "FLAC")
    assert load(mixed).duration == pytest.approx(6)
    other = load(encoded(speech(2), "FLAC") + encoded(speech(3, 8_000), "FLAC", rate=8_000))
    assert other.duration == 2
    assert lengths(other) == [
        "stream 2 of 2 in the file, 3.000 s long, is left out: it has 8000 Hz, the first one 16000 Hz"
    ]


def wav(stated: int, data: bytes, trailer: bytes = b"") -> bytes:
    head = b"RIFF" + (36 + stated & 0xFFFF_FFFF).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
    form = bytes.fromhex("0100 0100 803e0000 007d0000 0200 1000".replace(" ", ""))
    return head + form + b"data" + (stated & 0xFFFF_FFFF).to_bytes(4, "little") + data + trailer


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        (0, None),
        (44, None),  # a writer that counts its header as sound
        (-44, None),
        (10 * 32_000, "truncated: its header states 12.000 s, of which 2.000 s are there"),
        (-32_000, "longer than its header states: 2.000 s are there and read, not 1.000 s"),
        (-64_000, None),  # 0, 2³¹ − 1, 2³² − 1: a writer that never came back to the header
        (0x7FFF_FFFF - 64_000, None),
        (0xFFFF_FFFF - 64_000, None),
    ],
)
def test_what_is_there_is_read_whatever_the_header_states(change: int, warning: str | None) -> None:
    data = (speech(2) * 32_768).astype("<i2").tobytes()
    waveform = load(wav(len(data) + change, data))
    expected = np.frombuffer(data, "<i2") / np.float32(32_768)
    np.testing.assert_array_equal(waveform.samples, expected)
    assert lengths(waveform) == ([] if warning is None else [warning])


@pytest.mark.parametrize(
    "trailer",
    [b"LIST\x04\0\0\0INFO", b"LIST\x05\0\0\0INFO!\0id3 \2\0\0\0ab", b"TAG" + b" " * 125, bytes(9_000), b"\0" * 7],
)
def test_what_follows_the_sound_is_no_sound(trailer: bytes) -> None:
    data = (speech(1) * 32_768).astype("<i2").tobytes()
    waveform = load(wav(len(data), data, trailer))
    assert len(waveform.samples) == RATE and lengths(waveform) == []


def test_what_follows_a_flac_file_is_no_damage() -> None:
    content = encoded(speech(3), "FLAC")
    waveform = load(content + b"APETAGEX" + os.urandom(100_000))
    np.testing.assert_array_equal(waveform.samples, load(content).samples)
    assert lengths(waveform) == []


@pytest.mark.parametrize("stated", [0, 16_000, 48_000, 480_000])
def test_flac_that_states_another_length(tmp_path: Path, stated: int) -> None:
    content = bytearray(encoded(speech(3), "FLAC"))
    content[21:26] = bytes([content[21] & 0xF0]) + stated.to_bytes(4, "big")
    path = tmp_path / "a.flac"
    path.write_bytes(content)
    waveform = audio.load(path)
    np.testing.assert_allclose(waveform.samples, speech(3), atol=1 / 32_768)
    assert audio.duration(path) == 3
    assert len(lengths(waveform)) == (stated not in (0, 48_000))
    assert all(f"{stated / RATE:.3f} s" in warning and "3.000 s" in warning for warning in lengths(waveform))
    np.testing.assert_array_equal(audio.load(path, start=2.5, end=2.75).samples, waveform.samples[40_000:44_000])


def test_damaged_mp3_is_read_and_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    whole = encoded(speech(5), "MP3")
    rng = np.random.default_rng(0)
    path = tmp_path / "a.mp3"
    for trial in range(40):
        content = np.frombuffer(whole, np.uint8).copy()
        content[rng.integers(len(whole), size=1 + 3 * trial)] = rng.integers(256, size=1 + 3 * trial)
        path.write_bytes(content.tobytes())
        waveform = audio.load(path)
        assert 3 < waveform.duration < 6
    starts = frames(whole)
    path.write_bytes(whole[: starts[50] + 9] + b"?" * 5_000 + whole[starts[60] :])
    waveform = audio.load(path)
    assert len(waveform.samples) == pytest.approx(576 * (len(starts) - 11), abs=2 * 576 + 1105)
    assert any(w.startswith("damaged: ") and "belong to no MP3 frame" in w for w in waveform.warnings)
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(os.name != "posix", reason="no C library with a pointer to stderr")
def test_only_lines_of_libmpg123_are_suppressed(capfd: pytest.CaptureFixture[str]) -> None:
    library = ctypes.CDLL(None)
    pointer = ctypes.c_void_p.in_dll(library, "__stderrp" if sys.platform == "darwin" else "stderr")
    library.fputs.argtypes = (ctypes.c_char_p, ctypes.c_void_p)
    with messages.mpg123_messages_suppressed(), messages.mpg123_messages_suppressed():
        library.fputs(b"[src/libmpg123/layer3.c:1()] error: dequantization failed!\n", pointer.value)
        library.fputs(b"another library\n", pointer.value)
        os.write(2, b"this program\n")
    library.fputs(b"[src/libmpg123/ afterwards\n", pointer.value)
    assert capfd.readouterr().err == "this program\nanother library\n[src/libmpg123/ afterwards\n"


# What is no regular file.


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "a.wav"
    audio.write(path, speech(3), RATE)
    return path


posix = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")


@posix
def test_a_fifo_is_read_to_its_end(tmp_path: Path, recording: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for read in (audio.load, lambda p: np.concatenate(list(audio.stream(p))), audio.duration):
        writer = threading.Thread(target=lambda: pipe.write_bytes(recording.read_bytes()))
        writer.start()
        result = read(pipe)
        writer.join()
        expected = read(recording)
        if isinstance(result, audio.Waveform) and isinstance(expected, audio.Waveform):
            result, expected = result.samples, expected.samples
        np.testing.assert_array_equal(result, expected)


@posix
@pytest.mark.parametrize("held_open", [False, True])
def test_a_silent_fifo_times_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held_open: bool) -> None:
    monkeypatch.setattr(sources, "STREAM_TIMEOUT", 0.2)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    holder = os.open(pipe, os.O_RDWR) if held_open else None
    with pytest.raises(AudioError, match=r"pipe: gave nothing for 0\.2 s"):
        audio.load(pipe)
    if holder is not None:
        os.close(holder)


@posix
@pytest.mark.parametrize(
    ("device", "message"),
    [("/dev/zero", "begins with zero bytes only"), ("/dev/urandom", "cannot be read as audio"), ("/dev/null", "empty")],
)
def test_devices_end_with_an_error(device: str, message: str) -> None:
    for read in (audio.load, audio.duration):
        with pytest.raises(AudioError, match=f"{device}: .*{message}"):
            read(device)
    with open(device, "rb") as file, pytest.raises(AudioError, match=message):  # noqa: PTH123
        audio.load(file)


@posix
def test_an_endless_recording_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_STREAM_BYTES", 3 << 20)
    monkeypatch.setattr(sources, "MAX_MEMORY", 1 << 20)
    head, data = wav(0xFFFF_FFFF, b""), bytes(1 << 16)

    class Endless(io.RawIOBase):
        begun = False

        def readable(self) -> bool:
            return True

        def read(self, size: int = -1) -> bytes:
            block, self.begun = (data if self.begun else head), True
            return block

    with pytest.raises(AudioError, match="gives more than 3 MiB"):
        audio.load(Endless())  # pyright: ignore[reportArgumentType]


@posix
def test_a_socket_and_open_descriptors(tmp_path: Path, recording: Path) -> None:
    expected = audio.load(recording).samples
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(recording.read_bytes())

        thread = threading.Thread(target=serve)
        thread.start()
        np.testing.assert_array_equal(audio.load(tmp_path / "s").samples, expected)
        thread.join()
    reader, writer = os.pipe()
    thread = threading.Thread(target=lambda: (os.write(writer, recording.read_bytes()), os.close(writer)))
    thread.start()
    np.testing.assert_array_equal(audio.load(f"/dev/fd/{reader}").samples, expected)
    thread.join()
    os.close(reader)


@posix
@pytest.mark.parametrize("how", ["cat a.wav | READ /dev/stdin", "READ /dev/stdin < a.wav", "READ <(cat a.wav)"])
def test_what_a_shell_gives(recording: Path, how: str) -> None:
    read = f'{sys.executable} -c "import sys; from duetto import audio; print(audio.duration(sys.argv[1]))"'
    command = ["bash", "-c", how.replace("READ", read)]
    done = subprocess.run(command, cwd=recording.parent, capture_output=True, text=True, check=False)
    assert done.stdout == "3.0\n", done.stderr


def test_links_and_folders(tmp_path: Path) -> None:
    link = tmp_path / "a.wav"
    try:
        link.symlink_to("gone.wav")
    except OSError:
        pytest.skip("no symbolic links here")
    with pytest.raises(AudioError, match=r"a\.wav: a link to gone\.wav, which does not exist"):
        audio.load(link)


# No more is decoded than is needed.


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("container", ["WAV", "FLAC", "OGG", "MP3"])
@pytest.mark.parametrize(
    ("config", "step"), [(ShortTermConfig(), 0.1), (SpectrogramConfig(), 0.01)], ids=["short-term", "spectrogram"]
)
def test_a_part_has_the_frames_of_the_whole(
    config: ShortTermConfig | SpectrogramConfig, step: float, container: str, rate: int
) -> None:
    # No silence anywhere: there, the logarithm magnifies rounding.
    sound = np.random.default_rng(0).standard_normal(round(9.37 * rate)).astype(np.float32) * 0.1
    content = encoded(sound, container, rate=rate)
    whole = load(content)
    features = config.extract(whole.samples, RATE)
    count = round(4 / step)
    sides: tuple[tuple[Literal["first", "last"], slice], ...] = (("first", slice(count)), ("last", slice(-count, None)))
    for side, kept in sides:
        part = audio.load(io.BytesIO(content), max_seconds=5.0, side=side)
        assert part.source_duration == pytest.approx(whole.duration, abs=1e-4) and part.duration < 6.1
        # The filter of the resampler at 20 bits; features are logarithms and ratios of what passes it.
        np.testing.assert_allclose(config.extract(part.samples, RATE)[kept], features[kept], atol=2e-3)


@pytest.mark.parametrize("side", ["first", "last"])
def test_hours_of_sound_need_no_more_memory_than_the_part(tmp_path: Path, side: Literal["first", "last"]) -> None:
    path = tmp_path / "a.flac"
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as file:
        for _ in range(60):
            file.write(np.zeros(60 * RATE, np.int16))
    tracemalloc.start()
    waveform = audio.load(path, max_seconds=20.0, side=side)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert waveform.source_duration == 3600 and waveform.duration == 20
    assert peak < 12e6  # 20 s are 1.3 MB, held twice; an hour is 230 MB


def mutated(name: str, trial: int) -> bytes:
    container, _, subtype = name.partition("-")
    content = bytearray(encoded(speech(0.5), container, subtype or None))
    rng = random.Random(trial)
    head = min(len(content), 200)
    for _ in range(1 + trial % 7):
        at = rng.randrange(head if trial % 3 else len(content))
        content[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
    return bytes(content[: rng.randrange(len(content))] if trial % 5 == 0 else content)


READS: tuple[Callable[[io.BytesIO], object], ...] = (
    audio.load,
    lambda f: audio.load(f, start=0.1, end=0.2),
    lambda f: audio.load(f, max_seconds=0.2, side="last"),
    audio.properties,
)


@pytest.mark.parametrize(
    "name",
    ["WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "CAF-ALAC_16", "SVX", "NIST", "VOC", "SDS", "AVR", "MAT4",
     "MAT5", "MPC2K", "WAV-GSM610", "WAV-MS_ADPCM", "FLAC", "OGG", "OGG-OPUS", "MP3"],
)  # fmt: skip
def test_mutated_files_are_read_or_refused(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    for trial in range(60):
        content = mutated(name, trial)
        for read in READS:
            try:
                read(io.BytesIO(content))
            except AudioError as error:
                assert "file object" in str(error)
    assert capfd.readouterr() == ("", "")
