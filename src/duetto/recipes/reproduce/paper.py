"""What is measured: every row of the paper's tables, and what stands beside them.

select(["table1", "svm"]) ─▶ names of systems, in the order of `TABLES`
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from functools import cache

from ...baselines import BASELINES, Baseline
from ...config.experiment import SYSTEMS, Experiment, load, with_overrides
from ...config.fusion import FUSIONS, Fusion, branch_experiments, load_fusion
from ...errors import ConfigurationError
from ...features.registry import feature_spec
from ...features.short_term import ShortTermConfig


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        system: Name of a system, a baseline or a late fusion.
        paper: What the paper calls it; "" where the paper lacks it.
        printed_ua: The figure of this row in percent, where the system has none of its own or another one.
        of: The systems that a late fusion combines.
    """

    system: str
    paper: str = ""
    printed_ua: float | None = None
    of: tuple[str, ...] = ()

    @property
    def paper_ua(self) -> float | None:
        """The paper's figure in percent: `printed_ua`, or else that of the system itself."""
        if self.printed_ua is not None or not self.paper:
            return self.printed_ua
        return _published_ua(self.system)


@cache
def _published_ua(system: str) -> float | None:
    return load(system).paper_ua if system in SYSTEMS else BASELINES[system].paper_ua


DIMENSIONS = (50, 100, 200, 300)
"""Dimensions of the embeddings in table 3."""


def of_dimension(embeddings: str, dimension: int) -> str:
    """Name the fusion system of an embedding and its dimension.

    Args:
        embeddings: `speech2vec` or `word2vec`.
        dimension: One of `DIMENSIONS`.

    Returns:
        The system.
    """
    return f"fusion-{embeddings}" + (f"-{dimension}" if dimension != DIMENSIONS[0] else "")


TABLES: dict[str, tuple[Row, ...]] = {
    "table1": (
        Row("acoustic", "Acoustic feature only model"),
        Row("embedding-speech2vec", "Speech embedding only model"),
        Row("embedding-word2vec", "Word embedding only model"),
    ),
    "table2": (
        Row("acoustic", "Bi-LSTM", 55.03),
        Row("evector", "E-Vector"),
        Row("mcnn-lstm", "MCNN + LSTM", 64.33, of=("mcnn", "acoustic")),
        Row("evector-mcnn-lstm", "E-vector + MCNN + LSTM", 65.90, of=("evector", "mcnn", "acoustic")),
        Row("fusion-speech2vec", "Our system"),
    ),
    "table3": tuple(
        Row(of_dimension(kind, dimension), f"{name} embedding, {dimension}")
        for kind, name in (("speech2vec", "Speech"), ("word2vec", "Word"))
        for dimension in DIMENSIONS
    ),
    "baselines": tuple(
        map(
            Row,
            (
                *(name for name in BASELINES if name != "evector"), "mcnn",
                "waveform-cnn", "spectrogram-cnn", "spectrogram-alexnet", "acoustic-distilled",
            ),
        )
    ),
    "extensions": tuple(
        map(
            Row,
            (
                "acoustic-attention", "acoustic-portable",
                "embedding-attention", "fusion-attention", "fusion-cross-attention",
                "fusion-confidence", "fusion-modality-dropout", "fusion-speaker", "fusion-robust",
                "embedding-spoken", "fusion-spoken", "fusion-random",
            ),
        )
    ),
    "controls": (Row("embedding-random"), Row("embedding-shuffled")),
}  # fmt: skip
TABLES["extensions"] += tuple(
    Row(name)
    for name in (*SYSTEMS, *FUSIONS)
    if not any(name in (row.system, *row.of) for rows in TABLES.values() for row in rows)
)
"""Group → its rows; every baseline has its row, and a system or fusion without a row of its own joins the extensions.
Figures are those that the paper's tables print; its text has others. The untrained controls
(`baselines.controls.CONTROLS`) are added to every selection."""

CONTROLS = frozenset(row.system for row in TABLES["controls"])
"""Systems that are trained as controls."""

TITLES = {
    "table1": "Table 1: one modality alone",
    "table2": "Table 2: single systems and their fusion",
    "table3": "Table 3: dimension of the embeddings",
    "baselines": "Systems of the introduction, and parts of fusions",
    "extensions": "Extensions, not in the paper",
    "controls": "Controls",
}
"""Group → its title."""


def fusions() -> dict[str, Row]:
    """Collect the late fusions.

    Returns:
        Name → row.
    """
    return {row.system: row for group in TABLES for row in TABLES[group] if row.of}


def select(names: Iterable[str]) -> tuple[str, ...]:
    """Resolve groups and names of systems.

    Args:
        names: Groups of `TABLES`, `all`, and single systems.

    Returns:
        The systems and the parts of late fusions, in the order of `TABLES`, each once.

    Raises:
        ConfigurationError: A name is neither a group nor a system.
    """
    every = [row for group in TABLES for row in TABLES[group]]
    wanted: set[str] = set()
    for name in names:
        if name in TABLES or name == "all":
            wanted |= {row.system for row in (every if name == "all" else TABLES[name])}
        elif any(row.system == name for row in every):
            wanted.add(name)
        else:
            raise ConfigurationError(
                f"{name!r} is neither a system nor a group of them; groups are all, {', '.join(TABLES)}; "
                f"systems are {', '.join(dict.fromkeys(row.system for row in every))}"
            )
    wanted |= {part for name in wanted & fusions().keys() for part in fusions()[name].of}
    return tuple(dict.fromkeys(row.system for row in every if row.system in wanted))


REDEFINING = ("encoders", "embeddings", "word_dim")
"""Keys in which the rows of the tables differ: changed in all of them, a row would no longer be what it is called."""


def parsed(settings: Iterable[str]) -> dict[str, str]:
    """Parse settings for all systems.

    Args:
        settings: KEY=VALUE each.

    Returns:
        Key → value, the last one of each key.

    Raises:
        ConfigurationError: No experiment has such a key, or it is one of `REDEFINING`.
    """
    found = {}
    known = sorted({field.name for field in fields(Experiment)} - {"name", "title", *REDEFINING})
    for setting in settings:
        key, equals, value = (part.strip() for part in setting.partition("="))
        if not equals:
            raise ConfigurationError(f"setting {setting!r} is not valid; give KEY=VALUE, such as hidden=64")
        if key in REDEFINING:
            raise ConfigurationError(
                f"{key!r} cannot be set for all systems: rows of the tables differ in it, and would no longer be what "
                "they are called; choose rows with --systems, or train a system of your own: duetto train --set "
                f"{setting}"
            )
        if key not in known:
            raise ConfigurationError(f"setting: unknown key {key!r}; known keys are {', '.join(known)}")
        found[key] = value
    return found


def configured(name: str, settings: Iterable[str]) -> Experiment | Fusion | Baseline:
    """Configure a system for the tables.

    Args:
        name: A system, a fusion or a baseline.
        settings: KEY=VALUE; they change a system, and all branches of a fusion, but not its name and title, and
            `features` only in a system that reads short-term features (`keeps_features`), `epoch_choice` only in one
            that trains for epochs. A baseline is not changed.

    Returns:
        The system.

    Raises:
        ConfigurationError: A setting is not valid.
    """
    if name in FUSIONS:
        fusion, values = load_fusion(name), parsed(settings)
        values.pop("features", None)
        if any(load(branch).classifier != "network" for branch in fusion.branches):
            values.pop("epoch_choice", None)
        fusion = replace(fusion, settings=tuple(f"{key}={value}" for key, value in values.items()))
        branch_experiments(fusion, BASELINES)  # a setting that does not suit a branch is an error before any training
        return fusion
    if name not in SYSTEMS:
        return BASELINES[name]
    original, values = load(name), parsed(settings)
    if keeps_features(name):
        values.pop("features", None)
    if original.classifier != "network":
        values.pop("epoch_choice", None)
    chosen = with_overrides(original, [f"{key}={value}" for key, value in values.items()])
    return replace(chosen, name=original.name, title=original.title)


def keeps_features(name: str) -> bool:
    """Check whether a system reads features of its own, which another choice would break, as convolutions do.

    Args:
        name: A system, a fusion (each of whose branches keeps its own) or a baseline.

    Returns:
        Whether `features` must not be changed.
    """
    return name in FUSIONS or (
        name in SYSTEMS and not isinstance(feature_spec(load(name).features).extractor, ShortTermConfig)
    )
