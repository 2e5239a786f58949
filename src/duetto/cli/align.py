"""`duetto align`: words with times for every utterance of a manifest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..asr.annotate import METHODS, MissingTranscript, find_words, language_model_of
from ..asr.engines import ENGINES, RecogniserConfig, parse
from ..data.manifest import read_manifest, write_manifest
from ..data.utterance import languages
from ..utils.progress import bar
from .options import one_of
from .output import echo

Asr = Annotated[
    str,
    typer.Option(
        callback=one_of((*ENGINES, "whisper=", "whisper:")),
        help="Speech recogniser: pocketsphinx, whisper=FOLDER, or whisper:NAME (such as whisper:base).",
    ),
]


def align(
    manifest: Annotated[Path, typer.Argument(help="JSONL manifest.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Manifest to write, with the words of every utterance.")],
    by: Annotated[
        str,
        typer.Option(
            callback=one_of(METHODS),
            help="transcript (forced alignment), recognise (ignore the transcript), or segment.",
        ),
    ] = "transcript",
    missing: Annotated[MissingTranscript, typer.Option(help="For utterances without a transcript.")] = "recognise",
    language: Annotated[
        Path | None,
        typer.Option(help="Manifest to build the language model from; give the training part only."),
    ] = None,
    asr: Asr = "pocketsphinx",
    anew: Annotated[
        bool,
        typer.Option("--anew", help="Align again where words have times already."),
    ] = False,
    cache: Annotated[Path | None, typer.Option(help="Folder of intermediate results; beside OUT by default.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
) -> None:
    """Find the words of every utterance and their times. Resumable; prints what it could not align.

    Exit status 1 if an utterance has no words in the end.

    Examples:

        duetto align lj.jsonl -o lj-aligned.jsonl --workers 2

        duetto align test.jsonl -o recognised.jsonl --by recognise --language train.jsonl

        duetto align any-language.jsonl -o segments.jsonl --by segment
    """
    if out.resolve() == manifest.resolve():
        raise typer.BadParameter("OUT is the manifest itself; its words would be lost")
    utterances = read_manifest(manifest)
    expected = None if language is None else language_model_of(read_manifest(language))
    with bar("words") as progress:
        found, report = find_words(
            utterances,
            by=by,
            missing=missing,
            asr=replace(parse(asr) or RecogniserConfig(asr), language=expected, languages=languages(utterances)),
            realign=anew,
            workers=workers,
            cache_folder=cache or out.parent / "words",
            progress=progress,
        )
    write_manifest(out, found)
    for problem in report.problems:
        echo(f"{problem.kind}: {problem.id}: {problem.detail}", err=True)
    echo(f"{out}: {report.summary()}", err=True)
    if report.problems:
        raise typer.Exit(1)
