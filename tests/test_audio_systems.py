"""Systems that read samples and spectrograms, and a distilled one: from `duetto train` to `duetto predict`."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

import duetto
from duetto import audit, inference
from duetto import runs as run_folder
from duetto.cli import app
from duetto.config import experiment
from duetto.data.manifest import read_manifest
from duetto.data.utterance import Utterance
from duetto.errors import ConfigurationError
from duetto.experiments.fold_inputs import vectors_identity
from duetto.experiments.workspace import Workspace
from duetto.training import TEACHER

RUN = CliRunner()
SYSTEMS = {
    "waveform-cnn": ["dense=8"],
    "spectrogram-cnn": ["dense=8", "max_frames=40"],
    "spectrogram-alexnet": ["dense=8", "max_frames=40"],
    "acoustic-distilled": ["dense=8", "hidden=8"],
}


@pytest.fixture(scope="module")
def trained(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of each system after one epoch, made by the command; the teacher is a small fusion system."""
    folder = tmp_path_factory.mktemp("audio")
    teacher = folder / "teacher.toml"
    teacher.write_text(
        'name = "teacher"\ntitle = "Teacher"\nencoders = ["acoustic", "words"]\nhidden = 8\ndense = 8\nepochs = 1\n'
    )
    for name, settings in SYSTEMS.items():
        settings = [*settings, "epochs=1", *([f"teacher={teacher}"] if name == "acoustic-distilled" else [])]
        options = [part for setting in settings for part in ("--set", setting)]
        done = RUN.invoke(app, ["train", name, "--manifest", str(manifest), "-o", str(folder / name), *options])
        assert done.exit_code == 0, (done.stderr, done.exception)
    return folder


@pytest.fixture(scope="module")
def utterance(manifest: Path) -> Utterance:
    return next(u for u in read_manifest(manifest) if u.session == "5")


@pytest.mark.parametrize("name", SYSTEMS)
def test_prediction_equals_evaluation_and_needs_no_words(trained: Path, utterance: Utterance, name: str) -> None:
    prediction = duetto.load(trained / name)(utterance.audio)
    result = run_folder.result_of(trained / name)
    expected = result.calibrated[0, list(result.ids).index(utterance.id)]
    # float32 in two libraries
    np.testing.assert_allclose(list(prediction.probabilities.values()), expected, atol=1e-4)
    assert prediction.words_from == "none" and prediction.words == ()


@pytest.mark.parametrize("name", SYSTEMS)
def test_prediction_works_where_there_is_no_pytorch(trained: Path, utterance: Utterance, name: str) -> None:
    code = "import sys; sys.modules['torch'] = sys.modules['onnx'] = None; from duetto.cli import main; main()"
    command = [sys.executable, "-c", code, "predict", str(utterance.audio), "--model", str(trained / name), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["label"] in duetto.load(trained / name).labels


@pytest.mark.parametrize("samples", [np.zeros(16_000), np.ones(1) * 0.1, np.full(16_000, 0.3)])
@pytest.mark.parametrize("name", SYSTEMS)
def test_odd_audio_has_an_answer(trained: Path, samples: np.ndarray, name: str) -> None:
    prediction = duetto.load(trained / name)({"waveform": samples.astype(np.float32), "sample_rate": 16_000})
    assert np.isfinite(list(prediction.probabilities.values())).all()


def test_seconds_of_speech_are_counted_in_frames_of_the_system(trained: Path) -> None:
    long = {"waveform": np.random.default_rng(0).normal(0, 0.1, 16_000 * 25), "sample_rate": 16_000}
    for name, seconds in (("waveform-cnn", "20"), ("spectrogram-cnn", "0.4"), ("acoustic-distilled", "20")):
        assert any(
            f"only the first {seconds} s of 25.0 s" in w
            for w in duetto.load(trained / name, require_speech=False)(long).warnings
        )


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_audit_recomputes_the_normalisation(trained: Path, name: str) -> None:
    found = audit.load(trained / name)
    assert found is not None and found.verdict == "clean"
    assert not {finding.kind for finding in found.findings} & {"not-examined", "unknown-statistics"}


def test_the_audit_notes_weights_that_came_from_elsewhere(trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained / "spectrogram-alexnet", run)
    described = json.loads((run / "run.json").read_text())
    described["experiment"]["initial"] = "weights/alexnet.safetensors"
    (run / "run.json").write_text(json.dumps(described))
    found = audit.audit_run(run)
    (note,) = [finding for finding in found.findings if finding.kind == "unknown-weights"]
    assert "weights in alexnet.safetensors" in note.detail and found.verdict == "clean"


def test_a_waveform_is_normalised_by_one_mean_and_one_deviation(trained: Path) -> None:
    normaliser = inference.Session(trained / "waveform-cnn/fold0-seed0").preprocessor.normaliser
    assert normaliser.mean.shape == normaliser.deviation.shape == (1,)


def test_the_run_names_the_teacher_and_keeps_its_model(trained: Path, utterance: Utterance) -> None:
    described = run_folder.read(trained / "acoustic-distilled")
    assert '"name": "teacher"' in described["vectors"]
    teacher = duetto.load(trained / "acoustic-distilled/fold0-seed0" / TEACHER)
    assert teacher.uses_words and not duetto.load(trained / "acoustic-distilled").uses_words
    assert sum(teacher(utterance.audio, transcript=utterance.text).probabilities.values()) == pytest.approx(1)


def test_word_vectors_are_brought_for_the_teacher(manifest: Path, tmp_path: Path) -> None:
    arguments = ["train", "acoustic-distilled", "--manifest", str(manifest), "-o", str(tmp_path / "run")]
    done = RUN.invoke(app, [*arguments, "--set", "teacher=fusion-random", "--vectors", str(manifest)])
    assert done.exit_code == 2 and not (tmp_path / "run").exists()  # fusion-random reads no vectors from a file
    done = RUN.invoke(app, [*arguments, "--vectors", str(manifest)])
    assert done.exit_code == 1 and "manifest.jsonl" in str(done.exception)  # it is read as vectors, and is none


def test_a_run_notes_the_weights_that_it_starts_from(tmp_path: Path) -> None:
    save_file({"features.0.weight": torch.zeros(1)}, tmp_path / "mine.safetensors")
    shop, e = Workspace(tmp_path), experiment.load("spectrogram-alexnet", initial=str(tmp_path / "mine.safetensors"))
    before = vectors_identity(e, shop)
    save_file({"features.0.weight": torch.ones(1)}, tmp_path / "mine.safetensors")
    assert before.startswith("mine.safetensors ") and vectors_identity(e, shop) != before
    with pytest.raises(ConfigurationError, match="no such file"):
        vectors_identity(experiment.load("spectrogram-alexnet", initial=str(tmp_path / "gone.safetensors")), shop)
