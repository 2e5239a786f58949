"""Containers that ffmpeg decodes, raw samples, and single channels."""

import io
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from duetto import audio
from duetto.audio import ffmpeg
from duetto.audio.decode import NotAudioError
from duetto.audio.opening import open_source
from duetto.errors import AudioError
from duetto.inference.sources import picklable

NEEDS_FFMPEG = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the program ffmpeg")
RATE = 16_000
CODECS = {
    "a.m4a": ["-c:a", "aac"],
    "a.mp4": ["-c:a", "aac", "-movflags", "+faststart"],
    "a.mov": ["-c:a", "pcm_s16le"],
    "a.mka": ["-c:a", "flac"],
    "a.webm": ["-c:a", "libopus"],
    "a.wma": ["-c:a", "wmav2"],
    "a.aac": ["-c:a", "aac"],
    "a.avi": ["-c:a", "pcm_s16le"],
    "a.wv": ["-c:a", "wavpack"],
}
LOSSLESS = ("a.mov", "a.mka", "a.avi", "a.wv")


def tones(channels: int = 1, seconds: float = 2.0, rate: int = RATE) -> np.ndarray:
    """(channels, n) of one tone each: 300 Hz, 600 Hz, …"""
    time = np.arange(round(rate * seconds)) / rate
    return np.stack([0.3 * np.sin(2 * np.pi * 300 * (c + 1) * time) for c in range(channels)]).astype(np.float32)


def encoded(folder: Path, name: str, sound: np.ndarray, *options: str) -> Path:
    """A file that ffmpeg made of a wav file; skips where this build of ffmpeg lacks the encoder."""
    audio.write(folder / "in.wav", sound, RATE)
    command = ["ffmpeg", "-loglevel", "error", "-y", "-i", folder / "in.wav", *options, folder / name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and "Unknown encoder" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    return folder / name


def loudest_hz(sound: np.ndarray) -> float:
    return float(np.abs(np.fft.rfft(sound)).argmax() * RATE / len(sound))


@NEEDS_FFMPEG
@pytest.mark.parametrize("name", CODECS)
def test_a_container_gives_the_sound_that_went_into_it(tmp_path: Path, name: str) -> None:
    sound = tones()
    path = encoded(tmp_path, name, sound, *CODECS[name])
    read = audio.load(path)
    assert read.duration == pytest.approx(2.0, abs=0.15)
    assert loudest_hz(read.samples[: RATE * 19 // 10]) == pytest.approx(300, abs=2)
    if name in LOSSLESS:
        assert np.array_equal(read.samples, audio.load(tmp_path / "in.wav").samples)
    assert np.array_equal(np.concatenate(list(audio.stream(path, block_seconds=0.3))), read.samples)
    assert audio.duration(path) == read.duration
    for source in (io.BytesIO(path.read_bytes()), path.open("rb")):  # in memory, and open
        with source:
            assert np.array_equal(audio.load(source).samples, read.samples)


@NEEDS_FFMPEG
def test_parts_of_a_container_are_those_of_the_whole(tmp_path: Path) -> None:
    path = encoded(tmp_path, "a.m4a", tones(), "-c:a", "aac")
    whole = audio.load(path).samples
    assert np.array_equal(audio.load(path, start=0.5, end=1.25).samples, whole[8_000:20_000])
    assert np.array_equal(audio.load(path, max_seconds=0.5).samples, whole[:8_000])
    assert np.array_equal(audio.load(path, max_seconds=0.9, side="last").samples, whole[-(len(whole) - RATE) :])


@NEEDS_FFMPEG
def test_a_video_gives_its_sound_and_one_without_sound_an_error(tmp_path: Path) -> None:
    audio.write(tmp_path / "in.wav", tones(), RATE)
    picture = ["-f", "lavfi", "-i", "color=c=blue:s=64x64:r=5:d=2"]
    base = ["ffmpeg", "-loglevel", "error", "-y", *picture]
    both = [*base, "-i", tmp_path / "in.wav", "-c:v", "mjpeg", "-c:a", "pcm_s16le", tmp_path / "both.mkv"]
    subprocess.run(both, check=True)
    assert np.array_equal(audio.load(tmp_path / "both.mkv").samples, audio.load(tmp_path / "in.wav").samples)
    subprocess.run([*base, "-c:v", "mjpeg", tmp_path / "mute.mkv"], check=True)
    with pytest.raises(AudioError, match=r"mute\.mkv: .*it begins like a Matroska file.*ffmpeg: .*matches no streams"):
        audio.load(tmp_path / "mute.mkv")


@NEEDS_FFMPEG
@pytest.mark.parametrize("name", ["-a.m4a", "a b'c.m4a", "http:a.m4a", "größe %d.m4a"])
def test_names_that_mean_something_to_ffmpeg(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded(tmp_path, "a.m4a", tones(), "-c:a", "aac").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert audio.load(name).duration == pytest.approx(2.0, abs=0.15)


@NEEDS_FFMPEG
def test_damage_is_reported_in_the_words_of_ffmpeg(tmp_path: Path) -> None:
    content = encoded(tmp_path, "a.m4a", tones(), "-c:a", "aac").read_bytes()
    (tmp_path / "cut.m4a").write_bytes(content[: len(content) // 2])
    with pytest.raises(
        AudioError, match=r"cut\.m4a: cannot be read as audio .*MP4 file.*ffmpeg: .*moov atom not found"
    ):
        audio.load(tmp_path / "cut.m4a")
    (tmp_path / "noise.m4a").write_bytes(np.random.default_rng(0).bytes(5_000))
    with pytest.raises(AudioError, match=r"noise\.m4a: cannot be read as audio"):
        audio.load(tmp_path / "noise.m4a")


@NEEDS_FFMPEG
def test_a_playlist_reads_no_other_file(tmp_path: Path) -> None:
    encoded(tmp_path, "secret.ts", tones(), "-c:a", "aac", "-f", "mpegts")
    hls = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nsecret.ts\n#EXT-X-ENDLIST\n"
    for name, content in {"a.m3u8": hls.encode(), "b.m3u8": hls.encode() + bytes(2_000)}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(AudioError, match=name):
            audio.load(tmp_path / name)
        with (
            (tmp_path / name).open("rb") as file,
            pytest.raises(NotAudioError, match=r"not on whitelist|Invalid data"),
            ffmpeg.open_media(file, str(tmp_path / name), is_path=True),
        ):
            pass
    assert audio.load(tmp_path / "secret.ts").duration == pytest.approx(2.0, abs=0.15)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A program that takes the place of ffmpeg."""
    path = tmp_path / "bin" / "ffmpeg"
    path.parent.mkdir()
    monkeypatch.setattr(ffmpeg, "installed", lambda: str(path))
    yield path


def write_program(path: Path, frames: int, then: str) -> None:
    """A shell script that writes the head of an AU stream at 1000 Hz and silence, and then does something."""
    head = r"printf '.snd\000\000\000\030\377\377\377\377\000\000\000\006\000\000\003\350\000\000\000\001'"
    path.write_text(f"#!/bin/sh\n{head}\nhead -c {4 * frames} /dev/zero\n{then}\n")
    path.chmod(0o755)


UNKNOWN = b"\0\0\0\x20ftypM4A " + bytes(99)


def test_a_program_that_stands_still_is_ended(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_program(program, 500, "exec sleep 600")
    monkeypatch.setattr(ffmpeg, "STALL_SECONDS", 0.5)
    with pytest.raises(AudioError, match=r"ffmpeg decoded nothing for 0\.5 s"):
        audio.load(io.BytesIO(UNKNOWN))


def test_a_program_that_never_ends_is_ended(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_program(program, 0, "exec cat /dev/zero")
    monkeypatch.setattr(ffmpeg, "MAX_MEDIA_SECONDS", 3_600)
    with pytest.raises(AudioError, match="holds more than 1 h of sound"):
        audio.load(io.BytesIO(UNKNOWN))


def test_a_program_that_fails_after_some_sound(program: Path) -> None:
    write_program(program, 1_500, "echo 'broken packet' >&2; exit 1")
    with pytest.raises(AudioError, match=r"damaged after 1\.50 s \(ffmpeg: broken packet\)"):
        audio.load(io.BytesIO(UNKNOWN))
    write_program(program, 1_500, "echo 'broken packet' >&2; exit 0")
    assert "damaged: ffmpeg reports broken packet" in audio.load(io.BytesIO(UNKNOWN)).warnings


def test_raw_samples_are_those_of_the_wav_file(tmp_path: Path) -> None:
    sound = tones(2)
    audio.write(tmp_path / "a.wav", sound, 8_000)
    pcm = np.rint(sound.T * 32_768).astype("<i2").tobytes()
    (tmp_path / "a.raw").write_bytes(pcm)
    for source in (tmp_path / "a.raw", io.BytesIO(pcm)):
        read = audio.load(audio.RawPcm(source, 8_000, 2))
        assert np.array_equal(read.samples, audio.load(tmp_path / "a.wav").samples)
    odd = audio.load(audio.RawPcm(io.BytesIO(pcm + b"abc"), 8_000, 2))
    assert odd.warnings[0] == "its last 3 bytes are no whole frame and are left out"
    assert audio.load(audio.RawPcm(io.BytesIO(b"RIFFtext"), 8_000)).duration == 4 / 8_000  # whatever they look like
    with pytest.raises(AudioError, match="holds no samples"):
        audio.load(audio.RawPcm(io.BytesIO(b"a"), 8_000))
    with pytest.raises(AudioError, match="give 1 to 64"):
        audio.RawPcm(tmp_path / "a.raw", 8_000, 65)
    with pytest.raises(AudioError, match="give whole samples per second"):
        audio.RawPcm(tmp_path / "a.raw", 16)


def test_a_channel_is_a_recording_of_its_own(tmp_path: Path) -> None:
    sound = tones(2)
    audio.write(tmp_path / "a.wav", sound, RATE)
    for channel in (0, 1):
        audio.write(tmp_path / "one.wav", sound[channel], RATE)
        own, alone = audio.load(audio.Channel(tmp_path / "a.wav", channel)), audio.load(tmp_path / "one.wav")
        assert np.array_equal(own.samples, alone.samples) and own.warnings == alone.warnings
        assert audio.properties(audio.Channel(tmp_path / "a.wav", channel)).channels == 1
    assert audio.load(tmp_path / "a.wav").mixed == 2
    assert audio.load({"waveform": np.stack([sound[0], sound[0]]), "sample_rate": RATE}).mixed == 0
    with pytest.raises(AudioError, match=r"a\.wav: channel 2 requested; it has channels 0 to 1"):
        audio.load(audio.Channel(tmp_path / "a.wav", 2))
    with pytest.raises(AudioError, match=r"one\.wav: channel 1 requested; it has only channel 0"):
        audio.load(audio.Channel(tmp_path / "one.wav", 1))


def test_a_channel_of_a_stream_goes_to_another_process(tmp_path: Path) -> None:
    audio.write(tmp_path / "a.wav", tones(2), RATE)
    with (tmp_path / "a.wav").open("rb") as file:
        sent = picklable(audio.Channel(file, 1))
    assert isinstance(sent, audio.Channel)
    assert np.array_equal(audio.load(sent).samples, audio.load(audio.Channel(tmp_path / "a.wav", 1)).samples)


def test_every_decoder_states_what_the_others_do(tmp_path: Path) -> None:
    sound = tones(2)
    audio.write(tmp_path / "a.wav", sound, RATE)
    sources: list[audio.Source] = [tmp_path / "a.wav", {"waveform": sound, "sample_rate": RATE}]
    if ffmpeg.installed():
        sources.append(encoded(tmp_path, "a.mov", sound, "-c:a", "pcm_s16le"))
    for source in sources:
        with open_source(source) as decoder:
            assert (decoder.sample_rate, decoder.channels, decoder.measure_length()) == (RATE, 2, len(sound[0]))
            first = np.concatenate(list(decoder.blocks(100, 300)))
            again = np.concatenate(list(decoder.blocks(100, 300)))
            assert first.shape == (200, 2) and np.array_equal(first, again)
            assert np.abs(first - sound.T[100:300]).max() < 1e-4


@pytest.mark.parametrize("rate", [8_000, RATE, 44_100])
@pytest.mark.parametrize("frames", [1, 700, 100_000])
def test_channels_that_are_read_together_are_those_that_are_read_alone(rate: int, frames: int) -> None:
    rng = np.random.default_rng(frames)
    source = {"waveform": 0.1 * rng.standard_normal((2, frames)).astype(np.float32), "sample_rate": rate}
    with audio.open_channels(source) as recording:
        blocks = list(recording.blocks((0, 1, None), seconds=0.5))
        assert recording.distinct and recording.seconds == frames / rate
    for number, channel in enumerate((0, 1, None)):
        alone = np.concatenate(list(audio.stream(source, channel=channel)))
        assert np.array_equal(np.concatenate([block[number] for block in blocks]), alone)


def test_channels_that_are_alike_are_no_different_channels() -> None:
    sound = tones()[0]
    with audio.open_channels({"waveform": np.stack([sound, sound]), "sample_rate": RATE}) as recording:
        assert list(recording.blocks((0, 1))) and not recording.distinct
