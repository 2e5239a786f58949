"""From the posteriors of a model to probabilities that are as wide as they should be.

log-posteriors, NetworkInputs ─ Certainty ─▶ Certain (probabilities, unfamiliar?, uncertain?)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import metrics
from ..errors import ConfigurationError
from ..metrics import TIE_TOLERANCE
from .confidence import AUTO, WARNING, Confidence
from .network import Network, NetworkInputs, open_confidence

if TYPE_CHECKING:
    from ..evaluation.product import PosteriorFusion


@dataclass(frozen=True, eq=False)
class Certain:
    """What is certain of one answer.

    Attributes:
        answer: Number of the class; widening doesn't change it.
        probabilities: (classes,) float64.
        unfamiliar: See `prediction.Prediction`.
        uncertain: See `prediction.Prediction`.
        warnings: Reasons to trust the answer less.
    """

    answer: int
    probabilities: np.ndarray
    unfamiliar: bool | None
    uncertain: bool
    warnings: tuple[str, ...]

    def fields(self, labels: Sequence[str]) -> dict[str, Any]:
        """Name what a prediction takes from here.

        Args:
            labels: The classes.

        Returns:
            Values of fields of `prediction.Prediction`.
        """
        return {
            "label": labels[self.answer],
            "probabilities": dict(zip(labels, map(float, self.probabilities), strict=True)),
            "unfamiliar": self.unfamiliar,
            "uncertain": self.uncertain,
        }


@dataclass(frozen=True, eq=False)
class Certainty:
    """How certain the answers of a model are.

    Attributes:
        confidence: What the model states of itself; None where it states nothing.
        names: Of its branches; "" for the only network.
        thresholds: Least probability of an answer that is not uncertain (`Confidence.thresholds`); None without.
    """

    confidence: Confidence | None
    names: tuple[str, ...]
    thresholds: tuple[float, float] | None

    @classmethod
    def of(
        cls, folder: Path, fusion: PosteriorFusion | None, networks: Sequence[Network], reject: float | str | None
    ) -> Certainty:
        """Open what a model states of its own confidence.

        Args:
            folder: Of the model.
            fusion: What joins its networks; None where there is one only.
            networks: Its networks.
            reject: See `duetto.load`.

        Returns:
            The certainty of its answers.

        Raises:
            ModelError: The statement is damaged, or of another model.
            ConfigurationError: `reject` is not valid, or the model states no error rates.
        """
        confidence = open_confidence(folder, fusion, networks)
        thresholds = None
        if reject is not None:
            if reject != AUTO and not (isinstance(reject, int | float) and 0 < reject < 1):
                raise ConfigurationError(f"reject = {reject!r} is not valid; give a number between 0 and 1, or {AUTO}")
            if confidence is None:
                raise ConfigurationError(
                    f"model {folder} states no error rates, so that no threshold holds one; fit them with "
                    "`duetto confidence RUN`, or predict without reject"
                )
            thresholds = confidence.thresholds(reject)
        return cls(confidence, ("",) if fusion is None else fusion.names, thresholds)

    def __call__(self, log_posteriors: np.ndarray, inputs: Sequence[NetworkInputs]) -> Certain:
        """Widen the posteriors of one recording.

        Args:
            log_posteriors: (classes,) of the model.
            inputs: What each network read.

        Returns:
            The probabilities, and what is certain of them.
        """
        answer = int(metrics.predicted_classes(log_posteriors))
        if self.confidence is None:
            return Certain(answer, metrics.softmax(log_posteriors), None, False, ())
        distance = self._distance(self.confidence, inputs)
        probabilities = metrics.softmax(log_posteriors / self.confidence.factors(distance))
        unfamiliar = self.confidence.unfamiliar(distance)
        least = 0.0 if self.thresholds is None else self.thresholds[bool(unfamiliar)]
        uncertain = float(probabilities.max()) < least - TIE_TOLERANCE
        return Certain(answer, probabilities, unfamiliar, uncertain, (WARNING,) if unfamiliar else ())

    def log_probabilities(self, log_posteriors: np.ndarray, inputs: Sequence[NetworkInputs]) -> np.ndarray:
        """Compute the logarithms of the probabilities of one recording, also of those that round to 0.

        Args:
            log_posteriors: (classes,) of the model.
            inputs: What each network read.

        Returns:
            (classes,) float64.
        """
        values = np.asarray(log_posteriors, np.float64)
        if self.confidence is not None:
            values = values / self.confidence.factors(self._distance(self.confidence, inputs))
        return values - np.logaddexp.reduce(values)

    def _distance(self, confidence: Confidence, inputs: Sequence[NetworkInputs]) -> float | None:
        return confidence.distance({name: each.frames for name, each in zip(self.names, inputs, strict=True)})
