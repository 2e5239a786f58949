"""A fusion in a folder of its own: a verified export of each branch, and what joins them.

RUN/foldK-seedS of a fusion ─ export_fusion ─▶ DIR/branches/NAME, DIR/fusion.json, DIR/README.md
several finished runs ─ export_fusion ─▶ the same, joined by a rule of which nothing is fitted
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .. import report, runs
from ..config.fusion import BRANCH_NAME, MOST_BRANCHES
from ..data import labels
from ..errors import ConfigurationError, ModelError
from ..evaluation.product import PosteriorFusion
from ..inference import settings
from ..inference.confidence import Confidence
from ..inference.fusion_folder import branch_folder, is_fusion, read_about, read_fusion, write_fusion
from ..inference.recogniser import Recogniser
from ..report import coverage
from ..utils import files
from .export import (
    README,
    Exported,
    check_free,
    chosen_training,
    confidence_line,
    export_training,
    quantisation_line,
    verification_line,
)


@dataclass(frozen=True)
class ExportedFusion:
    """An exported fusion.

    Attributes:
        folder: What was written.
        source: The training, or the first of several.
        branches: Name of each branch → its export.
    """

    folder: Path
    source: Path
    branches: Mapping[str, Exported]


@dataclass(frozen=True)
class _Source:
    """What is exported. parts: folder of the training of each branch. about: `name`, `title` and `fitted`."""

    fusion: PosteriorFusion
    classes: tuple[str, ...]
    parts: tuple[Path, ...]
    about: Mapping[str, Any]
    confidence: Confidence | None = None


def export_fusion(
    folders: Sequence[Path],
    folder: Path,
    *,
    rule: str = "product",
    fold: int | None = None,
    seed: int | None = None,
    int8: bool = False,
    recordings: Sequence[Path] = (),
) -> ExportedFusion:
    """Write a fusion into a new folder, each branch verified.

    Args:
        folders: The run folder of a fusion; or those of two or more other systems, which are joined without fitting
            anything: each with the temperature of its own development data.
        folder: The new folder.
        rule: One of `evaluation.product.RULES`, for several runs: the product of posteriors, or their mean as in the
            late fusions of table 2.
        fold: Its number; the first by default.
        seed: One of the run's; the first by default.
        int8: Whether weights are stored in 8 bits.
        recordings: Audio files to verify on as well.

    Returns:
        What was written.

    Raises:
        ModelError: A folder holds no run or that of a baseline; a training is unfinished; or a
            graph departs from its model.
        ConfigurationError: The runs are of different data, there is no such fold or seed, or `folder` is not empty.
    """
    folder = folder.absolute()
    check_free(folder)
    source = _of_fusion(folders[0], fold, seed) if len(folders) == 1 else _of_runs(folders, rule, fold, seed)
    exported: dict[str, Exported] = {}
    with files.new_folder(folder) as temporary:
        for name, part in zip(source.fusion.names, source.parts, strict=True):
            target = branch_folder(temporary, name)
            target.mkdir(parents=True)
            one = export_training(part, target, int8=int8, recordings=recordings)
            exported[name] = replace(one, folder=branch_folder(folder, name))
        if source.confidence is not None:
            source.confidence.save(temporary)
        write_fusion(temporary, source.fusion, source.classes, source.about)
        Recogniser(temporary, asr="corpus")  # which opens all that an answer needs
        done = ExportedFusion(folder, source.parts[0].parent, exported)
        files.write_text(temporary / README, _card(folders, source, done, temporary))
    return done


def _of_fusion(run: Path, fold: int | None, seed: int | None) -> _Source:
    """The fusion of a run folder."""
    part = run / runs.member(*chosen_training(run, fold, seed))
    if not is_fusion(part):
        raise ModelError(f"{part}: its training is unfinished; run the same `duetto train` again to go on")
    fusion, classes = read_fusion(part)
    about = {key: value for key, value in read_about(part).items() if key in ("name", "title", "fitted")}
    return _Source(
        fusion, classes, tuple(branch_folder(part, name) for name in fusion.names), about, Confidence.load(part)
    )


def _of_runs(folders: Sequence[Path], rule: str, fold: int | None, seed: int | None) -> _Source:
    """The fusion of several runs, of which nothing is fitted."""
    if len(folders) > MOST_BRANCHES:
        raise ConfigurationError(f"{len(folders)} runs were given; {MOST_BRANCHES} can be joined at most")
    experiments = [runs.experiment_of(run) for run in folders]
    names = tuple(e.name for e in experiments)
    for run, name in zip(folders, names, strict=True):
        if not BRANCH_NAME.fullmatch(name) or names.count(name) > 1:
            raise ConfigurationError(
                f"{run}: its system {name!r} can't be a branch: names of branches are distinct, of letters, digits, "
                ". _ and -; train it from an experiment file that names it so"
            )
    _check_same_data(folders, fold, seed)
    parts = tuple(run / runs.member(*chosen_training(run, fold, seed)) for run in folders)
    found = [settings(part) for part in parts]
    classes = labels.classes(experiments[0].label_set)
    for run, (preprocessor, _) in zip(folders, found, strict=True):
        if preprocessor.classes != classes:
            raise ConfigurationError(f"{run} has classes {preprocessor.classes}, and {folders[0]} {classes}")
    fusion = PosteriorFusion.plain(names, [temperature for _, temperature in found], len(classes), rule)
    title = f"{rule.capitalize()} of {', '.join(e.title for e in experiments)}"
    return _Source(fusion, classes, parts, {"name": "+".join(names), "title": title, "fitted": None})


def _check_same_data(folders: Sequence[Path], fold: int | None, seed: int | None) -> None:
    """Branches that were trained on each other's test data would make a figure that means nothing."""
    first = runs.read(folders[0])
    for run in folders[1:]:
        other = runs.read(run)
        numbers = chosen_training(folders[0], fold, seed)[0], chosen_training(run, fold, seed)[0]
        for part in ("train", "test"):
            if set(first["folds"][numbers[0]][part]) != set(other["folds"][numbers[1]][part]):
                raise ConfigurationError(
                    f"{folders[0]} and {run} differ in the {part} part of the fold; train both on the same manifest "
                    "and protocol"
                )


def _card(folders: Sequence[Path], source: _Source, exported: ExportedFusion, folder: Path) -> str:
    """The README of an exported fusion, which lies in `folder`."""
    fusion, fitted = source.fusion, source.about["fitted"]
    described = runs.read(folders[0])
    weights = fusion.weights_of([True] * len(fusion.names))
    rows = "".join(
        f"| {name} | {weight:.4g} | {temperature:.4g} | {verification_line(exported.branches[name])}"
        f"{_quantised(exported.branches[name])} |\n"
        for name, weight, temperature in zip(fusion.names, weights, fusion.temperatures, strict=True)
    )
    joined = f"nothing is fitted: the {fusion.rule} of the branches' calibrated posteriors"
    if fitted is not None:
        joined = (
            f"product of the calibrated posteriors, the class prior counted once; chosen: {fitted['chosen']}; fitted "
            f"on {fitted['utterances']} utterances of {fitted['groups']} training speakers, with branches trained on "
            f"others ({fitted['inner_folds']} inner folds). {fitted['note']}"
        )
    scores = "".join(f"### {run.name}\n\n{_scores(run)}\n" for run in folders)
    return (
        f"# {source.about['title']}\n\n    duetto predict FILE --model FOLDER\n\n{joined}\n\n"
        f"Trained with protocol {described['protocol']}; answers: {', '.join(source.classes)}. A branch that reads "
        "words alone is left out where it knows none of them, and one that reads the voice where there is no speech; "
        "the answer says so.\n\n"
        f"| branch | weight | temperature | verified |\n|---|---:|---:|---|\n{rows}\n"
        f"Confidence: {confidence_line(folder)}.\n\n{_candidates(fitted)}## Scores of the run\n\n{scores}"
    )


def _quantised(exported: Exported) -> str:
    return "" if exported.int8 is None else f"; 8-bit weights: {quantisation_line(exported.int8)}"


def _candidates(fitted: Mapping[str, Any] | None) -> str:
    """Table of what was chosen from."""
    if not fitted or not fitted["candidates"]:
        return ""
    rows = "".join(
        f"| {c['candidate']} | {c['log_loss']:.4f} | {c['behind']:.4f} ± {c['standard_error']:.4f} | "
        f"{100 * c['ua']:.1f} |\n"
        for c in fitted["candidates"]
    )
    return (
        "## Candidates, on training speakers that neither branches nor weights were fitted on\n\n"
        f"| candidate | log-loss, nats | behind the best | UA % |\n|---|---:|---:|---:|\n{rows}\n"
    )


def _scores(run: Path) -> str:
    if not (run / runs.RESULT).is_file():
        return "The run is not finished: there are none.\n"
    scored = report.score([runs.result_of(run), *runs.branch_results(run)])
    return f"{report.markdown(scored)}\n{coverage.section(scored.systems).markdown()}"
