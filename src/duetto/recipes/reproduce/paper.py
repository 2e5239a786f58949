"""What is measured: every row of the paper's tables, and what stands beside them.

select(["table1", "svm"]) ─▶ names of systems, in the order of `TABLES`
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

from ...baselines import BASELINES, Baseline
from ...config.experiment import SYSTEMS, Experiment, load, with_overrides
from ...errors import ConfigurationError
from ...features.registry import feature_spec
from ...features.short_term import ShortTermConfig


@dataclass(frozen=True)
class Row:
    """One row of a table.

    system: its name in `SYSTEMS` or `BASELINES`, or that of a late fusion. paper, paper_ua: what the paper calls
    it, and its figure in percent, where there is one. of: the systems whose answers a late fusion joins.
    """

    system: str
    paper: str = ""
    paper_ua: float | None = None
    of: tuple[str, ...] = ()


DIMENSIONS = (50, 100, 200, 300)

_TABLE3 = {
    "speech2vec": (68.49, 66.08, 64.87, 65.75),
    "word2vec": (67.12, 66.01, 66.80, 61.32),
}
"""Table 3: embedding → UA at each of `DIMENSIONS`."""


def of_dimension(embeddings: str, dimension: int) -> str:
    """The fusion system of an embedding and its dimension."""
    return f"fusion-{embeddings}" + (f"-{dimension}" if dimension != DIMENSIONS[0] else "")


TABLES: dict[str, tuple[Row, ...]] = {
    "table1": (
        Row("acoustic", "Acoustic feature only model", 55.01),
        Row("embedding-speech2vec", "Speech embedding only model", 60.03),
        Row("embedding-word2vec", "Word embedding only model", 60.68),
    ),
    "table2": (
        Row("acoustic", "Bi-LSTM", 55.03),
        Row("evector", "E-Vector", 57.25),
        Row("mcnn-lstm", "MCNN + LSTM", 64.33, of=("mcnn", "acoustic")),
        Row("evector-mcnn-lstm", "E-vector + MCNN + LSTM", 65.90, of=("evector", "mcnn", "acoustic")),
        Row("fusion-speech2vec", "Our system", 68.49),
    ),
    "table3": tuple(
        Row(of_dimension(kind, dimension), f"{name} embedding, {dimension}", ua)
        for kind, name in (("speech2vec", "Speech"), ("word2vec", "Word"))
        for dimension, ua in zip(DIMENSIONS, _TABLE3[kind], strict=True)
    ),
    "baselines": tuple(
        map(
            Row,
            (
                "svm", "hmm", "dnn-elm", "evector-acoustic", "mcnn",
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
    for name in (*SYSTEMS, *BASELINES)
    if not any(name in (row.system, *row.of) for rows in TABLES.values() for row in rows)
)
"""Group → its rows; a system or baseline without a row of its own joins the extensions. Figures are those that the
tables print; the paper's text has others. The controls that are not trained (`baselines.controls.CONTROLS`) are
reported with every selection."""

CONTROLS = frozenset(row.system for row in TABLES["controls"])

TITLES = {
    "table1": "Table 1: one voice alone",
    "table2": "Table 2: single systems and their fusion",
    "table3": "Table 3: dimension of the embeddings",
    "baselines": "Systems of the introduction, and parts of fusions",
    "extensions": "Extensions, not in the paper",
    "controls": "Controls",
}


def fusions() -> dict[str, Row]:
    """Name → row of every late fusion."""
    return {row.system: row for group in TABLES for row in TABLES[group] if row.of}


def select(names: Iterable[str]) -> tuple[str, ...]:
    """The systems of some names: groups of `TABLES`, `all`, and single systems; in the order of `TABLES`, each once.

    The parts of a late fusion come with it. Errors: a name that is neither.
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
    """Key → value of settings KEY=VALUE, the last one of each key.

    Errors: a key that no experiment has, or that would redefine rows.
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


def configured(name: str, settings: Iterable[str]) -> Experiment | Baseline:
    """The system or baseline of a name; `settings` (KEY=VALUE) change a system, not its name and title.

    `features` reaches only a system that hears short-term features; see `keeps_features`.
    """
    if name not in SYSTEMS:
        return BASELINES[name]
    original, values = load(name), parsed(settings)
    if keeps_features(name):
        values.pop("features", None)
    chosen = with_overrides(original, [f"{key}={value}" for key, value in values.items()])
    return replace(chosen, name=original.name, title=original.title)


def keeps_features(name: str) -> bool:
    """Whether a trained system hears features of its own, as convolutions do, that another choice would break."""
    return name in SYSTEMS and not isinstance(feature_spec(load(name).features).extractor, ShortTermConfig)
