"""Audio: what is read equals what was written; what cannot be analysed is an error that states why."""

import io
import os
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from duetto import audio
from duetto.audio import ffmpeg
from duetto.errors import AudioError, ConfigurationError

FORMATS = ("wav", "flac", "ogg", "opus", "mp3")


def noise(n: int, seed: int = 0, level: float = 0.1) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(n) * level).astype(np.float32)


def tone(seconds: float, rate: int, hertz: float = 440.0, level: float = 0.5) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def loaded(samples: np.ndarray, rate: int = 16_000, **options: float) -> audio.Waveform:
    return audio.load({"waveform": samples, "sample_rate": rate}, **options)


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_is_read_whole_and_cut_exactly(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    audio.write(path, tone(5, 16_000), 16_000)
    whole = audio.load(path)
    assert whole.sample_rate == 16_000 and whole.samples.dtype == np.float32
    assert len(whole.samples) == 80_000 and whole.duration == audio.duration(path) == 5.0
    assert whole.warnings == ()
    cut = audio.load(path, start=0.5, end=4.9)  # for MP3 a tone is the hard case: its frames borrow bits
    np.testing.assert_allclose(cut.samples, whole.samples[8_000:78_400], atol=1e-6)  # decoders' rounding
    # Lossy coders keep a plain tone to a few per cent; 16 bits to half a step.
    error = np.abs(whole.samples - tone(5, 16_000))[1_000:-1_000].max()
    assert error <= (0.51 / 32_768 if suffix in ("wav", "flac") else 0.03)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAW"])
def test_every_wav_coding(tmp_path: Path, subtype: str) -> None:
    soundfile.write(tmp_path / "a.wav", noise(1_000), 16_000, subtype=subtype)
    expected, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    np.testing.assert_array_equal(audio.load(tmp_path / "a.wav").samples, expected)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("n", [2, 100, 200_003])
def test_resampling_equals_soxr_in_one_piece(rate: int, n: int) -> None:
    x = noise(n)
    expected = soxr.resample(x, rate, 16_000, "HQ")
    if not len(expected):  # two samples at 96 kHz are a third of one
        expected = x[-2:-1] if n == 2 else expected
    np.testing.assert_allclose(loaded(x, rate).samples, expected, atol=1e-6)  # float32 rounding of values near 0.5


def test_a_tone_stays_where_it_is_after_resampling() -> None:
    samples = loaded(tone(2, 44_100, 1_000), 44_100).samples
    # soxr HQ works at 20 bits: −120 dB. The ends, where the filter meets silence, are left out.
    np.testing.assert_allclose(samples[800:-800], tone(2, 16_000, 1_000)[800:-800], atol=1e-5)


def test_channels_are_averaged(tmp_path: Path) -> None:
    stereo = np.stack([noise(4_000, 1), noise(4_000, 2), noise(4_000, 3)])
    soundfile.write(tmp_path / "a.wav", stereo.T, 16_000, subtype="FLOAT")
    expected = stereo.astype(np.float64).mean(axis=0).astype(np.float32)
    np.testing.assert_array_equal(audio.load(tmp_path / "a.wav").samples, expected)
    np.testing.assert_array_equal(loaded(stereo).samples, expected)


@given(
    n=st.integers(1, 150_000),
    rate=st.sampled_from([8_000, 16_000, 44_100]),
    block=st.sampled_from([0.01, 0.7, 30.0]),
    channels=st.integers(1, 3),
)
@settings(max_examples=25, deadline=None)
def test_a_stream_is_the_same_samples_in_blocks(n: int, rate: int, block: float, channels: int) -> None:
    source = {"waveform": np.stack([noise(n, c) for c in range(channels)]), "sample_rate": rate}
    blocks = list(audio.stream(source, block_seconds=block))
    np.testing.assert_array_equal(np.concatenate(blocks), audio.load(source).samples)
    assert all(len(b) == round(block * 16_000) for b in blocks[:-1])
    assert 0 < len(blocks[-1]) <= round(block * 16_000)


def test_a_stream_needs_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", 48_000, 2, "PCM_16") as file:
        for _ in range(60):
            file.write(np.zeros((48_000 * 10, 2), np.int16))  # 10 minutes: 38 MB as mono float32 at 16 kHz
    tracemalloc.start()
    n = sum(len(block) for block in audio.stream(path, block_seconds=10.0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n == 600 * 16_000
    assert peak < 8e6  # a block of 10 s is 0.64 MB; joining and reading hold a few of them


def test_sources_other_than_a_path(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    audio.write(path, noise(8_000), 16_000)
    expected = audio.load(path).samples
    with path.open("rb") as file:
        file.seek(100)  # wherever it stands, it is read from the beginning
        np.testing.assert_array_equal(audio.load(file).samples, expected)
        assert not file.closed
    np.testing.assert_array_equal(audio.load(io.BytesIO(path.read_bytes())).samples, expected)
    np.testing.assert_array_equal(audio.load(str(path)).samples, expected)
    np.testing.assert_array_equal(loaded((expected * 32_768).astype(np.int16)).samples, expected)
    np.testing.assert_array_equal(loaded((expected.astype(float) * 2**31).astype(np.int32)).samples, expected)
    np.testing.assert_array_equal(loaded(expected.astype(np.float64)).samples, expected)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_read_whole(tmp_path: Path) -> None:
    path, pipe = tmp_path / "a.wav", tmp_path / "pipe"
    audio.write(path, noise(100_000), 16_000)
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(path.read_bytes()))
    writer.start()
    with pipe.open("rb") as file:
        np.testing.assert_array_equal(audio.load(file).samples, audio.load(path).samples)
    writer.join()


def test_samples_belong_to_the_waveform() -> None:
    array = noise(1_000)
    waveform = loaded(array)
    assert not waveform.samples.flags.writeable
    array[:] = 0
    assert waveform.samples.any()


@pytest.mark.parametrize(
    ("samples", "rate", "warning"),
    [
        (np.zeros(16_000), 16_000, "silent: no sample above −80 dB"),
        (np.full(16_000, 0.25), 16_000, "constant: every sample is about 0.25"),
        (np.stack([noise(16_000), -noise(16_000)]), 16_000, "channels cancel each other out"),
        (np.array([0.5]), 16_000, "only one sample"),
        (np.array([0.5]), 48_000, "only one sample"),
        (noise(800), 16_000, "only 0.050 s long: less than one frame"),
        (np.clip(tone(1, 16_000, level=2.0), -1, 1), 16_000, "clipped: "),
        (noise(8_000), 8_000, "narrow-band: sampled at 8000 Hz, so there is nothing above 4000 Hz"),
    ],
)
def test_what_is_odd_has_an_answer_and_a_warning(samples: np.ndarray, rate: int, warning: str) -> None:
    waveform = loaded(samples, rate)
    assert any(warning in text for text in waveform.warnings), waveform.warnings
    assert len(waveform.samples) >= 1 and np.isfinite(waveform.samples).all()


def test_the_share_of_clipped_samples_is_stated() -> None:
    x = noise(1_000, level=0.01)
    x[:250] = 1.0
    assert "clipped: 25.0 % of the samples are at full scale" in loaded(x).warnings
    x[:] = noise(1_000, level=0.01)
    x[0] = 1.0  # one peak at full scale: normalised, not clipped
    assert not [w for w in loaded(x).warnings if "clipped" in w]


def test_eight_bit_full_scale_is_recognised(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.clip(tone(1, 16_000, level=2), -1, 1), 16_000, subtype="PCM_U8")
    assert any("clipped" in w for w in audio.load(tmp_path / "a.wav").warnings)


def test_cuts_and_their_limits(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    audio.write(path, noise(32_000), 16_000)
    whole = audio.load(path)
    audio.write(tmp_path / "copy.wav", whole.samples, 16_000)
    np.testing.assert_array_equal(audio.load(tmp_path / "copy.wav").samples, whole.samples)  # 16 bits stay 16 bits
    near = audio.load(path, start=1.0, end=2.1)
    np.testing.assert_array_equal(near.samples, whole.samples[16_000:])
    assert near.warnings == ("cut at the end of the file: 2.1 s requested, 2.000 s there",)
    for start, end, message in [
        (0.0, 2.2, "the cut 0.0–2.2 s lies beyond the file, which is 2.000 s long"),
        (2.0, 2.05, "lies beyond the file, which is 2.000 s long"),
        (5.0, None, "lies beyond the file"),
        (1.0, 1.0, "end must lie after start"),
        (1.5, 1.0, "end must lie after start"),
        (-1.0, 1.0, "give finite seconds from 0 on"),
        (float("nan"), 1.0, "give finite seconds from 0 on"),
        (0.0, float("inf"), "give finite seconds from 0 on"),
    ]:
        with pytest.raises(AudioError, match=message) as error:
            audio.load(path, start=start, end=end)
        assert str(path) in str(error.value)


def broken_files(folder: Path) -> dict[str, tuple[bytes, str]]:
    audio.write(folder / "good.wav", noise(16_000), 16_000)
    audio.write(folder / "good.flac", noise(300_000), 16_000)
    wav, flac = (folder / "good.wav").read_bytes(), (folder / "good.flac").read_bytes()
    return {
        "empty.wav": (b"", "is empty (0 bytes)"),
        "header.wav": (wav[:44], "holds no samples"),
        "text.wav": (b"this is no audio\n" * 99, "is text, not audio"),
        "utf16.wav": ("Kein Ton, nur Text. ".encode("utf-16") * 9, "is text, not audio"),
        "umlauts.mp3": ("Größe, Länge und Überschrift: äöü ßßß éé\n".encode() * 9, "is text, not audio"),
        "zeros.mp3": (bytes(1_000), "begins with zero bytes only"),
        "my call.m4a": (b"\0\0\0\x20ftypM4A " + bytes(999), "ffmpeg -i '"),
        "clip.webm": (b"\x1aE\xdf\xa3" + bytes(999), "it is a Matroska file (webm, mkv), which needs ffmpeg"),
        "hole.flac": (flac[:200_000] + bytes(50_000) + flac[250_000:], "damaged after"),
        "notes.raw": (bytes(999), "cannot be read as audio"),
    }


def test_files_that_cannot_be_analysed_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ffmpeg, "installed", lambda: None)
    for name, (content, message) in broken_files(tmp_path).items():
        path = tmp_path / name
        path.write_bytes(content)
        for read in (audio.load, lambda p: list(audio.stream(p)), lambda p: audio.load(io.BytesIO(p.read_bytes()))):
            with pytest.raises(AudioError) as error:
                read(path)
            assert message.removesuffix("'") in str(error.value), (name, str(error.value))
        with pytest.raises(AudioError) as error:
            audio.load(path)
        assert name in str(error.value) and message in str(error.value)
    for path, message in [(tmp_path / "none.wav", "no such file"), (tmp_path, "is a folder")]:
        for read in (audio.load, audio.duration):
            with pytest.raises(AudioError, match=message):
                read(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers(tmp_path: Path, bad: float) -> None:
    x = noise(48_000)
    x[16_000:16_003] = bad
    soundfile.write(tmp_path / "a.wav", x, 16_000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"a\.wav: 3 samples from 1\.000 s on are NaN or infinite"):
        audio.load(tmp_path / "a.wav")
    with pytest.raises(AudioError, match="NaN or infinite"):
        list(audio.stream({"waveform": x, "sample_rate": 16_000}))
    with pytest.raises(AudioError, match="NaN or infinite"):
        loaded(np.array([1e300, 0.0]))  # beyond float32
    assert len(audio.load(tmp_path / "a.wav", end=1.0).samples) == 16_000  # what lies outside the cut is not read


def test_a_truncated_wav_is_read_and_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    audio.write(path, noise(16_000), 16_000)
    path.write_bytes(path.read_bytes()[: 44 + 16_000])
    waveform = audio.load(path)
    assert waveform.warnings == ("truncated: its header states 1.000 s, of which 0.500 s are there",)
    # A recorder that writes into a pipe leaves the largest size there is: nothing is missing then.
    audio.write(path, noise(16_000), 16_000)
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = b"\xff" * 4
    path.write_bytes(content)
    assert audio.load(path).warnings == () and audio.load(path).duration == 1.0


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.zeros(100), "an array has no sample rate"),
        ({"waveform": np.zeros(100)}, "sample_rate missing"),
        ({"sample_rate": 16_000}, "waveform missing"),
        ({"waveform": np.zeros(100), "sample_rate": 44.1}, "44.1; give whole samples per second from 1000"),
        ({"waveform": np.zeros(100), "sample_rate": 0}, "give whole samples per second"),
        ({"waveform": np.zeros(100), "sample_rate": "16000"}, "'16000'; give whole samples per second"),
        ({"waveform": np.zeros(100), "sample_rate": float("nan")}, "give whole samples per second"),
        ({"waveform": np.zeros((4_000, 65)), "sample_rate": 16_000}, "reads as 65 channels; 64 are the limit"),
        ({"waveform": np.zeros((2, 2, 9)), "sample_rate": 16_000}, r"float64 of shape \(2, 2, 9\)"),
        ({"waveform": np.zeros(9, complex), "sample_rate": 16_000}, "complex128"),
        ({"waveform": np.zeros(9, np.int64), "sample_rate": 16_000}, "floats, int16 or int32 needed"),
        ({"waveform": ["a"], "sample_rate": 16_000}, "floats, int16 or int32 needed"),
        ({"waveform": [], "sample_rate": 16_000}, "holds no samples"),
        ({"waveform": np.zeros((0, 5)), "sample_rate": 16_000}, "holds no samples"),
        (3.0, "float is no audio source"),
        (io.BytesIO(b""), "is empty"),
        (io.StringIO("RIFF"), "opened as text"),
    ],
)
def test_sources_that_are_none(source: object, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        audio.load(source)  # pyright: ignore[reportArgumentType]


def test_options_are_checked_at_once() -> None:
    source = {"waveform": noise(100), "sample_rate": 16_000}
    with pytest.raises(AudioError, match="sample rate requested is 16"):
        audio.load(source, sample_rate=16)
    with pytest.raises(ConfigurationError, match="max_seconds does not go with start and end"):
        audio.load(source, end=0.001, max_seconds=1)
    for block_seconds in (0.0, -1.0, float("nan")):
        with pytest.raises(AudioError, match="holds no sample"):
            audio.stream(source, block_seconds=block_seconds)  # before the first block is requested


def test_write_refuses_and_reports(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(AudioError, match=r"cannot write \.m4a; use \.wav, \.flac, \.ogg, \.opus, \.mp3"):
        audio.write(tmp_path / "a.m4a", noise(10), 16_000)
    with pytest.raises(AudioError, match="cannot write OGG at 44100 Hz"):
        audio.write(tmp_path / "a.opus", noise(10), 44_100)
    with pytest.raises(AudioError, match="NaN"):
        audio.write(tmp_path / "a.wav", np.array([np.nan]), 16_000)
    assert list(tmp_path.iterdir()) == []
    audio.write(tmp_path / "new" / "a.wav", np.array([0.0, 2.0, -3.0]), 16_000)
    assert "2 samples lie beyond ±1 and are clipped" in caplog.text
    np.testing.assert_allclose(audio.load(tmp_path / "new" / "a.wav").samples, [0, 1, -1], atol=1 / 32_768)


@pytest.mark.corpora
def test_real_recordings(data: Path) -> None:
    files = [sorted((data / corpus).rglob("*.*"))[0] for corpus in ("emodb/wav", "ravdess", "ljspeech/wavs")]
    for path in files:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        expected = soxr.resample(samples.mean(axis=1), rate, 16_000, "HQ")
        np.testing.assert_allclose(audio.load(path).samples, expected, atol=1e-6)
