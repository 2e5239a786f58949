"""What to measure, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ...baselines import Baseline
from ...config.experiment import Experiment
from ...config.fusion import Fusion
from ...training.word_embeddings import EmbeddingConfig
from . import paper


@dataclass(frozen=True)
class Options:
    """What to measure, and how.

    Attributes:
        systems: Groups and names of systems (`paper.select`).
        protocol: Protocol of the tables; None for that of `splits.default_protocol`.
        protocols: Protocols that are compared side by side.
        seeds: Trainings of each system.
        epochs: Epochs of each training; None leaves each system's own (20 in the paper).
        labels: A label set, `as-is`, or the path of a file of labels.
        settings: KEY=VALUE, changed in every trained system.
        best_on_test: Also train a leaking twin of each system, whose epoch is chosen on test data.
        vectors: Kind of embedding → file of word vectors, or folder of `50.vec` … `300.vec`; the vectors of other
            kinds are trained on training data.
        workers: Processes that train side by side.
        accelerator: `cpu`, `cuda` or `auto`.
        force: Use a corpus even if it has errors, without the utterances concerned.
        declare_leak: Use a protocol even if its test data leak; results are then marked.
    """

    systems: tuple[str, ...] = ("all",)
    protocol: str | None = None
    protocols: tuple[str, ...] = ()
    seeds: int = 5
    epochs: int | None = None
    labels: str = "four"
    settings: tuple[str, ...] = ()
    best_on_test: bool = False
    vectors: Mapping[str, Path] = field(default_factory=dict)
    workers: int = 1
    accelerator: str = "cpu"
    force: bool = False
    declare_leak: bool = False

    def configured(self, name: str) -> Experiment | Fusion | Baseline:
        """Configure a system.

        Args:
            name: A system, a fusion or a baseline.

        Returns:
            The system, with `epochs` and `settings` applied.

        Raises:
            ConfigurationError: A setting is not valid.
        """
        epochs = () if self.epochs is None else (f"epochs={self.epochs}",)
        return paper.configured(name, (*epochs, *self.settings))

    @property
    def changed(self) -> dict[str, Any]:
        """Every option that may change a figure and differs from its default → its value."""
        changed: dict[str, Any] = {} if self.epochs is None else {"epochs": str(self.epochs)}
        changed |= paper.parsed(self.settings)
        if self.labels != "four":
            changed["labels"] = self.labels
        if self.vectors:
            changed["vectors"] = {kind: str(path) for kind, path in sorted(self.vectors.items())}
        if self.accelerator != "cpu":
            changed["accelerator"] = self.accelerator
        changed |= {key: True for key in ("best_on_test", "force", "declare_leak") if getattr(self, key)}
        return changed

    @property
    def embeddings(self) -> EmbeddingConfig:
        """How word vectors are trained: for no more epochs than the systems."""
        default = EmbeddingConfig()
        return default if self.epochs is None else replace(default, epochs=min(default.epochs, self.epochs))
