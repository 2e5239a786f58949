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
from ..features.registry import choices, feature_spec, is_known
from ..features.store import extract_corpus
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
    out: Annotated[Path, typer.Option("--out", "-o", help="Feature folder; features in it are not computed again.")],
    mode: Annotated[str, typer.Option(callback=_known, help="What to compute: " + choices())] = "corrected",
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 for one per core.")] = 0,
) -> None:
    """Compute the features of every utterance into a memory-mapped folder. Resumable.

    Modes: corrected and pyaudioanalysis (bug-compatible) are the 34 short-term features; voice depends little on the
    recording; spectrogram and waveform are the inputs of the CNN systems; whisper… are states of a pretrained speech
    encoder, and encoder…:FOLDER those of another one (duetto encoder build).

    A recording that cannot be read is skipped and listed; the exit status is then 1.

    Examples:

        duetto features iemocap.jsonl -o features

        duetto features a.wav b.flac -o features --mode pyaudioanalysis
    """
    with tempfile.TemporaryDirectory() as folder:
        utterances, failed = _utterances(sources, Path(folder))
        with bar("features") as progress:
            store = extract_corpus(utterances, out, feature_spec(mode).extractor, workers=workers, progress=progress)
    total = len(utterances) + len(failed.keys() - {u.id for u in utterances})
    failed |= {u.id: store.skipped[u.id] for u in utterances if u.id in store.skipped}
    for utterance_id, reason in failed.items():
        echo(f"skipped {utterance_id}: {reason}", err=True)
    echo(f"{out}: {total - len(failed)} of {total} utterances, {len(failed)} skipped", err=True)
    if failed:
        raise typer.Exit(1)


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
