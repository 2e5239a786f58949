"""A trained system in a folder of its own: all that prediction needs, held against the model it came from.

    RUN/foldK-seedS ─ weights, what training fixed ─▶ model.onnx, model.json, language.json, spoken.* ─▶ DIR
                            the PyTorch model ─ logits ─▶ verify ◀─ logits ─ the graph        README.md ─▶ DIR

The graph has to say what the model says, to rounding, on inputs drawn like the system's own, of every length from
none to the longest, and on any recordings that are given. Then only does the folder appear.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import inference, metrics, report, runs, training
from ..asr.finder import LANGUAGE_MODEL_FILE
from ..errors import ConfigurationError, ModelError
from ..inference import GRAPH, SOUNDS, SPOKEN_DESCRIPTION, SPOKEN_GRAPH, Session
from ..inference.recogniser import Recogniser
from ..models.emotion import EmotionModel
from ..training import Inputs, checkpoint
from ..training.loop import CHOSEN
from ..training.verification import TOLERANCE, answers_alone, drawn, verify
from ..utils import files

README = "README.md"
_COPIED = (LANGUAGE_MODEL_FILE, SPOKEN_GRAPH, SPOKEN_DESCRIPTION, SOUNDS)
"""What an export takes from a run as it is, where the run has it; all else in it is made anew."""

_PASSES = 3


@dataclass(frozen=True)
class Quantised:
    """What 8-bit weights save and cost, beside float32, on the inputs of the verification.

    size: bytes of model.onnx, before and after. seconds: mean of one answer, before and after.
    change: largest change of a probability. relabelled: share of the inputs that get another label.
    drawn: whether these inputs were drawn; else they are the recordings that were given.
    """

    size: tuple[int, int]
    seconds: tuple[float, float]
    change: float
    relabelled: float
    drawn: bool


@dataclass(frozen=True)
class Exported:
    """An exported system. difference: the largest one of a logit between the float32 graph and the PyTorch model,
    on `inputs` drawn inputs and `recordings`. int8: None where the weights are float32."""

    folder: Path
    part: Path
    inputs: int
    recordings: int
    difference: float
    int8: Quantised | None


def export(
    run: Path,
    folder: Path,
    *,
    fold: int | None = None,
    seed: int | None = None,
    int8: bool = False,
    recordings: Sequence[Path] = (),
) -> Exported:
    """Write one trained system of a run folder, verified, into a new folder.

    fold: its number, seed: one of the run's; the first by default. recordings: audio files to verify on, too.
    Errors: a ModelError for a folder that is no run, for a baseline, a training that is unfinished or damaged, and a
    graph that departs from the model; a ConfigurationError for a fold or seed that the run has not, and for a
    `folder` that holds something.
    """
    runs.experiment_of(run)
    folder = folder.absolute()
    described = runs.read(run)
    part = run / runs.member(*_chosen(described, run, fold, seed))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigurationError(f"{folder} is there and not empty; choose another folder, or delete it")
    if not (part / CHOSEN).is_file() or not (part / inference.DESCRIPTION).is_file():
        raise ModelError(f"{part}: its training is unfinished; run the same `duetto train` again to go on")
    with files.new_folder(folder) as temporary:
        model = _write(part, temporary)
        checked = _verified(model, temporary, recordings)
        quantised = _quantised(temporary, checked) if int8 else None
        exported = Exported(folder, part, len(checked.drawn.target), len(recordings), checked.difference, quantised)
        files.write_text(temporary / README, _card(run, described, exported, temporary))
    return exported


def _chosen(described: Mapping[str, Any], run: Path, fold: int | None, seed: int | None) -> tuple[int, int]:
    """Fold and seed, the first of the run by default."""
    folds, seeds = described["folds"], described["seeds"]
    fold, seed = fold or 0, int(seeds[0]) if seed is None else seed
    if not 0 <= fold < len(folds):
        names = ", ".join(f"{number} ({each['name']})" for number, each in enumerate(folds))
        raise ConfigurationError(f"{run} has no fold {fold}; its folds are {names}")
    if seed not in seeds:
        raise ConfigurationError(f"{run} has no seed {seed}; its seeds are {', '.join(map(str, seeds))}")
    return fold, seed


def _write(part: Path, folder: Path) -> EmotionModel:
    """The graph made anew from the trained weights, and all else that prediction reads; returns the model."""
    preprocessor, temperature = inference.settings(part)
    weights, _ = checkpoint.load(part / CHOSEN)
    model = training.restore(preprocessor, weights)
    for path in (part / name for name in _COPIED):
        if path.is_symlink():
            raise ModelError(
                f"{path}: is a link, and an export holds a run's own files alone; put the file in its place"
            )
        if path.is_file():
            files.copy(path, folder / path.name)
    inference.export({name: tensor.numpy() for name, tensor in weights.items()}, preprocessor, temperature, folder)
    return model


@dataclass(frozen=True)
class _Checked:
    """Inputs that a float32 graph was verified on, and the largest difference of a logit."""

    drawn: Inputs
    heard: Inputs | None
    difference: float


def _verified(model: EmotionModel, folder: Path, recordings: Sequence[Path]) -> _Checked:
    session, recogniser = Session(folder), Recogniser(folder)  # which opens all that an answer needs
    heard = _heard(recogniser, recordings) if recordings else None
    checked = _unlabelled(*drawn(session.preprocessor))
    differences = [
        verify(session, inputs.frames, inputs.words, training.logits(model, session.preprocessor, inputs))
        for inputs in (checked, heard)
        if inputs is not None
    ]
    return _Checked(checked, heard, max(differences))


def _heard(recogniser: Recogniser, recordings: Sequence[Path]) -> Inputs:
    """What the system hears in recordings, words included."""
    found = [recogniser.prepare_inputs(recording) for recording in recordings]
    frames = [inputs.frames for inputs in found if inputs.frames is not None]
    words = [inputs.word_values for inputs in found if inputs.word_values is not None]
    return _unlabelled(frames or None, words or None)


def _unlabelled(frames: list[np.ndarray] | None, words: list[np.ndarray] | None) -> Inputs:
    """Inputs whose labels nobody asks for."""
    return Inputs(frames, words, np.zeros(len(frames if frames is not None else words or []), np.int64))


def _quantised(folder: Path, checked: _Checked) -> Quantised:
    """Turn the weights into integers, and see what became of the answers."""
    inputs = checked.heard or checked.drawn
    before, size, seconds = _timed(folder, inputs)
    inference.quantise(folder)
    after, smaller, quicker = _timed(folder, inputs)
    temperature = Session(folder).temperature
    change = np.abs(metrics.softmax(after / temperature) - metrics.softmax(before / temperature)).max()
    relabelled = float((metrics.predicted_classes(after) != metrics.predicted_classes(before)).mean())
    return Quantised((size, smaller), (seconds, quicker), float(change), relabelled, checked.heard is None)


def _timed(folder: Path, inputs: Inputs) -> tuple[np.ndarray, int, float]:
    """Logits one at a time, bytes of the graph, and seconds for one answer (the best of three passes)."""
    session = Session(folder)
    logits, fastest = answers_alone(session, inputs.frames, inputs.words), float("inf")
    for _ in range(_PASSES):
        began = time.perf_counter()
        answers_alone(session, inputs.frames, inputs.words)
        fastest = min(fastest, time.perf_counter() - began)
    return logits, (folder / GRAPH).stat().st_size, fastest / len(logits)


def _card(run: Path, described: Mapping[str, Any], exported: Exported, folder: Path) -> str:
    """The README of an exported folder: what is known of the system, and nothing else."""
    preprocessor, temperature = inference.settings(folder)
    e = preprocessor.experiment
    fold, seed = exported.part.name.removeprefix("fold").split("-seed")
    trained = described["folds"][int(fold)]
    counts = ", ".join(f"{len(trained[part])} {part}" for part in ("train", "development", "test"))
    facts = {
        "system": f"{e.name}: {e.title}",
        "reads": " and ".join(what for what, used in (("voice", e.uses_audio), ("words", e.uses_words)) if used),
        "answers": ", ".join(preprocessor.classes),
        "trained on": f"protocol {described['protocol']}, fold {fold} ({trained['name']}), seed {seed}: {counts} "
        f"utterances; disjoint in {', '.join(trained['disjoint_in']) or 'NOTHING'}",
        "temperature": f"{temperature:.4g}, fitted on development data",
        "weights": "float32" if exported.int8 is None else "8-bit integers",
        "verified": verification_line(exported),
        **({} if exported.int8 is None else {"8-bit weights": quantisation_line(exported.int8)}),
        "trained with": ", ".join(f"{name} {version}" for name, version in described["environment"].items()),
        "exported with": ", ".join(
            f"{name} {version}" for name, version in runs.environment(("onnx", "onnxruntime")).items()
        ),
    }
    table = "".join(f"| {name} | {value} |\n" for name, value in facts.items())
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = "".join(f"| {path.relative_to(folder).as_posix()} | {path.stat().st_size} |\n" for path in paths)
    return (
        f"# {e.title}\n\n    duetto predict FILE --model FOLDER\n\n| | |\n|---|---|\n{table}\n"
        f"## Scores of the run\n\n{_scores(run, described)}\n## Files\n\n| file | bytes |\n|---|---:|\n{files}"
    )


def _scores(run: Path, described: Mapping[str, Any]) -> str:
    """The table of the whole run: all folds and seeds, this one among them."""
    if not (run / runs.RESULT).is_file():
        return "The run is not finished: there are none.\n"
    corpus = {"synthetic": described["synthetic"]}
    protocol = {"protocol": described["protocol"], "folds": len(described["folds"]), "seeds": described["seeds"]}
    return report.markdown([runs.result_of(run)], protocol=protocol, corpus=corpus)


def verification_line(exported: Exported) -> str:
    """How the graph was held against the model, in a sentence."""
    n = exported.recordings
    heard = f" and {n} recording{'s' * (n > 1)}" if n else ""
    return (
        f"on {exported.inputs} drawn inputs of every length{heard}: logits of the float32 graph differ from those of "
        f"the PyTorch model by at most {exported.difference:.1e} (allowed: {TOLERANCE:g} of the largest)"
    )


def quantisation_line(int8: Quantised) -> str:
    """What 8-bit weights save and cost, in a sentence."""
    size, seconds = (
        [f"{value:.3g}" for value in pair] for pair in (np.array(int8.size) / 1e6, 1e3 * np.array(int8.seconds))
    )
    return (
        f"model.onnx {size[0]} → {size[1]} MB; the network {seconds[0]} → {seconds[1]} ms an answer; on the "
        f"{'drawn inputs' if int8.drawn else 'recordings'} a probability moves by at most {int8.change:.4f}, and "
        f"{int8.relabelled:.1%} get another label"
    )
