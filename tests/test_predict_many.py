"""Many recordings at once: the answers of one at a time, in order, past what cannot be read."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import duetto
from duetto import Prediction, audio
from duetto.cli import app
from duetto.data.manifest import read_manifest
from duetto.errors import AudioError, ConfigurationError, DuettoError
from duetto.inference import inputs, recogniser
from duetto.inference.recogniser import Recogniser

RUN = CliRunner()


@pytest.fixture(scope="module")
def recordings(manifest: Path) -> list[Path]:
    return [utterance.audio for utterance in read_manifest(manifest)[:7]]


def outcome(answer: Prediction | DuettoError) -> object:
    """What must agree to the last bit, errors by their message."""
    return answer if isinstance(answer, Prediction) else (type(answer), str(answer))


@pytest.mark.parametrize("name", ["acoustic", "fusion-spoken"])
@pytest.mark.parametrize("workers", [1, 2])
def test_many_equal_one_by_one_with_a_bad_one_inside(
    runs: Path, recordings: list[Path], tmp_path: Path, name: str, workers: int
) -> None:
    (tmp_path / "bad.wav").write_text("no audio")
    sources = [*recordings[:3], tmp_path / "bad.wav", *recordings[3:], tmp_path / "missing.wav"]
    system = duetto.load(runs / name)
    answers = list(system.predict_many(sources, workers=workers))
    assert list(map(outcome, answers)) == [outcome(system.attempt(source)) for source in sources]
    assert [isinstance(answer, AudioError) for answer in answers] == [i in (3, 8) for i in range(9)]


@pytest.mark.parametrize("name", ["acoustic", "fusion-spoken"])
def test_file_objects_and_arrays_go_in_too(runs: Path, recordings: list[Path], name: str) -> None:
    waveform = audio.load(recordings[0])
    array = {"waveform": waveform.samples, "sample_rate": waveform.sample_rate}
    with recordings[0].open("rb") as file:
        sources = [recordings[0], file, io.BytesIO(recordings[0].read_bytes()), array]
        answers = list(duetto.load(runs / name).predict_many(sources, workers=2))
    assert all(answer == answers[0] for answer in answers) and isinstance(answers[0], Prediction)


def test_nothing_gives_nothing(runs: Path) -> None:
    assert list(duetto.load(runs / "acoustic").predict_many([], workers=2)) == []
    with pytest.raises(ConfigurationError, match="give 1 or more"):
        list(duetto.load(runs / "acoustic").predict_many([], workers=0))


def test_the_command_answers_in_order_and_ends_with_1(runs: Path, recordings: list[Path], tmp_path: Path) -> None:
    odd = tmp_path / "voix\udce9.wav"  # a name in Latin-1
    shutil.copyfile(recordings[0], odd)
    files = [*map(str, recordings), str(tmp_path / "missing.wav"), str(odd)]
    for workers in ("1", "3"):
        done = RUN.invoke(app, ["predict", *files, "-m", str(runs / "acoustic"), "--json", "--workers", workers])
        assert done.exit_code == 1
        answered = [json.loads(line)["file"] for line in done.stdout.splitlines()]
        assert (
            answered[: len(recordings)] == list(map(str, recordings)) and str(tmp_path / "missing.wav") not in answered
        )
        assert "missing.wav: no such file" in done.stderr and "1 of 9 recordings have no prediction" in done.stderr
        assert answered[len(recordings) :] == [str(odd)]


def test_the_bar_goes_to_a_terminal_and_the_answers_do_not(runs: Path, recordings: list[Path]) -> None:
    pty = pytest.importorskip("pty")
    terminal, end = pty.openpty()
    command = [sys.executable, "-c", "from duetto.cli import main; main()", "predict", *map(str, recordings)]
    command += ["-m", str(runs / "acoustic"), "--json"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=end, text=True, env=environment, check=False)
    os.close(end)
    drawn = os.read(terminal, 1 << 16).decode()
    os.close(terminal)
    assert done.returncode == 0, drawn
    assert [json.loads(line)["file"] for line in done.stdout.splitlines()] == list(map(str, recordings))
    assert "recordings" in drawn and "7/7" in drawn and "left" in drawn and "probabilities" not in drawn


def test_every_error_of_one_recording_is_its_own(
    runs: Path, recordings: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, link = tmp_path / "folder.wav", tmp_path / "link.wav"
    folder.mkdir()
    link.symlink_to("gone.wav")
    large, odd, denied = tmp_path / "large.wav", tmp_path / "odd.wav", tmp_path / "denied.wav"
    for path in (large, odd, denied):
        shutil.copyfile(recordings[0], path)
    load, access = recogniser.audio.load, os.access
    failures = {large: MemoryError(), odd: RuntimeError("a defect"), denied: PermissionError(13, "Permission denied")}

    def failing(source: object, **options: object) -> object:
        if isinstance(source, Path) and source in failures:
            raise failures[source]
        return load(source, **options)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(recogniser.audio, "load", failing)
    # The command line's own check of arguments would end the command with one that cannot be read.
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != str(denied) and access(path, mode))
    bad = [folder, link, large, odd, denied, Path("/dev/zero")]
    files = [bad[0], recordings[0], *bad[1:], recordings[1]]
    for workers in ("1", "2"):
        done = RUN.invoke(
            app, ["predict", *map(str, files), "-m", str(runs / "acoustic"), "--json", "--workers", workers]
        )
        assert [json.loads(line)["file"] for line in done.stdout.splitlines()] == [str(r) for r in recordings[:2]]
        assert done.exit_code == 1 and "6 of 8 recordings have no prediction" in done.stderr
        for message in (
            "folder.wav: is a folder", "link.wav: a link to gone.wav", "large.wav: there is not enough memory",
            "odd.wav: RuntimeError: a defect", "Permission denied", "/dev/zero: cannot be read as audio",
        ):  # fmt: skip
            assert message in done.stderr


def test_what_worker_processes_log_is_printed_as_with_one_worker(
    runs: Path, recordings: list[Path], tmp_path: Path
) -> None:
    """By the formatter of the command line, in the order of the recordings."""
    audio.write(tmp_path / "silent.wav", np.zeros(16_000, np.float32), 16_000)
    files = [str(tmp_path / "silent.wav"), str(recordings[0]), str(tmp_path / "silent.wav")]
    command = [
        sys.executable,
        "-c",
        "from duetto.cli import main; main()",
        "predict",
        *files,
        "--any-sound",
        "--workers",
    ]
    printed = [
        subprocess.run([*command, workers, "-m", str(runs / "fusion-speech2vec")], capture_output=True, check=True)
        for workers in ("1", "2")
    ]
    assert printed[0].stderr == printed[1].stderr and printed[0].stdout == printed[1].stdout
    assert printed[1].stderr.count(b"WARNING duetto.asr.engines: no word was recognised: ") == 2


def test_worker_processes_get_what_only_this_process_can_read(runs: Path, recordings: list[Path]) -> None:
    reader, writer = os.pipe()
    os.write(writer, recordings[0].read_bytes()[: 1 << 16])
    os.close(writer)
    system = duetto.load(runs / "fusion-spoken", asr="segments")
    sources = [recordings[1], f"/dev/fd/{reader}", "/dev/zero", recordings[1].open("rb")]
    first, second, third, fourth = system.predict_many(sources, workers=2)
    os.close(reader)
    assert not isinstance(first, Exception) and not isinstance(second, Exception)
    assert isinstance(third, AudioError) and "/dev/zero: cannot be read" in str(third)
    assert not isinstance(fourth, Exception) and fourth.probabilities == first.probabilities


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_standard_input(runs: Path, recordings: list[Path], tmp_path: Path, name: str) -> None:
    content = recordings[0].read_bytes()
    main = [sys.executable, "-c", "from duetto.cli import main; main()"]
    command = [*main, "predict", name, "-m", str(runs / "acoustic"), "--json"]
    done = subprocess.run(command, input=content, capture_output=True, check=False)
    record = json.loads(done.stdout)
    assert record["file"] == name
    expected = duetto.load(runs / "acoustic")(recordings[0])
    assert record["label"] == expected.label and record["duration"] == round(expected.duration, 3)
    command = [*main, "features", name, str(recordings[1]), "/dev/zero", "-o", str(tmp_path / "f")]
    done = subprocess.run(command, input=content, capture_output=True, text=False, check=False)
    assert done.returncode == 1, done.stderr
    assert b"skipped /dev/zero: /dev/zero: cannot be read as audio" in done.stderr
    assert b"2 of 3 utterances, 1 skipped" in done.stderr


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_no_more_is_decoded_than_changes_the_answer(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rate: int
) -> None:
    path = tmp_path / "long.flac"
    audio.write(path, np.random.default_rng(0).normal(0, 0.1, 60 * rate), rate)
    system = duetto.load(runs / "acoustic", require_speech=False)
    part = system(path)
    monkeypatch.setattr(Recogniser, "max_seconds", 1e6)
    whole = system(path)
    assert part.duration == whole.duration == 60 and part.warnings == whole.warnings
    np.testing.assert_allclose(
        list(part.probabilities.values()), list(whole.probabilities.values()), atol=1e-5
    )  # the filter of the resampler


def test_an_answer_that_depends_on_the_whole_has_a_limit(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert duetto.load(runs / "fusion-spoken").max_seconds == duetto.load().max_seconds == inputs.LONGEST_SECONDS
    monkeypatch.setattr(inputs, "LONGEST_SECONDS", 5.0)
    source = {"waveform": np.random.default_rng(0).normal(0, 0.1, 16_000 * 9), "sample_rate": 16_000}
    prediction = duetto.load(require_speech=False)(source)
    assert prediction.duration == 9 and "only the first 5 s of 9.0 s were read" in prediction.warnings
