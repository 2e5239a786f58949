"""What a model knows of its own confidence: `confidence.npz` in a model folder, or in that of a fusion.

    frames of the branches ─ Confidence.distance ─▶ d ─ unfamiliar?
    log-posteriors, d ─ Confidence.widened ─▶ log-posteriors ÷ T(d),   T(d) = T₀ · (1 + a · max(0, d − d₀))

T(d) is fitted on answers for speakers, channels and corpora that training did not contain (`experiments.confidence`),
and so are the thresholds below which an answer is `uncertain`. A folder without the file makes no such statement.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigurationError, ModelError
from ..metrics import TEMPERATURES, TIE_TOLERANCE
from ..metrics.selective import OperatingPoints
from ..utils import files
from ..utils.arrays import read_arrays
from ..utils.hub import leads_elsewhere
from ..utils.reading import Record, parse_json
from .familiarity import Familiarity

CONFIDENCE = "confidence.npz"
"""Name of the file."""

AUTO = "auto"
"""The threshold that holds `AUTO_ERROR`, or the lowest error rate that can be held."""

AUTO_ERROR = 0.2

WARNING = "unlike the recordings of training (another voice, room, device or language, or noise): trust it less"

_FORMAT = "duetto-confidence-1"
_REPAIR = "fit it again: duetto confidence RUN"
_LIMIT = 64 << 20
_POINTS = ("threshold", "error_rate", "coverage")
_MOST_SLOPE = 1e3
_NONE = 2.0
"""A threshold that no probability reaches."""


@dataclass(frozen=True, eq=False)
class Confidence:
    """How the posteriors of a model are widened, and which answers are unfamiliar or uncertain.

    Attributes:
        densities: Branch → its training data; "" for the only network of a model. Empty where none reads audio.
        temperature: T₀.
        slope: a, not negative.
        knee: d₀.
        unfamiliar_from: Distance beyond which a recording counts as unfamiliar.
        points: Thresholds on the confidence after widening, for recordings that are not unfamiliar.
        far_points: The same for unfamiliar ones.
        about: JSON values on what was fitted to.
    """

    densities: Mapping[str, Familiarity]
    temperature: float
    slope: float
    knee: float
    unfamiliar_from: float
    points: OperatingPoints
    far_points: OperatingPoints
    about: Mapping[str, Any]

    def distance(self, frames: Mapping[str, NDArray[np.floating] | None]) -> float | None:
        """Distance of a recording from the training data: the mean over the branches that read audio.

        Args:
            frames: Branch → its normalised frames (frames, values); "" for the only network of a model.

        Returns:
            d; None where no branch reads audio.
        """
        found = [
            density.distance(own) for name, density in self.densities.items() if (own := frames.get(name)) is not None
        ]
        return float(np.mean(found)) if found else None

    def factors(self, distances: NDArray[np.floating] | float | None) -> NDArray[np.float64]:
        """T(d).

        Args:
            distances: d of any shape; None where it is not known.

        Returns:
            Temperatures of the same shape.
        """
        d = self.knee if distances is None else distances
        return self.temperature * (1 + self.slope * np.maximum(0.0, np.asarray(d, np.float64) - self.knee))

    def unfamiliar(self, distance: float | None) -> bool | None:
        """Whether a recording is unlike those of training.

        Args:
            distance: d.

        Returns:
            The answer; None where the distance is not known.
        """
        return None if distance is None else distance > self.unfamiliar_from + TIE_TOLERANCE

    def thresholds(self, reject: float | str) -> tuple[float, float]:
        """Find the confidence from which on answers are wrong no more often than stated.

        For unfamiliar recordings it is 1 − rate at least, however well such copies or corpora were answered: no data
        show the error rate of a corpus that is further still.

        Args:
            reject: Greatest share of wrong answers among those that are kept, or `AUTO`.

        Returns:
            The lowest confidence of an answer that is kept, for a recording that is not unfamiliar and for one that is;
            above 1 where no such answer is kept.

        Raises:
            ConfigurationError: No threshold holds that error rate; `AUTO` keeps no answer then.
        """
        rate = max(AUTO_ERROR, self.points.best) if reject == AUTO else float(reject)
        near, far = self.points.at(rate), self.far_points.at(rate)
        if near is None and reject != AUTO:
            raise ConfigurationError(
                f"reject = {reject}: this model holds an error rate of {self.points.best:.3g} at best, on speakers "
                f"that it was not trained on; give a rate from there on, or {AUTO}"
            )
        beyond = _NONE if far is None else max(1 - rate, float(self.far_points.threshold[far]))
        return (_NONE if near is None else float(self.points.threshold[near])), beyond

    def save(self, folder: Path) -> None:
        """Write the file, atomically and without time stamps.

        Args:
            folder: Of the model.
        """
        header = {
            "format": _FORMAT,
            "branches": list(self.densities),
            **{name: float(getattr(self, name)) for name in ("temperature", "slope", "knee", "unfamiliar_from")},
            "about": dict(self.about),
        }
        arrays: dict[str, Any] = {
            f"{which}.{name}": np.asarray(getattr(points, name), np.float64)
            for which, points in (("near", self.points), ("far", self.far_points))
            for name in _POINTS
        }
        for i, density in enumerate(self.densities.values()):
            arrays |= {f"{i}.{name}": value for name, value in density.arrays().items()}
        buffer = io.BytesIO()
        np.savez_compressed(buffer, header=np.array(json.dumps(header)), **arrays)
        files.write_bytes(folder / CONFIDENCE, buffer.getvalue())

    @classmethod
    def load(cls, folder: Path) -> Confidence | None:
        """Read the file.

        Args:
            folder: Of the model.

        Returns:
            Its content; None where there is no file.

        Raises:
            ModelError: It is damaged, a link, or of another version.
        """
        path = folder / CONFIDENCE
        if leads_elsewhere(path):
            raise ModelError(f"{path}: is a link; replace it by the file")
        if not path.exists():
            return None
        read = read_arrays(path, error=ModelError, limit=_LIMIT, repair=_REPAIR)
        header = read.pop("header", np.array("{}"))
        text = str(header) if header.dtype.kind == "U" and header.ndim == 0 else ""
        record = Record(
            parse_json(text, where=str(path), error=ModelError, repair=_REPAIR), str(path), ModelError, _REPAIR
        )
        if record.get("format") != _FORMAT:
            raise record.wrong(f"not of format {_FORMAT}")
        densities = {}
        for i, name in enumerate(record.texts("branches")):
            own = {key.removeprefix(f"{i}."): value for key, value in read.items() if key.startswith(f"{i}.")}
            densities[name] = Familiarity.of_arrays(own, str(path))
        low, high = TEMPERATURES
        return cls(
            densities,
            record.number("temperature", low=low, high=high),
            record.number("slope", low=0, high=_MOST_SLOPE),
            record.number("knee"),
            record.number("unfamiliar_from"),
            _points(read, "near", record),
            _points(read, "far", record),
            dict(record.record("about")),
        )

    def check(self, widths: Mapping[str, int]) -> None:
        """Check that the densities are of a model's branches.

        Args:
            widths: Branch → values in a frame of it; "" for the only network of a model.

        Raises:
            ModelError: They are of another model.
        """
        for name, density in self.densities.items():
            if len(density.mean) not in (widths.get(name, 0), 2 * widths.get(name, 0)):
                raise ModelError(
                    f"{CONFIDENCE} has a density of {len(density.mean)} values for branch {name!r}, which reads "
                    f"{widths.get(name, 0)}: they are not of one model; {_REPAIR}"
                )


def _points(read: Mapping[str, np.ndarray], which: str, record: Record) -> OperatingPoints:
    """A table of thresholds, validated."""
    found = [read.get(f"{which}.{name}", np.zeros(())) for name in _POINTS]
    if any(array.dtype.kind != "f" or array.ndim != 1 or len(array) != len(found[0]) for array in found):
        raise record.wrong(f"lacks {', '.join(_POINTS)} of its thresholds")
    threshold, error_rate, coverage = (array.astype(np.float64) for array in found)
    if not np.isfinite(threshold).all() or (np.diff(threshold) <= 0).any():
        raise record.wrong("its thresholds are damaged")
    return OperatingPoints(threshold, error_rate, coverage)
