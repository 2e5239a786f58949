"""`duetto features`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from .. import audio
from ..data.manifest import read_manifest
from ..data.utterance import Utterance
from ..errors import AudioError
from ..features.registry import choices, feature_spec, is_known, is_whole_recording
from ..features.store import extract_corpus
from ..features.tables import FORMATS, FeatureTable, check_format, write
from ..utils.progress import bar
from ..utils.text import printable
from .output import echo
from .recordings import source_of


def _known(mode: str) -> str:
    if not is_known(mode):
        raise typer.BadParameter(f"{mode!r} is not known; choose from {choices()}")
    return mode


def features(
    sources: Annotated[
        list[Path],
        typer.Argument(help="One manifest (.jsonl), or recordings; - is standard input.", readable=False),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help=f"Table ({', '.join(FORMATS)}); or a feature folder, whose features are not computed again.",
        ),
    ],
    mode: Annotated[str, typer.Option(callback=_known, help="What to compute: " + choices())] = "corrected",
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 for one per core.")] = 0,
    statistics: Annotated[
        bool, typer.Option("--statistics", help="In a table: mean and deviation over the frames of each utterance.")
    ] = False,
    cache: Annotated[
        Path | None, typer.Option(help="Of a table: feature folder to keep; by default a temporary one.")
    ] = None,
) -> None:
    """Compute the features of every utterance into a table, or into a memory-mapped folder. Resumable with a folder.

    A table has the names of the features as columns, and a row for each utterance (functionals, …-means, --statistics)
    or for each frame.

    Modes: corrected and pyaudioanalysis (bug-compatible) are the 34 short-term features; voice depends little on the
    recording; spectrogram and waveform are the inputs of the CNN systems; whisper… are states of a pretrained speech
    encoder, and encoder…:FOLDER those of another one (duetto encoder build).

    A recording that cannot be read is skipped and listed; the exit status is then 1.

    Examples:

        duetto features iemocap.jsonl -o features

        duetto features a.wav b.flac -o features --mode pyaudioanalysis

        duetto features iemocap.jsonl -o functionals.csv --mode functionals

        duetto features iemocap.jsonl -o statistics.parquet --statistics
    """
    as_table = _is_table(out, mode, statistics, cache)
    spec = feature_spec(mode)
    with tempfile.TemporaryDirectory() as folder:
        utterances, failed = _utterances(sources, Path(folder))
        home = (cache or Path(folder, "features")) if as_table else out
        with bar("features") as progress:
            store = extract_corpus(utterances, home, spec.extractor, workers=workers, progress=progress)
        chosen = [u for u in utterances if u.id in store]
        if as_table and chosen:
            write(out, FeatureTable(store, chosen, spec, statistics))
    total = len(utterances) + len(failed.keys() - {u.id for u in utterances})
    failed |= {u.id: store.skipped[u.id] for u in utterances if u.id in store.skipped}
    for utterance_id, reason in failed.items():
        echo(f"skipped {utterance_id}: {reason}", err=True)
    echo(f"{out}: {total - len(failed)} of {total} utterances, {len(failed)} skipped", err=True)
    if failed:
        raise typer.Exit(1)


def _is_table(out: Path, mode: str, statistics: bool, cache: Path | None) -> bool:
    """Whether a table is written; options that do not go with it, or with a folder, are wrong usage."""
    as_table = out.suffix.lower() in FORMATS
    if as_table:
        check_format(out)
    if not as_table and (statistics or cache is not None):
        suffixes = ", ".join(FORMATS)
        raise typer.BadParameter(f"{out}: --statistics and --cache are for tables; end the name with {suffixes}")
    if statistics and is_whole_recording(mode):
        raise typer.BadParameter(f"--statistics: mode {mode} has one row for each utterance already")
    return as_table


def _utterances(sources: list[Path], folder: Path) -> tuple[list[Utterance], dict[str, str]]:
    """The utterances of the sources, and why others have none; a stream is copied into `folder`."""
    if len(sources) == 1 and sources[0].suffix == ".jsonl":
        return read_manifest(sources[0]), {}
    if any(path.suffix == ".jsonl" for path in sources):
        raise typer.BadParameter("a manifest stands alone: give one .jsonl file, or recordings")
    utterances, failed = [], {}
    for number, path in enumerate(sources):
        file = path
        if str(path) == "-" or audio.is_stream(path):
            file = folder / str(number)
            try:
                with file.open("wb") as out:
                    audio.save(source_of(path), out)
            except AudioError as error:
                failed[printable(str(path))] = str(error)
                continue
        utterances.append(Utterance(printable(str(path)), file))
    return utterances, failed
