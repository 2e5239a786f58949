"""The parts of a fold as datasets of PyTorch, for a training loop of one's own.

utterances + protocol + experiment ─ fold_datasets ─▶ FoldDatasets(train, development, test)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..config.experiment import Experiment
from ..data import labels
from ..data.utterance import Utterance
from ..errors import ConfigurationError
from ..splits import Fold
from ..training import PreparedDataset, fit_preprocessor, prepare
from .fold_inputs import fold_inputs
from .split import audited_split
from .workspace import Workspace


@dataclass(frozen=True)
class FoldDatasets:
    """The parts of a fold; what is fitted (normalisation, vocabulary, word vectors) is fitted on `train`.

    Attributes:
        fold: Their utterances.
        train: To train on.
        development: To choose on.
        test: To report on.
    """

    fold: Fold
    train: PreparedDataset
    development: PreparedDataset
    test: PreparedDataset


def fold_datasets(
    experiment: Experiment,
    utterances: Sequence[Utterance],
    protocol: str,
    cache: Path,
    *,
    fold: int = 0,
    seed: int = 0,
    workspace: Workspace | None = None,
) -> FoldDatasets:
    """Prepare the inputs of a system on one fold of a corpus, as `duetto train` does.

    Args:
        experiment: What is read: features, words, normalisation, longest sequences.
        utterances: The corpus; those without a label are left out.
        protocol: One of `splits.PROTOCOLS`. A split that leaks is an error.
        cache: Folder that keeps features and word vectors.
        fold: Number of the fold, from 0.
        seed: Of the order of words, for experiments that shuffle them.
        workspace: In place of `cache`, for progress bars or word vectors of one's own.

    Returns:
        The datasets.

    Raises:
        ConfigurationError: There is no such fold, the split leaks, or the experiment does not suit the data.
        CorpusError: A recording cannot be read.
    """
    labels.check_labels(utterances, experiment.label_set)
    split = audited_split(utterances, protocol)
    if not 0 <= fold < len(split.folds):
        raise ConfigurationError(f"protocol {protocol!r} has no fold {fold}; it has folds 0 to {len(split.folds) - 1}")
    workspace, chosen = workspace or Workspace(cache), split.folds[fold]
    inputs = fold_inputs(experiment, chosen, workspace.features(experiment, split.utterances), workspace)
    vectoriser = inputs.vectoriser()
    preprocessor = fit_preprocessor(experiment, inputs, vectoriser)
    datasets = [
        PreparedDataset(
            preprocessor, prepare(part, preprocessor, inputs.frames, vectoriser, seed=seed), [u.id for u in part]
        )
        for part in (chosen.train, chosen.development, chosen.test)
    ]
    return FoldDatasets(chosen, *datasets)
