"""A whole system from a manifest to a result: features, folds, vectors, training, test.

utterances ─ store ─▶ features ┐
          ─ splits ─▶ folds ───┴─ evaluation.run ─▶ RUN ─▶ SystemResult
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from . import evaluation, splits
from .emotion import Sources
from .errors import CorpusError
from .experiment import Experiment
from .features.short_term import ShortTermConfig
from .features.store import FeatureStore, extract_corpus
from .progress import Progress
from .results import SystemResult
from .utterance import Utterance
from .words import vectors as word_vectors

log = logging.getLogger(__name__)


def extract(
    utterances: Sequence[Utterance], mode: str, folder: Path, *, workers: int = 0, progress: Progress | None = None
) -> FeatureStore:
    """Short-term features of all utterances, in `folder`; what is there already is not computed again."""
    return extract_corpus(utterances, folder, ShortTermConfig(mode=mode), workers=workers, progress=progress)


def run_system(
    experiment: Experiment,
    utterances: Sequence[Utterance],
    protocol: str,
    folder: Path,
    *,
    seeds: Sequence[int],
    features: Path,
    vectors: Path | None = None,
    accelerator: str = "cpu",
    devices: int = 1,
    progress: Progress | None = None,
) -> SystemResult:
    """Train and score one experiment on one protocol.

    An utterance whose audio cannot be read is an error here, not a smaller corpus: a result must state
    what it was measured on.
    """
    labelled = [u for u in utterances if u.label is not None]
    store = None
    if experiment.uses_audio:
        store = extract(labelled, experiment.features, features)
        if store.skipped:
            first, reason = next(iter(store.skipped.items()))
            raise CorpusError(
                f"{len(store.skipped)} of {len(labelled)} utterances have no readable audio, such as {first!r}: {reason}. "
                "Repair them, or take them out of the manifest"
            )
    table = None if vectors is None else word_vectors.load(vectors)
    sources = Sources(frames=store, vectors=None if table is None else lambda _: table)
    folds = splits.folds(protocol, labelled)
    return evaluation.run(
        experiment,
        protocol,
        folds,
        sources,
        folder,
        seeds=seeds,
        accelerator=accelerator,
        devices=devices,
        progress=progress,
    )
