"""Many recordings at once: the answers of one at a time, in order, past what cannot be read."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import duetto
from duetto import Prediction, audio
from duetto.cli import app
from duetto.errors import AudioError, ConfigurationError, DuettoError
from duetto.utterance import read_manifest

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
        assert "missing.wav: no such file" in done.stderr and "1 of 9 recordings have no answer" in done.stderr
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
