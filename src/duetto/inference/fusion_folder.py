"""The model folder of a fusion: what joins its branches, and an ordinary model folder for each of them.

fusion.json                 branches, temperatures, weights, class prior, and what they were fitted on
branches/NAME/              model folder of a branch (`model_folder`)

PosteriorFusion ─ write_fusion ─▶ folder ─ read_fusion ─▶ PosteriorFusion
logits of the branches + what each lacks ─ fuse ─▶ FusedAnswer
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..config.experiment import Experiment
from ..config.fusion import BRANCH_NAME, BRANCHES, MOST_BRANCHES
from ..data.text import tokens
from ..data.utterance import Utterance
from ..errors import ModelError
from ..preprocessing import REPAIR, Preprocessor
from ..utils import files
from ..utils.reading import read_json, shortened

if TYPE_CHECKING:
    from ..evaluation.product import PosteriorFusion

FUSION = "fusion.json"
"""The file that makes a folder the model folder of a fusion."""

NO_SPEECH, NO_WORD = "no speech", "no known word"
"""Why a branch does not take part in an answer."""

_FORMAT = "duetto-fusion-1"


@dataclass(frozen=True)
class BranchAnswer:
    """What one branch of a fusion contributes to an answer.

    Attributes:
        name: Of the branch.
        weight: Of its log-posterior in this answer; 0 for a branch that was left out.
        probabilities: Class → its own calibrated probability; None where it was left out.
    """

    name: str
    weight: float
    probabilities: dict[str, float] | None

    def to_json(self) -> dict[str, Any]:
        """Convert to JSON values.

        Returns:
            The three fields, rounded as other probabilities are.
        """
        own = self.probabilities
        rounded = None if own is None else {label: round(p, 6) for label, p in own.items()}
        return {"name": self.name, "weight": round(self.weight, 6), "probabilities": rounded}


@dataclass(frozen=True)
class FusedAnswer:
    """The answer of a model for one recording.

    Attributes:
        log_posteriors: (classes,) float64.
        branches: What each branch of a fusion contributes.
        warnings: Names of branches that were left out, and why.
        dimensions: Dimension → rating; None for a model without.
    """

    log_posteriors: np.ndarray
    branches: tuple[BranchAnswer, ...]
    warnings: tuple[str, ...]
    dimensions: dict[str, float] | None = None


def is_fusion(folder: Path) -> bool:
    """Check whether a folder is the model folder of a fusion.

    Args:
        folder: Any folder.

    Returns:
        Whether fusion.json is in it.
    """
    return (folder / FUSION).is_file()


def branch_folder(folder: Path, name: str) -> Path:
    """Find the model folder of a branch.

    Args:
        folder: Of the fusion.
        name: Of the branch.

    Returns:
        Its folder.
    """
    return folder / BRANCHES / name


def write_fusion(folder: Path, fusion: PosteriorFusion, classes: Sequence[str], about: Mapping[str, Any]) -> None:
    """Write fusion.json; last of all, since a folder that has one is complete.

    Args:
        folder: Of the fusion.
        fusion: What joins the branches.
        classes: In the order of the logits.
        about: JSON values that describe it: `name`, `title`, and `fitted`, what it was fitted on.
    """
    value = {"format": _FORMAT, **about, "classes": list(classes), **fusion.to_json()}
    files.write_text(folder / FUSION, json.dumps(value, indent=1, ensure_ascii=False))


def read_about(folder: Path) -> dict[str, Any]:
    """Read all of fusion.json, to show it.

    Args:
        folder: Of the fusion.

    Returns:
        Its content.

    Raises:
        ModelError: The file is missing or damaged, or of another version.
    """
    value = read_json(folder / FUSION, error=ModelError, repair=REPAIR)
    if value.get("format") != _FORMAT:
        raise ModelError(f"{folder / FUSION}: not of format {_FORMAT}; export again with this version")
    return dict(value)


def read_fusion(folder: Path) -> tuple[PosteriorFusion, tuple[str, ...]]:
    """Read and validate fusion.json.

    Args:
        folder: Of the fusion.

    Returns:
        What joins the branches, and the classes.

    Raises:
        ModelError: The file is missing or damaged, or of another version.
    """
    from ..evaluation.product import PosteriorFusion  # late, since other models need nothing of it

    read_about(folder)
    record = read_json(folder / FUSION, error=ModelError, repair=REPAIR)
    fusion, classes = PosteriorFusion.from_json(record), record.texts("classes")
    if len(fusion.names) > MOST_BRANCHES:
        raise record.wrong(f"{len(fusion.names)} branches; {MOST_BRANCHES} are the limit")
    for name in fusion.names:
        if not BRANCH_NAME.fullmatch(name):
            raise record.wrong(f"{shortened(name)} is no name of a branch")
    if len(classes) != len(fusion.prior) or len(set(classes)) < len(classes):
        raise record.wrong(f"{len(classes)} classes for a prior of {len(fusion.prior)} values")
    return fusion, classes


def has_content(preprocessor: Preprocessor, words: Sequence[str], *, timed: bool) -> bool:
    """Check whether a branch has anything to go by in an utterance.

    A branch that reads words alone takes part only if there is a word that it knows, which is any for one that embeds
    sentences. One that reads the voice, alone or with words, always does.

    Args:
        preprocessor: Of the branch.
        words: Normalised words of the utterance.
        timed: Whether any of them has times, and so a sound.

    Returns:
        Whether the branch takes part in the fusion.
    """
    e = preprocessor.experiment
    if e.uses_audio or not e.uses_words:
        return True
    if e.embeddings == "spoken":
        return timed
    if e.sentences:
        return bool(words)
    return any(word in preprocessor.vocabulary for word in words) or (e.unknown == "spoken" and timed)


def reads_sound(experiment: Experiment) -> bool:
    """Check whether a branch reads the sound of speech: of the voice, or of words.

    Args:
        experiment: Of the branch.

    Returns:
        Whether it has nothing to go by where there is no speech.
    """
    return experiment.uses_audio or (experiment.uses_words and experiment.embeddings == "spoken")


def lacking(preprocessor: Preprocessor, words: Sequence[str], *, timed: bool, speech: bool) -> str:
    """Find what a branch lacks to take part in the fusion.

    Args:
        preprocessor: Of the branch.
        words: Normalised words of the recording.
        timed: Whether any of them has times, and so a sound.
        speech: Whether there is speech in the recording.

    Returns:
        `NO_SPEECH`, `NO_WORD`, or "" if the branch takes part.
    """
    if not speech and reads_sound(preprocessor.experiment):
        return NO_SPEECH
    return "" if has_content(preprocessor, words, timed=timed and speech) else NO_WORD


def utterance_has_content(preprocessor: Preprocessor, utterance: Utterance) -> bool:
    """Check whether a branch has anything to go by in an utterance of a corpus; see `has_content`.

    Args:
        preprocessor: Of the branch.
        utterance: With its words or transcript.

    Returns:
        Whether the branch takes part in the fusion.
    """
    timed = any(word.start is not None for word in utterance.words or ())
    return has_content(preprocessor, tokens(utterance), timed=timed)


def fuse(
    fusion: PosteriorFusion, classes: Sequence[str], logits: Sequence[np.ndarray], lacks: Sequence[str]
) -> FusedAnswer:
    """Join the logits of the branches for one recording.

    Args:
        fusion: What joins them.
        classes: In the order of the logits.
        logits: (classes,) of each branch; those of a branch that does not take part are not used.
        lacks: Of each branch, `NO_SPEECH` or `NO_WORD`; "" if it takes part.

    Returns:
        The answer.
    """
    from ..evaluation.product import log_softmax

    values = np.asarray(logits, np.float64)
    there = np.array([not lack for lack in lacks])
    fused = fusion.log_posteriors(values[:, None], there[:, None])[0]
    own = np.exp(log_softmax(values / np.asarray(fusion.temperatures)[:, None]))
    weights = fusion.weights_of(there.tolist())
    branches = tuple(
        BranchAnswer(name, float(weight), dict(zip(classes, map(float, row), strict=True)) if takes_part else None)
        for name, weight, row, takes_part in zip(fusion.names, weights, own, there, strict=True)
    )
    return FusedAnswer(fused, branches, _left_out(fusion.names, lacks))


def _left_out(names: Sequence[str], lacks: Sequence[str]) -> tuple[str, ...]:
    """Warnings that name the branches that do not take part."""
    if all(lacks):
        return ("no branch has a word that it knows; the probabilities are the frequencies of the training data",)
    silent, wordless = (
        [name for name, lack in zip(names, lacks, strict=True) if lack == why] for why in (NO_SPEECH, NO_WORD)
    )
    warnings = []
    if silent:
        warnings.append(f"no speech was found; left out of the fusion: {', '.join(silent)}")
    if wordless:
        knows = "it knows" if len(wordless) == 1 else "they know"
        warnings.append(f"left out of the fusion for lack of a word that {knows}: {', '.join(wordless)}")
    if warnings:
        warnings[-1] += "; the others are weighted as fitted for this case"
    return tuple(warnings)
