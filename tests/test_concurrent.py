"""Several commands at once, and data that change between them: nothing is lost, mixed up, or taken for what it was."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from conftest import SMALL
from duetto import audio
from duetto import runs as run_folder
from duetto.cli import app
from duetto.config import experiment
from duetto.data.manifest import read_manifest, write_manifest
from duetto.data.utterance import Utterance
from duetto.errors import ConfigurationError, ModelError
from duetto.experiments.runner import run_systems
from duetto.experiments.workspace import Workspace
from duetto.features.mfcc import MfccConfig
from duetto.features.store import extract_corpus
from duetto.inference import SpokenWordEncoder
from duetto.splits import PROTOCOLS
from duetto.training import word_embeddings
from duetto.training.word_embeddings import EmbeddingConfig

COMMAND = [sys.executable, "-c", "from duetto.cli import main; main()"]
CHANGES = [f"--set={key}={value}" for key, value in SMALL.items()]
HOLD = "import sys; from pathlib import Path; from duetto.{module}; print(flush=True); sys.stdin.read()"


@pytest.fixture
def copied(manifest: Path, tmp_path: Path) -> list[Utterance]:
    """The small corpus with recordings that a test may change."""
    utterances = []
    for u in read_manifest(manifest):
        shutil.copyfile(u.audio, tmp_path / f"{u.id}.wav")
        utterances.append(replace(u, audio=tmp_path / f"{u.id}.wav"))
    write_manifest(tmp_path / "manifest.jsonl", utterances)
    return utterances


def train(system: str, manifest: Path, out: Path) -> list[str]:
    return ["train", system, "--manifest", str(manifest), "-o", str(out), *CHANGES]


def test_of_three_trainings_in_one_folder_none_is_damaged(copied: list[Utterance], tmp_path: Path) -> None:
    command = [*COMMAND, *train("embedding-random", tmp_path / "manifest.jsonl", tmp_path / "run")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    ended = [(*process.communicate(timeout=300), process.returncode) for process in processes]
    printed = {out for out, _, status in ended if status == 0}
    refused = [error for _, error, status in ended if status]
    assert len(printed) == 1
    assert all(f"{tmp_path / 'run'}: another process is training in it" in error for error in refused)
    assert not any("Traceback" in error for _, error, _ in ended)


def test_two_trainings_on_one_manifest_share_its_features(copied: list[Utterance], tmp_path: Path) -> None:
    commands = [[*COMMAND, *train("acoustic", tmp_path / "manifest.jsonl", tmp_path / name)] for name in "ab"]
    processes = [subprocess.Popen(c, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for c in commands]
    ended = [(process.communicate(timeout=300)[1], process.returncode) for process in processes]
    assert [status for _, status in ended] == [0, 0], ended
    one, two = (run_folder.result_of(tmp_path / name) for name in "ab")
    np.testing.assert_array_equal(one.logits, two.logits)
    (home,) = (tmp_path / "cache/features").iterdir()
    lines = [json.loads(line) for line in (home / "index.jsonl").read_text().splitlines()]
    assert sum("offset" in line for line in lines) == len(copied)  # each recording once


def test_a_folder_in_which_another_process_trains_is_refused(copied: list[Utterance], tmp_path: Path) -> None:
    code = HOLD.format(module="runs import locked; h = locked(Path(sys.argv[1])); h.__enter__()")
    holder = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "run"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdin is not None and holder.stdout is not None
    holder.stdout.readline()
    for system in ("embedding-random", "svm"):
        arguments = train(system, tmp_path / "manifest.jsonl", tmp_path / "run")
        done = CliRunner().invoke(app, arguments if system != "svm" else arguments[: -len(CHANGES)])
        assert isinstance(done.exception, ConfigurationError) and "another process is training" in str(done.exception)
    holder.stdin.close()
    holder.wait(60)
    assert (
        CliRunner().invoke(app, train("embedding-random", tmp_path / "manifest.jsonl", tmp_path / "run")).exit_code == 0
    )


def test_a_second_training_of_speech2vec_waits_for_the_first(
    copied: list[Utterance], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = extract_corpus(copied, tmp_path / "features", MfccConfig())
    config = EmbeddingConfig(dim=4, epochs=1)
    (fold,) = PROTOCOLS["session5"](copied)
    folder = word_embeddings.encoder_folder(fold, store, config, tmp_path / "vectors")
    code = HOLD.format(module="utils.files import lock; h = lock(Path(sys.argv[1])); h.__enter__()")
    code = code.replace("sys.stdin.read()", "import time; time.sleep(2)")
    with subprocess.Popen([sys.executable, "-c", code, folder], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        word_embeddings.train_encoder(folder, fold, store, config)
        assert SpokenWordEncoder(folder).dim == 4
        assert holder.wait(60) == 0
    assert "another process is training Speech2Vec there; waiting for it" in caplog.text


def test_recordings_replaced_under_a_finished_run_are_named(copied: list[Utterance], tmp_path: Path) -> None:
    """By noise of the same size and time stamp, as `cp -p` and rsync leave it: the old figure is not printed."""
    arguments = train("embedding-random", tmp_path / "manifest.jsonl", tmp_path / "run")
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0 and CliRunner().invoke(app, arguments).stdout == done.stdout
    replaced, status = copied[3], copied[3].audio.stat()
    samples = audio.load(replaced.audio).samples
    audio.write(replaced.audio, np.random.default_rng(0).standard_normal(len(samples)) * 0.1, 16_000)
    os.utime(replaced.audio, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert replaced.audio.stat().st_size == status.st_size
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 1 and again.stdout == ""
    assert f"differs in the recording of utterance '{replaced.id}'; restore" in str(again.exception)


def test_a_run_of_an_earlier_version_is_read_and_not_resumed(copied: list[Utterance], tmp_path: Path) -> None:
    e, shop = experiment.load("embedding-random", **SMALL), Workspace(tmp_path / "cache")
    (result,) = run_systems([e], copied, "session5", [tmp_path / "run"], shop)
    described = json.loads((tmp_path / "run/run.json").read_text())
    del described["utterances"]
    (tmp_path / "run/run.json").write_text(json.dumps({**described, "data": "0123456789abcdef"}))
    np.testing.assert_array_equal(run_folder.result_of(tmp_path / "run").logits, result.logits)
    assert CliRunner().invoke(app, ["evaluate", str(tmp_path / "run")]).exit_code == 0
    predict = ["predict", str(copied[0].audio), "--model", str(tmp_path / "run"), "--transcript", "hello"]
    assert CliRunner().invoke(app, predict).exit_code == 0
    with pytest.raises(ModelError, match=r"a run of an earlier version of duetto, .* can't be resumed"):
        run_systems([e], copied, "session5", [tmp_path / "run"], shop)
