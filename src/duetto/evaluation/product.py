"""Fusion of posteriors at prediction: what a fitted or a plain fusion computes from the logits of its branches.

    logits of each branch ÷ temperature ─ log softmax ─▶ log p_b ─ PosteriorFusion ─▶ log p

`product` is a weighted product of experts (Hinton 2002; a logarithmic opinion pool, Genest and Zidek 1986), with the
class prior counted once: log p = log π + Σ_b w_b · (log p_b − log π) + const. With weights of 1 this is Bayes' rule for
branches that are independent given the class. Where corrections C_b were fitted, w_b · I + C_b stands for w_b: what a
branch says of one class then counts for others, too. `mean` is the linear pool p = Σ_b w_b · p_b.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ConfigurationError, ModelError
from ..metrics import TEMPERATURES
from ..utils.reading import Record

RULES = ("product", "mean")
"""How posteriors are joined."""

_MOST_WEIGHT = 1e6

Corrections = tuple[tuple[tuple[float, ...], ...], ...]
"""(branches, classes, classes): what is added to the weight of each branch, class by class."""


@dataclass(frozen=True)
class PosteriorFusion:
    """Fuses the posteriors of branches; a branch that has nothing to go by is left out.

    Attributes:
        names: Of the branches.
        temperatures: Of each branch: divide its logits.
        weights: Combination of branches that take part → weight of each branch, 0 for those that don't. The combination
            of all branches is required; where another one is missing, the remaining branches keep their weights in a
            product, and weights of the same total in a mean.
        prior: Probability of each class, counted once in a product, and the answer if no branch takes part.
        rule: One of `RULES`.
        corrections: Combination of branches → C_b of each branch, (branches, classes, classes), 0 for those that don't
            take part; of a product only. Combinations without any are weighted alone.

    Raises:
        ConfigurationError: The values do not fit together.
    """

    names: tuple[str, ...]
    temperatures: tuple[float, ...]
    weights: Mapping[frozenset[str], tuple[float, ...]]
    prior: tuple[float, ...]
    rule: str = "product"
    corrections: Mapping[frozenset[str], Corrections] = field(default_factory=dict)
    _log_prior: NDArray[np.float64] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for problem in _problems(self):
            raise ConfigurationError(problem)
        prior = np.asarray(self.prior, np.float64)
        object.__setattr__(self, "_log_prior", np.log(prior / prior.sum()))

    @classmethod
    def plain(
        cls, names: Sequence[str], temperatures: Sequence[float], classes: int, rule: str = "product"
    ) -> PosteriorFusion:
        """Make a fusion of which nothing is fitted: weights of 1 in a product, equal ones in a mean.

        Args:
            names: Of the branches.
            temperatures: Of each.
            classes: Number of classes; their prior is uniform.
            rule: One of `RULES`.

        Returns:
            The fusion.

        Raises:
            ConfigurationError: The rule is not known.
        """
        weight = 1.0 if rule == "product" else 1.0 / len(names)
        weights = {frozenset(names): (weight,) * len(names)}
        return cls(tuple(names), tuple(temperatures), weights, (1 / classes,) * classes, rule)

    def weights_of(self, present: Sequence[bool]) -> NDArray[np.float64]:
        """Look up the weights for a combination of branches.

        Args:
            present: Of each branch, whether it takes part.

        Returns:
            (branches,) weights, 0 for those that do not take part.
        """
        taking_part = frozenset(name for name, there in zip(self.names, present, strict=True) if there)
        if taking_part in self.weights:
            return np.asarray(self.weights[taking_part], np.float64)
        every = np.asarray(self.weights[frozenset(self.names)], np.float64)
        mask = np.asarray(present, np.float64)
        kept = every * mask
        if not mask.any():
            return kept
        if not kept.any():  # all that weigh anything are missing
            kept = mask * every.sum() / mask.sum()
        return kept * (every.sum() / kept.sum()) if self.rule == "mean" else kept

    def log_posteriors(self, logits: ArrayLike, present: ArrayLike | None = None) -> NDArray[np.float64]:
        """Fuse.

        Args:
            logits: (branches, n, classes), finite; those of a branch that does not take part are not used.
            present: (branches, n), whether a branch takes part; by default all do.

        Returns:
            (n, classes) log-probabilities, float64; each row's exponentials sum to 1.

        Raises:
            ConfigurationError: The arrays are not of this form.
        """
        values = np.asarray(logits, np.float64)
        shape = (len(self.names), *values.shape[1:2], len(self.prior))
        if values.shape != shape:
            raise ConfigurationError(f"logits have shape {values.shape}; (branches, n, classes) = {shape} is required")
        there = np.ones(shape[:2], bool) if present is None else np.asarray(present, bool)
        logs = log_softmax(values / np.asarray(self.temperatures)[:, None, None])
        fused = np.empty(shape[1:])
        combinations, of = np.unique(there, axis=1, return_inverse=True)
        for number, combination in enumerate(combinations.T):
            rows = np.ravel(of) == number
            weights, names = self.weights_of(combination.tolist()), np.array(self.names)[combination]
            fused[rows] = self._fused(logs[:, rows], weights, self.corrections.get(frozenset(names.tolist())))
        return fused

    def _fused(
        self, logs: NDArray[np.float64], weights: NDArray[np.float64], corrections: Corrections | None
    ) -> NDArray[np.float64]:
        """(n, classes) of (branches, n, classes) log-posteriors, of which those with weight 0 are not used."""
        used = weights > 0
        if not used.any():
            return np.broadcast_to(self._log_prior, logs.shape[1:])
        if self.rule == "mean":
            scaled = logs[used] + np.log(weights[used] / weights[used].sum())[:, None, None]
            return log_softmax(np.logaddexp.reduce(scaled, axis=0))
        evidence = np.tensordot(weights[used], logs[used] - self._log_prior, 1)
        if corrections is not None:  # those of branches that take no part are 0
            evidence = evidence + np.einsum("bnj,bjk->nk", logs - self._log_prior, np.asarray(corrections))
        return log_softmax(self._log_prior + evidence)

    def to_json(self) -> dict[str, Any]:
        """Convert to JSON values.

        Returns:
            What `from_json` reads.
        """
        return {
            "rule": self.rule,
            "branches": [
                {"name": name, "temperature": temperature, "weight": weight}
                for name, temperature, weight in zip(
                    self.names, self.temperatures, self.weights[frozenset(self.names)], strict=True
                )
            ],
            "weights_without": [
                {"branches": sorted(present), "weights": list(weights)}
                for present, weights in sorted(self.weights.items(), key=lambda item: sorted(item[0]))
                if len(present) < len(self.names)
            ],
            "prior": list(self.prior),
            **(
                {
                    "corrections": [
                        {"branches": sorted(present), "values": values}
                        for present, values in sorted(self.corrections.items(), key=lambda item: sorted(item[0]))
                    ]
                }
                if self.corrections
                else {}
            ),
        }

    @classmethod
    def from_json(cls, record: Record) -> PosteriorFusion:
        """Convert from JSON values; the inverse of `to_json`.

        Args:
            record: The JSON object.

        Returns:
            The fusion.

        Raises:
            ModelError: The values are damaged.
        """
        inner = [Record(value, f"{record.where}: branch {i}", ModelError, "export again")
                 for i, value in enumerate(record.items_of("branches"))]  # fmt: skip
        names = tuple(each.text("name") for each in inner)
        weights = {frozenset(names): tuple(each.number("weight", low=0, high=_MOST_WEIGHT) for each in inner)}
        for value in record.items_of("weights_without"):
            other = Record(value, f"{record.where}: weights_without", ModelError, "export again")
            weights[frozenset(other.texts("branches"))] = tuple(map(float, other.array("weights").tolist()))
        corrections: dict[frozenset[str], Corrections] = {}
        for value in record.items_of("corrections") if "corrections" in record else ():
            other = Record(value, f"{record.where}: corrections", ModelError, "export again")
            corrections[frozenset(other.texts("branches"))] = nested(other.array("values"))
        low, high = TEMPERATURES
        temperatures = tuple(each.number("temperature", low=low, high=high) for each in inner)
        try:
            prior = tuple(map(float, record.array("prior").tolist()))
            return cls(names, temperatures, weights, prior, record.text("rule"), corrections)
        except (ConfigurationError, TypeError) as error:
            raise record.wrong(str(error)) from error


def nested(values: NDArray[np.float64]) -> Corrections:
    """Convert corrections to tuples, which can be compared.

    Args:
        values: (branches, classes, classes).

    Returns:
        The same.
    """
    return tuple(tuple(tuple(map(float, row)) for row in np.atleast_1d(of)) for of in np.atleast_2d(values))


def log_softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithm of the softmax over the last axis.

    Args:
        values: (…, classes).

    Returns:
        (…, classes), finite for finite values.
    """
    return values - np.logaddexp.reduce(values, axis=-1, keepdims=True)


def _problems(fusion: PosteriorFusion) -> list[str]:
    n = len(fusion.names)
    every, prior = frozenset(fusion.names), np.asarray(fusion.prior, np.float64)
    weights = [np.asarray(each, np.float64) for each in fusion.weights.values()]
    checks = [
        (n > 0 and len(every) == n, f"names of branches are {list(fusion.names)}; give distinct names"),
        (fusion.rule in RULES, f"rule {fusion.rule!r} is not known; choose from {', '.join(RULES)}"),
        (every in fusion.weights and all(set(present) <= every for present in fusion.weights),
         "weights must be given for all branches together, and for no others"),
        (all(w.shape == (n,) and bool((np.isfinite(w) & (w >= 0)).all()) for w in weights),
         "weights must be finite, not negative, and one for each branch"),
        (all(not w[i] for present, w in fusion.weights.items() for i, name in enumerate(fusion.names)
             if len(w) == n and name not in present), "a branch that does not take part must weigh 0"),
        (all(any(w) for present, w in fusion.weights.items() if present), "all branches that take part weigh 0"),
        (len(fusion.temperatures) == n and all(0 < t < np.inf for t in fusion.temperatures),
         "temperatures must be above 0, one for each branch"),
        (not fusion.corrections or fusion.rule == "product", "corrections are of a product only"),
        (all(_fits(fusion, present, values) for present, values in fusion.corrections.items()),
         "corrections must be finite, of combinations that have weights, and 0 for branches that take no part"),
        (prior.ndim == 1 and prior.size > 0 and bool((np.isfinite(prior) & (prior > 0)).all()),
         "the prior must hold a probability above 0 for each class"),
    ]  # fmt: skip
    return [message for valid, message in checks if not valid]


def _fits(fusion: PosteriorFusion, present: frozenset[str], values: Corrections) -> bool:
    """Whether the corrections of a combination are of its branches and classes."""
    n, k = len(fusion.names), len(fusion.prior)
    shapes = [len(of) == k and all(len(row) == k for row in of) for of in values]
    if present not in fusion.weights or len(values) != n or not all(shapes):
        return False
    array = np.asarray(values, np.float64)
    absent = [name not in present for name in fusion.names]
    return bool((np.abs(array) <= _MOST_WEIGHT).all()) and not array[absent].any()
