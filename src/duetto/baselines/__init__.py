"""Baselines: the classical systems that the paper's introduction and table 2 build on, and controls that hear nothing.

    BASELINES["svm"].fit_predict(fold, BaselineInputs(frames=…), classes, seed=0) ─▶ BaselineOutput
    CONTROLS (`controls`) ─▶ log-probabilities

No PyTorch. docs/systems.md says of each what could be read of it, and what is a reconstruction.
"""

from .base import Baseline, BaselineInputs, BaselineOutput
from .elm import DnnElm
from .evector import EVector
from .hmm import Hmm
from .svm import Svm

__all__ = ["BASELINES", "Baseline", "BaselineInputs", "BaselineOutput"]

_JIN = "Jin, Li, Chen & Wu, Speech emotion recognition with acoustic and lexical features, ICASSP 2015"
_LIN = "Lin & Wei, Speech emotion recognition based on HMM and SVM, ICMLC 2005"

BASELINES: dict[str, Baseline] = {
    "svm": Baseline(
        name="svm",
        title="SVM on mean and deviation of the features",
        needs=("frames",),
        source=_LIN,
        method=Svm(),
        reconstruction="the 34 features and their functionals replace the published selection of features",
    ),
    "hmm": Baseline(
        name="hmm",
        title="HMM, one a class",
        needs=("frames",),
        source=_LIN,
        method=Hmm(),
        reconstruction="the 34 features replace the published selection; number of states chosen on development data",
    ),
    "dnn-elm": Baseline(
        name="dnn-elm",
        title="DNN-ELM",
        needs=("frames",),
        source="Han, Yu & Tashev, Speech emotion recognition using deep neural network and extreme learning machine, "
        "INTERSPEECH 2014",
        method=DnnElm(),
        reconstruction="features, segments of 0.3 s, the share of loud segments and the form of the ELM",
    ),
    "evector": Baseline(
        name="evector",
        title="E-vector, words only",
        needs=("words",),
        source=_JIN,
        method=EVector(),
        reconstruction="the formula of the word weights; low confidence",
        paper_ua=57.25,
    ),
    "evector-acoustic": Baseline(
        name="evector-acoustic",
        title="E-vector, words and functionals",
        needs=("frames", "words"),
        source=_JIN,
        method=EVector(acoustics=True),
        reconstruction="the formula of the word weights, and how acoustics are joined; low confidence",
        paper_ua=57.25,
    ),
}
"""Name → baseline. Both e-vectors carry the paper's one figure: the paper calls its row lexical and acoustic, the
source of that row calls it text-based."""
