"""What a system needs of a corpus and of user-supplied word vectors."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from ...baselines import Baseline
from ...config.experiment import Experiment, teacher_of
from ...config.fusion import Fusion, branch_experiments
from ...embeddings import vectors as word_vectors


def word_encoders(system: Experiment | Fusion | Baseline) -> list[Experiment]:
    """List the experiments whose model reads words: a system, its teacher, both or neither; of each branch of a fusion.

    Args:
        system: A system; a baseline has none.

    Returns:
        The experiments.
    """
    if isinstance(system, Baseline):
        return []
    if isinstance(system, Fusion):
        return [e for branch in branch_experiments(system) for e in word_encoders(branch)]
    return [e for e in (system, teacher_of(system)) if e is not None and e.uses_words]


def needs_words(system: Experiment | Fusion | Baseline) -> bool:
    """Check whether a system cannot do without transcripts.

    Args:
        system: A system, a fusion or a baseline.

    Returns:
        Whether it, or its teacher, reads words.
    """
    return "words" in system.needs if isinstance(system, Baseline) else bool(word_encoders(system))


def needs_word_times(experiment: Experiment, vectors: Mapping[str, Path]) -> bool:
    """Check whether the audio of single words is read, by the system or to train its vectors.

    Args:
        experiment: One of `word_encoders`.
        vectors: User-supplied vectors, as in `Options.vectors`.

    Returns:
        Whether words need start and end.
    """
    trained = experiment.embeddings == "speech2vec" and "speech2vec" not in vectors
    return trained or "spoken" in (experiment.embeddings, experiment.unknown)


def user_vectors(experiment: Experiment, vectors: Mapping[str, Path]) -> Path | None:
    """Find the user-supplied vectors of a system.

    Args:
        experiment: One of `word_encoders`.
        vectors: User-supplied vectors, as in `Options.vectors`.

    Returns:
        The file; None where none is given for this kind of embedding. It need not exist.
    """
    given = vectors.get(experiment.embeddings)
    return given / f"{experiment.word_dim}.vec" if given is not None and given.is_dir() else given


def vector_problem(experiment: Experiment, vectors: Mapping[str, Path]) -> str:
    """Check that user-supplied vectors fit a system.

    Args:
        experiment: One of `word_encoders`.
        vectors: User-supplied vectors, as in `Options.vectors`.

    Returns:
        Why they do not fit; "" where they fit, or where none are given.
    """
    path = user_vectors(experiment, vectors)
    if path is None:
        return ""
    if not path.is_file():
        return f"no {path.name} among the vectors given"
    dimension = _dimension(path)
    if dimension != experiment.word_dim:
        return f"the vectors given have {dimension} dimensions, not {experiment.word_dim}"
    return ""


@lru_cache(maxsize=16)
def _dimension(path: Path) -> int:
    return word_vectors.load(path).dimension
