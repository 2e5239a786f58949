"""`duetto reproduce`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import splits
from ..corpora import CORPORA
from ..embeddings import vectors as word_vectors
from .live_table import LiveTable
from .options import Accelerator, DeclareLeak, Labels, Strict, TrainWorkers, one_of, usage_errors
from .output import echo

if TYPE_CHECKING:
    from ..recipes.reproduce import Options

_PROTOCOLS = ", ".join(splits.PROTOCOLS)
_LEAKING = "best-on-test"

Corpus = Annotated[str, typer.Option(help=f"KIND:PATH; kinds are {', '.join(CORPORA)}.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder to write to; the same command resumes it.")]
Systems = Annotated[
    list[str] | None,
    typer.Option(
        help="Groups (table1, table2, table3, baselines, extensions, controls, all) and systems; may be repeated, or "
        "joined by commas. Default: all that the corpus allows."
    ),
]
Protocol = Annotated[
    str | None,
    typer.Option(
        help=f"How to split for the tables: {_PROTOCOLS}. By default split where the corpus has a division of its "
        "own with new test speakers, session5 where it has sessions, else speaker."
    ),
]
Protocols = Annotated[
    list[str] | None,
    typer.Option(help="Also compare the systems under these protocols, side by side; given as --systems."),
]
Seeds = Annotated[int, typer.Option(min=1, help="Trainings of each system.")]
Epochs = Annotated[int | None, typer.Option(min=1, help="Epochs of each training, instead of 20: for a quick try.")]
Epoch = Annotated[
    str,
    typer.Option(
        callback=one_of(("development", "last", _LEAKING)),
        help="Which epoch counts: development, last; best-on-test adds a LEAKING row to each system.",
    ),
]
Padding = Annotated[str | None, typer.Option(help="packed; pre or post as Keras without masking.")]
Features = Annotated[
    str | None, typer.Option(help="corrected or pyaudioanalysis, for systems that read short-term features.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Change a key of every trained system, KEY=VALUE; may be repeated. Not encoders, embeddings or word_dim.",
    ),
]
UserVectors = Annotated[
    list[str] | None,
    typer.Option(help="speech2vec=PATH, word2vec=PATH: a folder of 50.vec … 300.vec, or a file; may be repeated."),
]
Force = Annotated[bool, typer.Option("--force", help="Use the corpus even if it has errors.")]


def reproduce(
    corpus: Corpus,
    out: Out,
    systems: Systems = None,
    labels: Labels = "four",
    protocol: Protocol = None,
    protocols: Protocols = None,
    seeds: Seeds = 5,
    epochs: Epochs = None,
    epoch: Epoch = "development",
    padding: Padding = None,
    features: Features = None,
    settings: Settings = None,
    vectors: UserVectors = None,
    strict: Strict = False,
    workers: TrainWorkers = 1,
    accelerator: Accelerator = "cpu",
    force: Force = False,
    declare_leak: DeclareLeak = False,
) -> None:
    """Measure the paper's tables on a corpus: every system, with the paper's figures and controls beside it.

    The corpus is validated first; then features, word times and vectors are made once and shared; then every system
    is trained with every seed. It can be stopped at any time: the same command resumes it. The folder then holds
    tables.json, tables.md and report.html. Exit status 1 where a system failed.

    Examples:

        duetto reproduce --corpus iemocap:/data/IEMOCAP_full_release -o iemocap --workers 8

        duetto reproduce --corpus iemocap:/data/IEMOCAP_full_release -o first --systems table1 --seeds 1

        duetto reproduce --corpus iemocap:/data/IEMOCAP_full_release -o s --systems acoustic --protocols loso,random

        duetto reproduce --corpus emodb:/data/emodb -o emodb --protocol speaker
    """
    from ..recipes.reproduce import Options

    options = Options(
        systems=_names(systems) or ("all",),
        labels=labels,
        protocol=protocol and _protocol(protocol),
        protocols=tuple(map(_protocol, _names(protocols))),
        seeds=seeds,
        epochs=epochs,
        settings=(*_shortcuts(epoch, padding, features), *(settings or ())),
        best_on_test=epoch == _LEAKING,
        vectors=dict(map(_user_vectors, vectors or ())),
        workers=workers,
        accelerator=accelerator,
        force=force,
        declare_leak=declare_leak,
    )
    _run(corpus, out, options, strict)


def _run(corpus: str, out: Path, options: Options, strict: bool) -> None:
    """Show a live table while systems are trained, then print the tables."""
    from ..recipes.reproduce import check_settings, run, select

    kind, colon, path = corpus.partition(":")
    if not colon or kind not in CORPORA:
        raise typer.BadParameter(f"--corpus {corpus!r}: give KIND:PATH, where KIND is one of {', '.join(CORPORA)}")
    with usage_errors():
        names = select(options.systems)
        check_settings(names, options)
    for given in options.vectors.values() if strict else ():
        for file in sorted(given.glob("*.vec")) if given.is_dir() else [given]:
            word_vectors.load(file, strict=True)
    with LiveTable(("corpus", *names)) as live_table:
        finished = run(kind, Path(path), out, options, watch=live_table)
    echo(finished.text)
    for file in finished.files:
        echo(f"wrote {file}", err=True)
    for name, reason in finished.failed.items():
        echo(f"failed: {name}: {reason}", err=True)
    if finished.failed:
        raise typer.Exit(1)


def _shortcuts(epoch: str, padding: str | None, features: str | None) -> list[str]:
    """Settings KEY=VALUE of the options that have a name of their own; a system keeps its own where none is given."""
    choice = None if epoch in (_LEAKING, "development") else epoch
    values = {"padding": padding, "features": features, "epoch_choice": choice}
    return [f"{key}={value}" for key, value in values.items() if value is not None]


def _names(values: list[str] | None) -> tuple[str, ...]:
    return tuple(name for value in values or () for name in value.split(",") if name)


def _protocol(name: str) -> str:
    if name not in splits.PROTOCOLS:
        raise typer.BadParameter(f"protocol {name!r} is not known; choose from {_PROTOCOLS}")
    return name


def _user_vectors(value: str) -> tuple[str, Path]:
    kind, _, path = value.partition("=")
    if kind not in ("speech2vec", "word2vec") or not Path(path).exists():
        raise typer.BadParameter(f"--vectors {value!r}: give speech2vec=PATH or word2vec=PATH, a folder or a file")
    return kind, Path(path)
