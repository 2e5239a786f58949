"""The score of a run while it trains."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ... import metrics, runs
from ...splits import Fold


class RunningScore:
    """UA over the seeds and folds that a run folder has finished.

    Args:
        folder: Run folder.
        folds: Folds of the run.
        seeds: Seeds of the run.
        classes: Names of the classes, in the order of the logits.
    """

    def __init__(self, folder: Path, folds: Sequence[Fold], seeds: Sequence[int], classes: Sequence[str]) -> None:
        self._outcomes = [[folder / runs.member(f, seed) / runs.OUTCOME for f in range(len(folds))] for seed in seeds]
        indices = {label: i for i, label in enumerate(classes)}
        self._targets = [np.array([indices[str(u.label)] for u in fold.test]) for fold in folds]
        self._classes = len(classes)
        self._finished, self._ua = 0, None

    def __call__(self) -> float | None:
        """Read the outcomes that are new since the last call.

        Returns:
            UA in percent, the mean over seeds; None before the first outcome.
        """
        finished = sum(path.is_file() for paths in self._outcomes for path in paths)
        if finished != self._finished:
            self._finished, scores = finished, [self._score(paths) for paths in self._outcomes]
            self._ua = float(np.mean([score for score in scores if score is not None]))
        return self._ua

    def _score(self, outcomes: Sequence[Path]) -> float | None:
        """UA of one seed over its finished folds."""
        finished = [fold for fold, path in enumerate(outcomes) if path.is_file()]
        if not finished:
            return None
        predicted = [metrics.predicted_classes(runs.load_outcome(outcomes[fold])[0]) for fold in finished]
        target = np.concatenate([self._targets[fold] for fold in finished])
        return 100 * metrics.unweighted_accuracy(target, np.concatenate(predicted), self._classes)
