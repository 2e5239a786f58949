"""`duetto folds`: the folds of a protocol as files, in the layout of EmoBox."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import splits
from ..data.manifest import read_manifest
from ..splits.emobox import write_folds
from .options import one_of
from .output import echo


def folds(
    manifest: Annotated[Path, typer.Argument(help="JSONL manifest with labels and speakers.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write: fold_1, fold_2, …, label_map.json.")],
    protocol: Annotated[
        str | None,
        typer.Option(
            callback=one_of(splits.PROTOCOLS),
            help=f"{', '.join(splits.PROTOCOLS)}. By default as in `duetto train`.",
        ),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Name of the corpus in the files; by default that of the manifest.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw of development speakers.")] = 0,
) -> None:
    """Write the folds of a protocol as EmoBox keeps them, for other toolkits; `duetto train --folds` reads them.

    Examples:

        duetto folds mine.jsonl --protocol speaker -o EmoBox/data/mine
    """
    utterances = read_manifest(manifest)
    chosen = protocol or splits.default_protocol(utterances)
    made = splits.folds(chosen, utterances, seed)
    write_folds(out, dataset or manifest.stem, made)
    echo(f"{len(made)} folds of protocol {chosen}: {out}", err=True)
