"""Every container and coding that libsndfile writes: read whole, cut, from a pipe, and in part where it breaks off.

Oracle: soundfile's own plain reading from the first frame to the last of the undamaged file.
"""

import io
import itertools
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from duetto import audio
from duetto.audio import ffmpeg

RATES = {"WVE": 8_000, "XI": 44_100}  # these containers have one rate only
NO_HEADER = ("RAW", "SD2")  # nothing in the file states its format
NO_LENGTH = ("IRCAM", "PAF", "PVF", "XI", "HTK")  # the header states none; or libsndfile refuses what breaks off
PACKETS_LAST = ("ALAC_16", "ALAC_20", "ALAC_24", "ALAC_32")  # the table that finds the sound is at the end of the file
WRITABLE = [
    (container, subtype, endian)
    for container, endian in itertools.product(soundfile.available_formats(), ("FILE", "LITTLE", "BIG", "CPU"))
    for subtype in soundfile.available_subtypes(container)
    if container not in NO_HEADER and soundfile.check_format(container, subtype, endian)
]


@pytest.fixture(autouse=True)
def by_libsndfile_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it does not read is an error here, whether or not ffmpeg is installed."""
    monkeypatch.setattr(ffmpeg, "installed", lambda: None)


class Forward(soundfile.SoundFile):
    """soundfile seeks after each read, which some codecs cannot do."""

    def seekable(self) -> bool:
        return False


def written(container: str, subtype: str, endian: str) -> tuple[bytes, np.ndarray]:
    """A file of 2 s, and what plain reading makes of it at 16 kHz."""
    walk = np.cumsum(np.random.default_rng(0).standard_normal(32_000))
    rate = RATES.get(container, 16_000)
    file = io.BytesIO()
    try:
        soundfile.write(file, walk / np.abs(walk).max() * 0.7, rate, format=container, subtype=subtype, endian=endian)
    except soundfile.LibsndfileError:
        pytest.skip("libsndfile names it and does not write it")
    file.seek(0)
    with Forward(file) as opened:
        plain = opened.read(opened.frames, dtype="float32")
    rate = soundfile.info(io.BytesIO(file.getvalue())).samplerate
    return file.getvalue(), plain if rate == 16_000 else soxr.resample(plain, rate, 16_000, "HQ")


def test_so_many_can_be_written() -> None:
    assert len(WRITABLE) > 250


@pytest.mark.parametrize(("container", "subtype", "endian"), WRITABLE)
def test_whole_cut_and_from_a_pipe(tmp_path: Path, container: str, subtype: str, endian: str) -> None:
    content, plain = written(container, subtype, endian)
    path = tmp_path / "a"
    path.write_bytes(content)
    whole = audio.load(path)
    tolerance = 1e-6  # of the resampler, and of decoders that work in floating point
    assert len(whole.samples) == len(plain) and np.abs(whole.samples - plain).max() < tolerance
    assert not [w for w in whole.warnings if "header" in w or "truncated" in w]
    assert audio.duration(path) == pytest.approx(len(plain) / 16_000, abs=1e-3)
    np.testing.assert_array_equal(audio.load(io.BytesIO(content)).samples, whole.samples)
    np.testing.assert_array_equal(audio.load(io.BufferedReader(OneWay(content))).samples, whole.samples)
    np.testing.assert_array_equal(np.concatenate(list(audio.stream(path))), whole.samples)
    if soundfile.info(path).samplerate != 16_000:
        return  # a cut is made before resampling, so its ends differ
    for start, end in ((0.5, 1.0), (1.25, None), (0.0, 0.75)):
        cut = audio.load(path, start=start, end=end).samples
        expected = plain[round(start * 16_000) : round(end * 16_000) if end else None]
        assert len(cut) == len(expected) and np.abs(cut - expected).max() < tolerance, (start, end)


class OneWay(io.RawIOBase):
    """Bytes that can be read once, like those of a pipe."""

    def __init__(self, content: bytes) -> None:
        self._left = memoryview(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        count = min(len(buffer), 1_000, len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


@pytest.mark.parametrize(
    ("container", "subtype", "endian"),
    [c for c in WRITABLE if c[0] not in NO_LENGTH and c[1] not in PACKETS_LAST and c[2] in ("FILE", "BIG")],
)
def test_what_breaks_off_is_read_and_both_lengths_are_stated(container: str, subtype: str, endian: str) -> None:
    content, plain = written(container, subtype, endian)
    cut = content[: len(content) * 2 // 3]
    if container == "OGG" and content.count(b"OggS") < 4:
        pytest.skip("all of its sound is in one page")
    part = audio.load(io.BytesIO(cut))
    assert 0.4 * len(plain) < len(part.samples) < 0.75 * len(plain)
    same = len(part.samples) - 4_096  # the last block of a codec may be decoded in part, and the resampler sees an end
    assert np.abs(part.samples[:same] - plain[:same]).max() < 1e-6
    if container == "OGG":
        assert "possibly truncated: its last stream has no end mark" in part.warnings
        return
    seconds = len(part.samples) / 16_000
    [warning] = [w for w in part.warnings if w.startswith("truncated")]
    stated = float(warning.split("its header states ")[1].split(" s")[0])
    assert stated == pytest.approx(len(plain) / 16_000, abs=0.1)  # a block of a codec
    assert f"of which {seconds:.3f} s are there" in warning
    assert audio.duration(io.BytesIO(cut)) == pytest.approx(seconds, abs=1e-3)
