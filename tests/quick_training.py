"""A fabricated corpus and a system trained on it in seconds: for tests that follow a new part to its predictions."""

from pathlib import Path

import numpy as np
from typer.testing import CliRunner

import duetto
from corpus_trees import wav
from duetto import runs
from duetto.cli import app
from duetto.data.labels import LABEL_SETS
from duetto.data.manifest import read_manifest, write_manifest
from duetto.data.utterance import Utterance

SMALL = ("hidden=8", "dense=8", "epochs=1")


def corpus(folder: Path) -> Path:
    """A manifest of sines, each class with its own pitch and level: 6 speakers in 2 sessions, 8 utterances each."""
    utterances = []
    for speaker in range(6):
        for at, label in enumerate(LABEL_SETS["four"] * 2):
            name = f"{speaker}-{label}-{at}"
            audio, seconds = folder / f"{name}.wav", 0.5 + 0.1 * speaker
            wav(audio, seconds, frequency=200 * (1 + at % 4) + speaker, amplitude=0.2 / (1 + at % 4))
            utterances.append(Utterance(name, audio, label=label, speaker=f"s{speaker}", session=str(1 + speaker // 4)))
    write_manifest(folder / "manifest.jsonl", utterances)
    return folder / "manifest.jsonl"


def train(system: str | Path, folder: Path) -> Path:
    """The run folder of a small version of a system (a name, or an experiment file), trained on `corpus`."""
    run = folder / "run"
    changes = [word for change in SMALL for word in ("--set", change)]
    options = ["--manifest", str(corpus(folder)), "--protocol", "session5", "-o", str(run), *changes]
    done = CliRunner().invoke(app, ["train", str(system), *options])
    assert done.exit_code == 0, (done.output, done.exception)
    return run


def check_predictions(run: Path) -> None:
    """Predict the test recordings from a run folder; the probabilities must be those that the run scored.

    The tolerance is for PyTorch's and ONNX Runtime's different order of float32 sums.
    """
    result, recogniser = runs.result_of(run), duetto.load(run, require_speech=False)
    audio = {utterance.id: utterance.audio for utterance in read_manifest(run.parent / "manifest.jsonl")}
    assert len(result.ids) == 16 and np.ptp(result.logits[0], axis=0).max() > 0.01
    for name, expected in zip(result.ids, result.calibrated[0], strict=True):
        predicted = recogniser(audio[str(name)]).probabilities
        np.testing.assert_allclose(list(predicted.values()), expected, atol=1e-5)
