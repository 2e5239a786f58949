"""Baselines: the classical systems of the paper's introduction and table 2, and controls that use no speech.

    BASELINES["svm"].fit_predict(fold, BaselineInputs(frames=…), classes, seed=0) ─▶ BaselineOutput
    CONTROLS (`controls`) ─▶ log-probabilities

No PyTorch. docs/systems.md says of each what could be read of it, and what is a reconstruction. Adding a baseline: a
file with a frozen dataclass that follows `base.Classifier` and a `Baseline` around it, and a line in `BASELINES`.
"""

from . import elm, evector, hmm, svm
from .base import Baseline, BaselineInputs, BaselineOutput

__all__ = ["BASELINES", "Baseline", "BaselineInputs", "BaselineOutput"]

BASELINES: dict[str, Baseline] = {
    "svm": svm.BASELINE,
    "hmm": hmm.BASELINE,
    "dnn-elm": elm.BASELINE,
    "evector": evector.WORDS_ONLY,
    "evector-acoustic": evector.WITH_ACOUSTICS,
}
"""Name → baseline."""
