"""`duetto export`: a folder that predicts by itself, verified; and everything that a run folder can have wrong."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import duetto
from duetto import runs as run_folder
from duetto.baselines import BASELINES
from duetto.cli import app
from duetto.data.manifest import read_manifest
from duetto.data.utterance import Utterance
from duetto.errors import AudioError, ConfigurationError, DuettoError, ModelError
from duetto.experiments.export import export
from duetto.splits import folds

RUN = CliRunner()
FILES = {
    "acoustic": {"model.onnx", "model.json", "README.md"},
    "fusion-speech2vec": {"model.onnx", "model.json", "README.md", "language.json"},
    "fusion-spoken": {"model.onnx", "model.json", "README.md", "language.json", "spoken.onnx", "spoken.json"},
}


@pytest.fixture(scope="module")
def utterance(manifest: Path) -> Utterance:
    return next(u for u in read_manifest(manifest) if u.session == "5" and u.words)


@pytest.mark.parametrize("name", FILES)
def test_the_folder_predicts_what_the_run_predicts(runs: Path, utterance: Utterance, tmp_path: Path, name: str) -> None:
    exported = export(runs / name, tmp_path / "out", recordings=[utterance.audio])
    assert {path.name for path in exported.folder.iterdir()} == FILES[name]
    assert exported.difference < 1e-6  # float32 in two libraries, 200 steps of 8 units
    assert exported.recordings == 1 and exported.int8 is None
    one, other = (duetto.load(folder)(utterance.audio) for folder in (runs / name, tmp_path / "out"))
    assert one.probabilities == other.probabilities and one.words == other.words


def test_the_card_states_facts(runs: Path, tmp_path: Path) -> None:
    result = run_folder.result_of(runs / "fusion-spoken")
    export(runs / "fusion-spoken", tmp_path / "out")
    card = (tmp_path / "out/README.md").read_text()
    for fact in (
        "fusion-spoken: Fusion, spoken-word embeddings", "audio and words", "angry, happy, neutral, sad",
        "protocol session5, fold 0 (session 5), seed 0", "disjoint in speaker, session", "float32",
        f"{len(result.ids)} test", "The corpus is synthetic", "torch 2", "onnxruntime", "| spoken.onnx |",
    ):  # fmt: skip
        assert fact in card, fact
    recalls = [np.mean(result.predicted[0][result.target == c] == c) for c in range(4)]
    assert f"| {100 * np.mean(recalls):.1f} [" in card


def test_8_bit_weights_are_smaller_and_their_cost_is_reported(runs: Path, utterance: Utterance, tmp_path: Path) -> None:
    done = RUN.invoke(app, ["export", str(runs / "acoustic"), "-o", str(tmp_path / "out"), "--int8",
                            "--verify", str(utterance.audio)])  # fmt: skip
    assert done.exit_code == 0, done.stderr
    assert "8-bit weights: model.onnx" in done.stdout and "on the recordings a probability changes" in done.stdout
    assert "8-bit integers" in (tmp_path / "out/README.md").read_text()
    pair = [duetto.load(folder)(utterance.audio) for folder in (runs / "acoustic", tmp_path / "out")]
    one, other = (np.array(list(prediction.probabilities.values())) for prediction in pair)
    assert 0 < np.abs(one - other).max() < 0.05  # see test_verification
    again = export(runs / "acoustic", tmp_path / "again", int8=True).int8
    assert again is not None and again.random and again.size[1] < again.size[0] and again.change < 0.05


def test_fold_and_seed_are_chosen_or_refused(runs: Path, tmp_path: Path) -> None:
    run = runs / "acoustic"
    assert export(run, tmp_path / "out", fold=0, seed=0).part == run / "fold0-seed0"
    with pytest.raises(ConfigurationError, match=r"has no fold 1; its folds are 0 \(session 5\)"):
        export(run, tmp_path / "other", fold=1)
    with pytest.raises(ConfigurationError, match="has no seed 7; its seeds are 0"):
        export(run, tmp_path / "other", seed=7)
    assert not (tmp_path / "other").exists()


def test_an_empty_folder_is_filled_and_a_full_one_is_left_alone(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    export(runs / "acoustic", out)
    with pytest.raises(ConfigurationError, match="not empty; choose another folder, or delete it"):
        export(runs / "acoustic", out)


def damage(run: Path, how: str) -> None:
    part = run / "fold0-seed0"
    if how == "no run":
        (run / "run.json").unlink()
    elif how == "unfinished":
        (part / "model.safetensors").unlink()
    elif how == "truncated":
        (part / "model.safetensors").write_bytes((part / "model.safetensors").read_bytes()[:5000])
    elif how == "no JSON":
        (part / "model.json").write_text("{")
    elif how == "temperature":
        value = json.loads((part / "model.json").read_text()) | {"temperature": 0}
        (part / "model.json").write_text(json.dumps(value))
    elif how == "other weights":
        value = json.loads((part / "model.json").read_text())
        value["experiment"]["hidden"] = 16
        (part / "model.json").write_text(json.dumps(value))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("no run", "no run folder; make one with: duetto train"),
        ("unfinished", "its training is unfinished; run the same `duetto train` again"),
        ("truncated", "damaged, or no checkpoint of duetto"),
        ("no JSON", "model.json: not valid JSON"),
        ("temperature", "'temperature' must be a finite number from 0.01 to 1000, not 0"),
        ("other weights", "these weights are not of system 'acoustic'"),
    ],
)
def test_a_damaged_run_is_refused_and_nothing_is_left(runs: Path, tmp_path: Path, how: str, message: str) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs / "acoustic", run)
    damage(run, how)
    with pytest.raises(ModelError, match=message):
        export(run, tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"run"}


def test_a_damaged_graph_in_the_run_is_made_anew(runs: Path, tmp_path: Path) -> None:
    """The weights are what was trained; the graph beside them is only one of their forms."""
    shutil.copytree(runs / "acoustic", tmp_path / "run")
    (tmp_path / "run/fold0-seed0/model.onnx").write_bytes(b"junk")
    export(tmp_path / "run", tmp_path / "out")
    assert duetto.load(tmp_path / "out").labels == ("angry", "happy", "neutral", "sad")


def test_a_bad_recording_and_a_baseline_are_refused(runs: Path, manifest: Path, tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="no such file"):
        export(runs / "acoustic", tmp_path / "out", recordings=[tmp_path / "missing.wav"])
    assert not list(tmp_path.iterdir())
    fold = folds("session5", read_manifest(manifest))
    run_folder.begin(tmp_path / "svm", run_folder.describe(BASELINES["svm"], "session5", fold, [0]))
    with pytest.raises(DuettoError, match="holds a run of baseline 'svm', which has no experiment"):
        export(tmp_path / "svm", tmp_path / "out")
