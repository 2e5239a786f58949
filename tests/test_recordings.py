"""Recordings as arguments of `duetto predict`: folders, patterns, streams, channels, files of answers."""

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from duetto import audio
from duetto.cli import app, recordings
from sounds import RATE, voice

RUN = CliRunner()
MIXED = "its 2 channels were mixed"


def predicted(*arguments: object, stdin: bytes | None = None) -> list[dict]:
    done = RUN.invoke(app, ["predict", *map(str, arguments), "--json"], input=stdin)
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def write(path: Path, sound: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    audio.write(path, sound, RATE)
    return path


def pcm(sound: np.ndarray) -> bytes:
    return np.rint(sound.T * 32_768).astype("<i2").tobytes()


def test_a_folder_is_searched_by_suffix_in_order(tmp_path: Path) -> None:
    for name in ("b/2.wav", "b/1.FLAC", "a.ogg", ".hidden/x.wav", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    found = recordings.find([tmp_path], recursive=True)
    assert [each.path.relative_to(tmp_path).as_posix() for each in found] == ["a.ogg", "b/1.FLAC", "b/2.wav"]
    done = RUN.invoke(app, ["predict", str(tmp_path)])
    assert done.exit_code == 1 and "is a folder" in done.stderr and "--recursive" in done.stderr
    (tmp_path / "empty").mkdir()
    with pytest.raises(typer.BadParameter, match="no recording is in"):
        recordings.find([tmp_path / "empty"], recursive=True)


def test_containers_of_ffmpeg_are_taken_only_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.m4a").write_bytes(b"")
    (tmp_path / "b.wav").write_bytes(b"")
    for program, count in ((None, 1), ("ffmpeg", 2)):
        monkeypatch.setattr(recordings, "installed", lambda program=program: program)
        assert len(recordings.find([tmp_path], recursive=True)) == count


def test_a_pattern_that_the_shell_left_alone(tmp_path: Path) -> None:
    for name in ("b.wav", "a.wav", "c[1].wav"):
        (tmp_path / name).write_bytes(b"")
    names = [each.path.name for each in recordings.find([tmp_path / "*.wav", tmp_path / "c[1].wav"])]
    assert names == ["a.wav", "b.wav", "c[1].wav", "c[1].wav"]  # a name that exists is no pattern
    assert [each.path.name for each in recordings.find([tmp_path / "*.flac"])] == ["*.flac"]  # its error names it


def test_channels_are_answered_one_by_one_or_mixed_with_a_warning(tmp_path: Path) -> None:
    first, second = voice(), voice()[::-1].copy()
    both = write(tmp_path / "both.wav", np.stack([first, second]))
    alone = [predicted(write(tmp_path / f"{c}.wav", sound))[0] for c, sound in enumerate((first, second))]
    (mixed,) = predicted(both)
    assert MIXED in " ".join(mixed["warnings"]) and "channel" not in mixed
    split = predicted(both, "--channels", "split")
    assert [each["channel"] for each in split] == [0, 1]
    for own, one in zip(split, alone, strict=True):
        assert own["probabilities"] == one["probabilities"] and MIXED not in " ".join(own["warnings"])
    (one,) = predicted(both, "--channels", "1")
    assert (one["channel"], one["probabilities"]) == (1, alone[1]["probabilities"])
    same = write(tmp_path / "same.wav", np.stack([first, first]))
    assert MIXED not in " ".join(predicted(same)[0]["warnings"])
    assert RUN.invoke(app, ["predict", str(both), "--channels", "left"]).exit_code == 2
    done = RUN.invoke(app, ["predict", str(both), "--channels", "2"])
    assert done.exit_code == 1 and "channel 2 requested; it has channels 0 to 1" in done.stderr


def test_standard_input_with_and_without_a_header(tmp_path: Path) -> None:
    sound = np.stack([voice(), voice()[::-1]])
    path = write(tmp_path / "a.wav", sound)
    expected = predicted(path, "--channels", "split")
    headed = predicted("-", "--channels", "split", stdin=path.read_bytes())
    raw = predicted("-", "--rate", RATE, "--raw-channels", 2, "--channels", "split", stdin=pcm(sound))
    for given in (headed, raw):
        assert [each["probabilities"] for each in given] == [each["probabilities"] for each in expected]
        assert {each["file"] for each in given} == {"-"}
    assert RUN.invoke(app, ["predict", "-", "--rate", "999999999"], input=b"ab").exit_code == 2


def test_answers_in_a_file(tmp_path: Path) -> None:
    good, bad = write(tmp_path / "a,b.wav", voice()), tmp_path / "bad.wav"
    bad.write_text("no audio")
    (printed,) = predicted(good)
    for name in ("out.csv", "out.jsonl"):
        done = RUN.invoke(app, ["predict", str(good), str(bad), "-o", str(tmp_path / name)])
        assert done.exit_code == 1 and "1 of 2 recordings have no prediction" in done.stderr and not done.stdout
    assert [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()] == [printed]
    (row,) = csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text()))
    assert (row["file"], row["label"]) == (str(good), printed["label"])
    assert {label: float(row[f"probability_{label}"]) for label in printed["probabilities"]} == printed["probabilities"]
    assert RUN.invoke(app, ["predict", str(good), "-o", str(tmp_path / "out.txt")]).exit_code == 2


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the program ffmpeg")
def test_a_container_is_predicted_as_the_sound_in_it(tmp_path: Path) -> None:
    import subprocess

    path = write(tmp_path / "a.wav", voice())
    subprocess.run(["ffmpeg", "-loglevel", "error", "-i", path, "-c:a", "flac", tmp_path / "a.mka"], check=True)
    assert predicted(tmp_path / "a.mka")[0]["probabilities"] == predicted(path)[0]["probabilities"]
    (piped,) = predicted("-", stdin=(tmp_path / "a.mka").read_bytes())
    assert piped["probabilities"] == predicted(path)[0]["probabilities"]
