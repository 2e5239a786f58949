"""Predictions of one system over seeds and folds, and the statistics on them.

    logits (seeds × utterances × classes) ─▶ SystemResult ─▶ summary, breakdown, calibration, selective, dimensions
                                             two of them  ─▶ paired_bootstrap, mcnemar
                                             any number   ─▶ combine: one more SystemResult

UA, WA and macro-F1 are in percent here, as published tables give them. Utterances of one speaker resemble
each other, so intervals come from resampling whole speakers (cluster bootstrap; Field and Welsh 2007): each
resample draws as many speakers as there are, with replacement, with all their utterances under all seeds.
"""

from .bootstrap import FEW_SPEAKERS, LEVEL, RESAMPLES
from .dimensions import DimensionScore, dimensions
from .from_utterances import from_folds, from_utterances
from .late_fusion import combine
from .result import KINDS, SystemResult
from .selective import COVERAGES, Selective, selective
from .statistics import (
    BINS,
    GROUPINGS,
    Calibration,
    Difference,
    Group,
    McNemar,
    Score,
    Summary,
    aligned,
    breakdown,
    calibration,
    holm,
    mcnemar,
    mean_ua,
    paired_bootstrap,
    summary,
)

__all__ = [
    "BINS",
    "COVERAGES",
    "FEW_SPEAKERS",
    "GROUPINGS",
    "KINDS",
    "LEVEL",
    "RESAMPLES",
    "Calibration",
    "Difference",
    "DimensionScore",
    "Group",
    "McNemar",
    "Score",
    "Selective",
    "Summary",
    "SystemResult",
    "aligned",
    "breakdown",
    "calibration",
    "combine",
    "dimensions",
    "from_folds",
    "from_utterances",
    "holm",
    "mcnemar",
    "mean_ua",
    "paired_bootstrap",
    "selective",
    "summary",
]
