"""Export a trained system into a folder of its own, verified against the PyTorch model.

    RUN/foldK-seedS ─ weights, preprocessor ─▶ model.onnx, model.json, language.json, spoken.*, README.md ─▶ DIR
                        PyTorch model ─ logits ─▶ verify ◀─ logits ─ graph

The graph must agree with the model up to rounding, on random inputs of every length from 0 to the longest, and on the
recordings that are given. Only then is the folder moved into place.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import inference, metrics, report, runs, training
from ..asr.finder import LANGUAGE_MODEL_FILE
from ..errors import ConfigurationError, ModelError
from ..inference import GRAPH, SOUNDS, SPOKEN_DESCRIPTION, SPOKEN_GRAPH, Session
from ..inference.confidence import CONFIDENCE, Confidence
from ..inference.recogniser import Recogniser
from ..models.emotion import EmotionModel
from ..report import coverage
from ..training import Inputs, checkpoint
from ..training.loop import CHOSEN
from ..training.verification import TOLERANCE, outputs_one_by_one, random_inputs, verify
from ..utils import files

README = "README.md"
_COPIED = (LANGUAGE_MODEL_FILE, SPOKEN_GRAPH, SPOKEN_DESCRIPTION, SOUNDS, CONFIDENCE)
"""Files of a run that are copied, where it has them; all others are made again."""

_PASSES = 3


@dataclass(frozen=True)
class Quantised:
    """8-bit weights compared with float32, on the inputs of the verification.

    Attributes:
        size: Bytes of model.onnx, before and after.
        seconds: Mean time of one prediction of the network, before and after.
        change: Largest change of a probability.
        relabelled: Share of the inputs whose label changes.
        random: Whether these inputs are random; else they are the recordings that were given.
    """

    size: tuple[int, int]
    seconds: tuple[float, float]
    change: float
    relabelled: float
    random: bool


@dataclass(frozen=True)
class Exported:
    """An exported system.

    Attributes:
        folder: Of the export.
        part: Folder of the fold and seed that it comes from.
        inputs: Number of random inputs of the verification.
        recordings: Number of recordings of the verification.
        difference: Largest difference of a logit between the float32 graph and the PyTorch model.
        int8: Comparison of 8-bit weights with float32; None where the weights are float32.
    """

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
    """Export one trained system of a run folder.

    Args:
        run: The run folder.
        folder: To write; must be empty or missing.
        fold: Its number, from 0; the first by default.
        seed: One of the run's; the first by default.
        int8: Store 8-bit weights.
        recordings: Audio files to verify on, too.

    Returns:
        What was exported, and how well it agrees with the model.

    Raises:
        ModelError: `run` is no run folder or that of a baseline, its training is unfinished or damaged, or the graph
            departs from the model.
        ConfigurationError: The run has no such fold or seed, or the folder is not empty.
    """
    runs.experiment_of(run)
    folder = folder.absolute()
    described = runs.read(run)
    part = run / runs.member(*chosen_training(run, fold, seed))
    check_free(folder)
    with files.new_folder(folder) as temporary:
        exported = replace(export_training(part, temporary, int8=int8, recordings=recordings), folder=folder)
        files.write_text(temporary / README, _card(run, described, exported, temporary))
    return exported


def check_free(folder: Path) -> None:
    """Check that a folder can be written to.

    Args:
        folder: The folder of an export.

    Raises:
        ConfigurationError: It holds something.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigurationError(f"{folder} is there and not empty; choose another folder, or delete it")


def export_training(part: Path, folder: Path, *, int8: bool = False, recordings: Sequence[Path] = ()) -> Exported:
    """Write one training into a folder, verified, without a card.

    Args:
        part: Folder of the training.
        folder: An empty folder.
        int8: Whether weights are stored in 8 bits.
        recordings: Audio files to verify on as well.

    Returns:
        What was written.

    Raises:
        ModelError: The training is unfinished or damaged, or the graph departs from the model.
    """
    if not (part / CHOSEN).is_file() or not (part / inference.DESCRIPTION).is_file():
        raise ModelError(f"{part}: its training is unfinished; run the same `duetto train` again to resume it")
    verified = _verify(_write(part, folder), folder, recordings)
    quantised = _quantise(folder, verified) if int8 else None
    return Exported(folder, part, len(verified.random.target), len(recordings), verified.difference, quantised)


def chosen_training(run: Path, fold: int | None, seed: int | None) -> tuple[int, int]:
    """Choose a training of a run.

    Args:
        run: The run folder.
        fold: Number of the fold; the first by default.
        seed: The seed; the run's first by default.

    Returns:
        Fold and seed.

    Raises:
        ConfigurationError: The run has no such fold or seed.
        ModelError: The folder holds no run.
    """
    described = runs.read(run)
    folds, seeds = described["folds"], described["seeds"]
    fold, seed = fold or 0, int(seeds[0]) if seed is None else seed
    if not 0 <= fold < len(folds):
        names = ", ".join(f"{number} ({each['name']})" for number, each in enumerate(folds))
        raise ConfigurationError(f"{run} has no fold {fold}; its folds are {names}")
    if seed not in seeds:
        raise ConfigurationError(f"{run} has no seed {seed}; its seeds are {', '.join(map(str, seeds))}")
    return fold, seed


def _write(part: Path, folder: Path) -> EmotionModel:
    """Write everything that prediction reads: the graph of the trained weights, and copies; return the model."""
    preprocessor, temperature = inference.settings(part)
    weights, _ = checkpoint.load(part / CHOSEN)
    model = training.restore(preprocessor, weights)
    for path in (part / name for name in _COPIED):
        if path.is_symlink():
            raise ModelError(f"{path}: is a link, and an export holds files of the run only; replace it by the file")
        if path.is_file():
            files.copy(path, folder / path.name)
    inference.export({name: tensor.numpy() for name, tensor in weights.items()}, preprocessor, temperature, folder)
    return model


@dataclass(frozen=True)
class _Verified:
    """Inputs on which a float32 graph was verified, and the largest difference of a logit."""

    random: Inputs
    recorded: Inputs | None
    difference: float


def _verify(model: EmotionModel, folder: Path, recordings: Sequence[Path]) -> _Verified:
    session, recogniser = Session(folder), Recogniser(folder, asr="corpus")  # opens everything that a prediction needs
    recorded = _recorded_inputs(recogniser, recordings) if recordings else None
    drawn = _unlabelled(*random_inputs(session.preprocessor))
    differences = [
        verify(session, inputs.frames, inputs.words, training.outputs(model, session.preprocessor, inputs))
        for inputs in (drawn, recorded)
        if inputs is not None
    ]
    return _Verified(drawn, recorded, max(differences))


def _recorded_inputs(recogniser: Recogniser, recordings: Sequence[Path]) -> Inputs:
    """What the system reads of recordings, their words recognised."""
    prepared = [recogniser.prepare_inputs(recording) for recording in recordings]
    frames = [inputs.frames for inputs in prepared if inputs.frames is not None]
    words = [inputs.word_values for inputs in prepared if inputs.word_values is not None]
    return _unlabelled(frames or None, words or None)


def _unlabelled(frames: Sequence[np.ndarray] | None, words: Sequence[np.ndarray] | None) -> Inputs:
    """Inputs whose targets are not used."""
    return Inputs(frames, words, np.zeros(len(frames if frames is not None else words or []), np.int64))


def _quantise(folder: Path, verified: _Verified) -> Quantised:
    """Turn the weights into integers, and compare the predictions."""
    inputs = verified.recorded or verified.random
    before, size, seconds = _timed(folder, inputs)
    inference.quantise(folder)
    after, smaller, faster = _timed(folder, inputs)
    temperature = Session(folder).temperature
    change = np.abs(metrics.softmax(after / temperature) - metrics.softmax(before / temperature)).max()
    relabelled = float((metrics.predicted_classes(after) != metrics.predicted_classes(before)).mean())
    return Quantised((size, smaller), (seconds, faster), float(change), relabelled, verified.recorded is None)


def _timed(folder: Path, inputs: Inputs) -> tuple[np.ndarray, int, float]:
    """Logits computed one by one, bytes of the graph, and seconds for one prediction (the best of three passes)."""
    session = Session(folder)
    outputs, fastest = outputs_one_by_one(session, inputs.frames, inputs.words), float("inf")
    for _ in range(_PASSES):
        began = time.perf_counter()
        outputs_one_by_one(session, inputs.frames, inputs.words)
        fastest = min(fastest, time.perf_counter() - began)
    logits = outputs[:, : len(session.preprocessor.classes)]
    return logits, (folder / GRAPH).stat().st_size, fastest / len(logits)


def _card(run: Path, described: Mapping[str, Any], exported: Exported, folder: Path) -> str:
    """The README of an exported folder."""
    preprocessor, temperature = inference.settings(folder)
    e = preprocessor.experiment
    fold, seed = exported.part.name.removeprefix("fold").split("-seed")
    trained = described["folds"][int(fold)]
    counts = ", ".join(f"{len(trained[part])} {part}" for part in ("train", "development", "test"))
    facts = {
        "system": f"{e.name}: {e.title}",
        "reads": " and ".join(what for what, used in (("audio", e.uses_audio), ("words", e.uses_words)) if used),
        "answers": ", ".join(preprocessor.classes),
        **({"dimensions": ", ".join(e.dimensions)} if e.dimensions else {}),
        "trained on": f"protocol {described['protocol']}, fold {fold} ({trained['name']}), seed {seed}: {counts} "
        f"utterances; disjoint in {', '.join(trained['disjoint_in']) or 'NOTHING'}",
        "temperature": f"{temperature:.4g}, fitted on development data",
        "confidence": confidence_line(folder),
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
        f"## Scores of the run\n\n{scores_section(run, described)}\n## Files\n\n| file | bytes |\n|---|---:|\n{files}"
    )


def scores_section(run: Path, described: Mapping[str, Any]) -> str:
    """Write the scores of a whole run for a card.

    Args:
        run: The run folder.
        described: Its run.json.

    Returns:
        Markdown: the table over all folds and seeds, and accuracy by coverage.
    """
    if not (run / runs.RESULT).is_file():
        return "The run is not finished; there are no scores.\n"
    corpus = {"synthetic": described["synthetic"]}
    protocol = {"protocol": described["protocol"], "folds": len(described["folds"]), "seeds": described["seeds"]}
    scored = report.score([runs.result_of(run)])
    table = report.markdown(scored, protocol=protocol, corpus=corpus)
    return f"{table}\n{coverage.section(scored.systems).markdown()}"


def confidence_line(folder: Path) -> str:
    """Describe what a model states of its own confidence in a sentence.

    Args:
        folder: A model folder, or that of a fusion.

    Returns:
        The sentence.
    """
    found = Confidence.load(folder)
    if found is None:
        return "by the temperature alone; `duetto confidence RUN` before the export fits it to other recordings"
    answers = ", ".join(f"{count} for other {kind}" for kind, count in found.about.get("answers", {}).items())
    return (
        f"probabilities are divided by {found.temperature:.3g} · (1 + {found.slope:g} · max(0, d − {found.knee:g})) at "
        f"distance d from the training data, fitted on answers that the model was not trained on: {answers}"
    )


def verification_line(exported: Exported) -> str:
    """Describe the verification in a sentence.

    Args:
        exported: The export.

    Returns:
        The sentence.
    """
    n = exported.recordings
    recordings = f" and {n} recording{'s' * (n > 1)}" if n else ""
    return (
        f"on {exported.inputs} random inputs of every length{recordings}: logits of the float32 graph differ from "
        f"those of the PyTorch model by at most {exported.difference:.1e} (allowed: {TOLERANCE:g} of the largest)"
    )


def quantisation_line(int8: Quantised) -> str:
    """Describe the comparison of 8-bit weights with float32 in a sentence.

    Args:
        int8: The comparison.

    Returns:
        The sentence.
    """
    size, seconds = (
        [f"{value:.3g}" for value in pair] for pair in (np.array(int8.size) / 1e6, 1e3 * np.array(int8.seconds))
    )
    return (
        f"model.onnx {size[0]} → {size[1]} MB; the network {seconds[0]} → {seconds[1]} ms a prediction; on the "
        f"{'random inputs' if int8.random else 'recordings'} a probability changes by at most {int8.change:.4f}, and "
        f"{int8.relabelled:.1%} get another label"
    )
