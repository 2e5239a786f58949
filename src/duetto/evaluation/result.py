"""`SystemResult`: predictions of one system for every test utterance, under every seed; and their file."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import metrics
from ..errors import ConfigurationError, ModelError
from ..utils import dataframes, files
from ..utils.arrays import read_arrays
from ..utils.reading import Record, parse_json

if TYPE_CHECKING:
    from ..utils.dataframes import DataFrame

KINDS = ("system", "control", "leak")
"""Kinds of results, in the order of a report."""
_TEXT = ("ids", "speaker", "gender", "session", "style")
_EACH = (*_TEXT, "target", "fold")
_ARRAYS = (*_EACH, "logits", "temperature")
_OPTIONAL = {"adapted": "after", "ratings": "dimensions", "predicted_ratings": "dimensions"}
"""Arrays that not every result has → the field that is empty without them."""
_FORMAT = "duetto-result-1"
_REPAIR = "delete it, and run the same `duetto train` again"


NO_DIMENSIONS: dict[str, Any] = {"dimensions": (), "ratings": np.empty(0), "predicted_ratings": np.empty(0)}
"""Fields of a result that holds no dimensions."""


def _unknown() -> NDArray[np.str_]:
    return np.empty(0, dtype=np.str_)


@dataclass(frozen=True, eq=False)
class SystemResult:
    """Predictions of one system for every test utterance, under every seed.

    Attributes:
        system: Short name, unique in a report.
        classes: Names, in the order of the logits.
        ids: (n,) utterance ids, each once.
        target: (n,) integers, indices of `classes`.
        logits: (seeds, n, classes), finite; the answer is that of `metrics.predicted_classes`.
        seeds: One number a row of logits.
        speaker: (n,) strings, "" where unknown; may be left out, as the other groups.
        gender: (n,) strings.
        session: (n,) strings.
        style: (n,) strings, such as `improvised`.
        fold: (n,) integers from 0, the fold that tests the utterance; by default all 0.
        temperature: (seeds, folds), fitted on development data (`metrics.fit_temperature`); by default 1.
        title: Name in tables; by default `system`.
        paper_ua: The published figure, in percent.
        kind: `system`; `control` (uses no speech, or is a known reference); `leak` (used test data in some way: its
            figure is not a result).
        notes: Remarks for a reader of the result.
        after: Numbers of earlier utterances of the speaker after which a system that adapts was scored as well;
            empty for other systems.
        adapted: (seeds, settings, orders, n, classes) logits after each number of `after`, in several random orders of
            the speaker's utterances; empty for other systems.
        dimensions: That the system predicts beside the classes, such as `arousal`.
        ratings: (n, dimensions) of the annotators, NaN where there is none; empty without dimensions.
        predicted_ratings: (seeds, n, dimensions), finite; empty without dimensions.
    """

    system: str
    classes: tuple[str, ...]
    ids: NDArray[np.str_]
    target: NDArray[np.int64]
    logits: NDArray[np.float64]
    seeds: tuple[int, ...]
    speaker: NDArray[np.str_] = field(default_factory=_unknown)
    gender: NDArray[np.str_] = field(default_factory=_unknown)
    session: NDArray[np.str_] = field(default_factory=_unknown)
    style: NDArray[np.str_] = field(default_factory=_unknown)
    fold: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    temperature: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    title: str = ""
    paper_ua: float | None = None
    kind: str = "system"
    notes: tuple[str, ...] = ()
    after: tuple[int, ...] = ()
    adapted: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    dimensions: tuple[str, ...] = ()
    ratings: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    predicted_ratings: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    def __post_init__(self) -> None:
        n = len(self.ids)
        arrays: dict[str, NDArray[Any]] = {name: np.array(getattr(self, name), dtype=np.str_) for name in _TEXT}
        for name in _TEXT[1:]:
            arrays[name] = arrays[name] if arrays[name].size else np.full(n, "", dtype=np.str_)
        arrays["target"] = np.array(self.target)
        arrays["logits"] = np.array(self.logits, dtype=np.float64)
        arrays["fold"] = np.array(self.fold if np.size(self.fold) else np.zeros(n, dtype=np.int64))
        folds = int(arrays["fold"].max(initial=0)) + 1 if arrays["fold"].dtype.kind in "iu" else 0
        given = np.array(self.temperature, dtype=np.float64)
        arrays |= {name: np.array(getattr(self, name), dtype=np.float64) for name in _OPTIONAL}
        arrays["temperature"] = given if given.size else np.ones((len(self.seeds), folds))
        for name, value in arrays.items():
            value.setflags(write=False)
            object.__setattr__(self, name, value)
        for name in ("seeds", "after"):
            object.__setattr__(self, name, tuple(int(number) for number in getattr(self, name)))
        for name in ("classes", "notes", "dimensions"):
            object.__setattr__(self, name, tuple(map(str, getattr(self, name))))
        object.__setattr__(self, "title", self.title or self.system)
        for problem in _problems(self, n, folds):
            raise ConfigurationError(f"result of system {self.system!r}: {problem}")

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Predicted classes, (seeds, n)."""
        return metrics.predicted_classes(self.logits)

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """softmax(logits), (seeds, n, classes)."""
        return metrics.softmax(self.logits)

    @property
    def calibrated(self) -> NDArray[np.float64]:
        """softmax(logits / temperature of the seed and fold), (seeds, n, classes)."""
        return metrics.softmax(self.logits / self.temperature[:, self.fold, None])

    @property
    def confusion(self) -> NDArray[np.float64]:
        """Confusion matrix (classes, classes), rows the target: mean counts over seeds."""
        matrices = [metrics.confusion(self.target, answers, len(self.classes)) for answers in self.predicted]
        return np.mean(matrices, axis=0)

    def subset(self, keep: NDArray[np.bool_] | NDArray[np.integer]) -> SystemResult:
        """Select utterances.

        Args:
            keep: (n,) booleans, or indices in the order wanted.

        Returns:
            The result on these utterances.
        """
        picked: dict[str, Any] = {name: getattr(self, name)[keep] for name in _EACH}
        if self.after:
            picked["adapted"] = self.adapted[:, :, :, keep]
        if self.dimensions:
            picked |= {"ratings": self.ratings[keep], "predicted_ratings": self.predicted_ratings[:, keep]}
        return replace(self, logits=self.logits[:, keep], **picked)

    def after_utterances(self, number: int) -> SystemResult:
        """The result after earlier utterances of each speaker, used without their labels.

        Args:
            number: Of these utterances, one of `after`.

        Returns:
            A result whose rows are the orders under each seed, numbered as seeds; without dimensions.

        Raises:
            ConfigurationError: The system was not scored after so many.
        """
        if number not in self.after:
            known = ", ".join(map(str, self.after)) or "none"
            raise ConfigurationError(
                f"result of system {self.system!r}: not scored after {number} utterances of the speaker; known: {known}"
            )
        logits = self.adapted[:, self.after.index(number)]
        orders, noun = logits.shape[1], "utterance" if number == 1 else "utterances"
        return replace(
            self,
            system=f"{self.system} after {number}",
            title=f"{self.title}, after {number} {noun} of the speaker",
            logits=logits.reshape(-1, *logits.shape[2:]),
            seeds=tuple(range(len(self.seeds) * orders)),
            temperature=np.repeat(self.temperature, orders, axis=0),
            after=(),
            adapted=np.empty(0),
            **NO_DIMENSIONS,
        )

    def to_frame(self) -> DataFrame:
        """Make a table of all predictions.

        Returns:
            A row for each seed and utterance: `system`, `seed`, `id`, `fold`, `speaker`, `gender`, `session`, `style`,
            `target`, `predicted`, `correct`, and `probability_CLASS` of each class, calibrated. What is not known is
            missing.

        Raises:
            MissingExtraError: pandas is not installed (extra `data`).
        """
        pd, seeds, names = dataframes.pandas(), len(self.seeds), np.array(self.classes, dtype=object)
        columns: dict[str, Any] = {"system": self.system, "seed": np.repeat(self.seeds, len(self.ids))}
        columns |= {"id": np.tile(self.ids, seeds), "fold": np.tile(self.fold, seeds)}
        columns |= {name: [value or None for value in np.tile(getattr(self, name), seeds)] for name in _TEXT[1:]}
        columns["target"], columns["predicted"] = names[np.tile(self.target, seeds)], names[self.predicted.ravel()]
        columns["correct"] = columns["target"] == columns["predicted"]
        probabilities = self.calibrated.reshape(-1, len(self.classes))
        columns |= {f"probability_{label}": probabilities[:, i] for i, label in enumerate(self.classes)}
        return pd.DataFrame(columns)

    def save(self, path: str | Path) -> None:
        """Write one npz file (no pickle), atomically.

        Args:
            path: The file.
        """
        record = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in (*_ARRAYS, *_OPTIONAL)}
        header = np.array(json.dumps({"format": _FORMAT, **record}))
        with files.replacing(path) as temporary, temporary.open("wb") as file:
            names = (*_ARRAYS, *(name for name, needs in _OPTIONAL.items() if getattr(self, needs)))
            np.savez_compressed(file, header=header, **{name: getattr(self, name) for name in names})

    @classmethod
    def load(cls, path: str | Path) -> SystemResult:
        """Read a file that `save` wrote.

        Args:
            path: The file.

        Returns:
            The result.

        Raises:
            ModelError: The file is missing, damaged or of another kind.
        """
        path = Path(path)
        if not path.exists():
            raise ModelError(f"{path}: no such result file; `duetto train` writes one")
        read = read_arrays(path, error=ModelError, repair=_REPAIR)
        header = read.pop("header", np.array("{}"))
        text = str(header) if header.dtype.kind == "U" and header.ndim == 0 else ""
        value = parse_json(text, where=str(path), error=ModelError, repair=_REPAIR)
        record = Record(value, str(path), ModelError, _REPAIR)
        if record.get("format") != _FORMAT or not read.keys() >= set(_ARRAYS):
            raise record.wrong(f"not a result file of format {_FORMAT}")
        names = [name for name in (*_ARRAYS, *_OPTIONAL) if name in read]
        for name in names:
            if (read[name].dtype.kind == "U") != (name in _TEXT) or read[name].dtype.kind not in "Uiuf":
                raise record.wrong(f"its {name} are of type {read[name].dtype}")
        try:
            arrays: dict[str, Any] = {name: read[name] for name in names}
            return cls(**_fields(record), **arrays)
        except ConfigurationError as error:
            raise record.wrong(f"not a result file of format {_FORMAT}, or damaged ({error})") from error


def _fields(record: Record) -> dict[str, Any]:
    """The fields of a result that are not arrays, from its file."""
    seeds = record.items_of("seeds")
    if not all(isinstance(seed, int) and abs(seed) < 1 << 64 for seed in seeds):
        raise record.wrong("'seeds' must be a list of integers of up to 64 bits")
    after = record.items_of("after", ())
    if not all(isinstance(number, int) and 0 < number < 1 << 31 for number in after):
        raise record.wrong("'after' must be a list of numbers of utterances")
    return {
        "system": record.text("system"),
        "title": record.text("title"),
        "kind": record.text("kind"),
        "classes": record.texts("classes"),
        "notes": record.texts("notes"),
        "seeds": tuple(seeds),
        "after": tuple(after),
        "dimensions": record.texts("dimensions", ()),
        "paper_ua": None if record["paper_ua"] is None else record.number("paper_ua"),
    }


def _problems(result: SystemResult, n: int, folds: int) -> list[str]:
    """What is wrong with a result, worst first."""
    s, k = len(result.seeds), len(result.classes)
    checks = [
        (n > 0, "it has no utterance; at least one is required"),
        (s > 0 and len(set(result.seeds)) == s, f"seeds are {result.seeds}; give one distinct number a run"),
        (k > 0 and len(set(result.classes)) == k, f"classes are {result.classes}; give distinct names"),
        (
            result.logits.shape == (s, n, k),
            f"logits have shape {result.logits.shape}; (seeds, utterances, classes) = {(s, n, k)} is required",
        ),
        (bool(np.isfinite(result.logits).all()), "logits hold NaN or infinity; finite numbers are required"),
        (len(set(result.ids.tolist())) == n, "an utterance id occurs twice; each is tested once"),
        *(
            (getattr(result, name).shape == (n,), f"{name} has shape {getattr(result, name).shape}, not {(n,)}")
            for name in _EACH
        ),
        (_within(result.target, k), f"target must hold integers from 0 to {k - 1}"),
        (_within(result.fold, folds), "fold must hold integers from 0"),
        (
            np.shape(result.temperature)[:1] == (s,)
            and result.temperature.ndim == 2
            and result.temperature.shape[1] >= folds
            and bool((np.isfinite(result.temperature) & (result.temperature > 0)).all()),
            f"temperature must hold positive numbers of shape (seeds, folds) = {(s, folds)}",
        ),
        *_optional_checks(result, n),
        (result.kind in KINDS, f"kind {result.kind!r} is not known; choose from {', '.join(KINDS)}"),
    ]
    return [message for valid, message in checks if not valid]


def _optional_checks(result: SystemResult, n: int) -> list[tuple[bool, str]]:
    """Whether the arrays are valid that not every result has, and what is wrong if not."""
    s, k, d = len(result.seeds), len(result.classes), len(result.dimensions)
    rated = result.ratings.size + result.predicted_ratings.size
    return [
        (
            result.adapted.shape[:2] + result.adapted.shape[3:] == (s, len(result.after), n, k)
            if result.after
            else result.adapted.size == 0,
            f"adapted has shape {result.adapted.shape}; (seeds, settings, orders, utterances, classes) of "
            f"{(s, len(result.after), n, k)} and any number of orders is required",
        ),
        (bool(np.isfinite(result.adapted).all()), "adapted holds NaN or infinity; finite numbers are required"),
        (
            (result.ratings.shape, result.predicted_ratings.shape) == ((n, d), (s, n, d)) if d else not rated,
            f"ratings have shape {result.ratings.shape}, predicted_ratings {result.predicted_ratings.shape}; for the "
            f"dimensions {result.dimensions} {(n, d)} and {(s, n, d)} are required",
        ),
        (bool(np.isfinite(result.predicted_ratings).all()), "predicted_ratings hold NaN or infinity"),
    ]


def _within(values: NDArray[Any], size: int) -> bool:
    return values.dtype.kind in "iu" and bool(((values >= 0) & (values < size)).all())
