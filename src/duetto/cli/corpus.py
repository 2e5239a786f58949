"""`duetto corpus check | manifest | join | synthesise`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from .. import corpora, synthetic
from ..corpora import joining, validate
from ..data.manifest import read_manifest, write_manifest
from ..errors import DuettoError
from ..synthetic.plan import SMALLEST
from ..utils.progress import bar
from .options import Labels, one_of, usage_errors
from .output import Console, echo, json_line

app = typer.Typer(help="Corpus folders: check, convert to a manifest, join, or synthesise.", no_args_is_help=True)

Kind = Annotated[
    str, typer.Argument(callback=one_of(corpora.CORPORA), help="Kind of corpus: " + ", ".join(corpora.CORPORA))
]

Layout = Annotated[
    Path | None, typer.Option(help="Of kind generic: TOML that says how to read the folder; default: its layout.toml.")
]


@app.command()
def check(
    kind: Kind,
    path: Annotated[Path, typer.Argument(help="The corpus folder, or a manifest file.")],
    layout: Layout = None,
    labels: Labels = "four",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, and nothing else.")] = False,
    deep: Annotated[bool, typer.Option("--deep", help="Decode every recording, not only its header.")] = False,
) -> None:
    """Check a corpus folder: counts per class and session, and everything that is wrong with it.

    Exit status 1 where there is an error; notes need no action.

    Examples:

        duetto corpus check iemocap /data/IEMOCAP_full_release

        duetto corpus check ravdess /data/ravdess --deep --json
    """
    with usage_errors():
        corpora.find(kind, path, layout)
    with bar("check recordings") as progress:
        report = validate.check(kind, path, labels=labels, layout=layout, decode=deep, progress=progress)
    if as_json:
        json_line(report.record())
    else:
        _print(report)
    if not report.healthy:
        raise typer.Exit(1)


def _print(report: validate.ValidationReport) -> None:
    console = Console()
    console.print(f"{report.utterances} utterances, {report.selected} with a class", highlight=False)
    for title, counts in (
        ("class", report.by_label),
        ("session", report.by_session),
        ("dimension", report.by_dimension),
    ):
        if counts:
            table = Table(title, "utterances", box=None, pad_edge=False)
            for name, number in counts.items():
                table.add_row(escape(name), str(number))
            console.print(table)
    if (rated := report.agreement) is not None:
        console.print(f"annotators: {rated}", highlight=False)
    for problem in report.problems:
        console.print(
            f"{problem.severity}: {problem.kind}: {problem.id}: {problem.detail}", markup=False, soft_wrap=True
        )
    verdict = f"{len(report.errors)} errors, {len(report.notes)} notes"
    console.print("healthy: " + verdict if report.healthy else "NOT healthy: " + verdict, highlight=False)


@app.command()
def manifest(
    kind: Kind,
    path: Annotated[Path, typer.Argument(help="The corpus folder, or a table.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Manifest to write (JSONL).")],
    layout: Layout = None,
    labels: Labels = "four",
    all_utterances: Annotated[
        bool, typer.Option("--all", help="Keep utterances whose raw label has no class in the set.")
    ] = False,
) -> None:
    """Write a manifest: one JSON object for every utterance that has a class.

    Examples:

        duetto corpus manifest iemocap /data/IEMOCAP_full_release -o iemocap.jsonl

        duetto corpus manifest emodb /data/emodb -o emodb.jsonl

        duetto corpus manifest generic /data/calls --layout calls.toml -o calls.jsonl

        duetto corpus manifest ravdess /data/ravdess --labels as-is -o ravdess.jsonl
    """
    with usage_errors():
        corpus = corpora.find(kind, path, layout)
    utterances = corpus(path, labels)
    chosen = utterances if all_utterances else [u for u in utterances if u.label is not None]
    if not chosen:
        raise DuettoError(f"{path}: none of {len(utterances)} utterances has a class of {labels!r}; --all keeps them")
    write_manifest(out, chosen)
    counts = Counter(u.label or "no class" for u in chosen)
    described = ", ".join(f"{label} {n}" for label, n in sorted(counts.items()))
    echo(f"{out}: {len(chosen)} of {len(utterances)} utterances ({described})", err=True)


@app.command()
def join(
    manifests: Annotated[list[Path], typer.Argument(help="Manifests (JSONL) of two corpora or more.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Manifest to write (JSONL).")],
    names: Annotated[
        str | None,
        typer.Option(help="Names of the corpora, NAME,NAME, for utterances that state none; default: of the files."),
    ] = None,
) -> None:
    """Join manifests; ids and speakers get the name of their corpus, so that no two people become one.

    Example:

        duetto corpus join emodb.jsonl ravdess.jsonl -o both.jsonl
    """
    given = [path.stem for path in manifests] if names is None else names.split(",")
    if len(given) != len(manifests):
        raise typer.BadParameter(
            f"--names {names}: {len(given)} names for {len(manifests)} manifests; give one for each"
        )
    read = [read_manifest(path) for path in manifests]
    with usage_errors():
        joined = joining.join(read, given)
    write_manifest(out, joined)
    speakers: dict[str | None, set[str | None]] = {}
    for utterance in joined:
        speakers.setdefault(utterance.corpus, set()).add(utterance.speaker)
    counts = Counter(utterance.corpus for utterance in joined)
    described = ", ".join(f"{name} {n} of {len(speakers[name] - {None})} speakers" for name, n in counts.items())
    echo(f"{out}: {len(joined)} utterances ({described})", err=True)


@app.command()
def synthesise(
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    size: Annotated[int, typer.Option(min=SMALLEST, help="Utterances of the four classes.")] = 600,
    seed: Annotated[int, typer.Option(min=0, help="Seed; the same seed gives the same bytes.")] = 0,
    leak: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="0–1: how much scenario and wording reveal the emotion.")
    ] = 0.0,
    unseen_voices: Annotated[bool, typer.Option(help="Give session 5 voices that differ from all others.")] = False,
) -> None:
    """Write a SYNTHETIC corpus in the shape of IEMOCAP, whose best possible accuracies are known.

    Example:

        duetto corpus synthesise synthetic --size 600 && duetto corpus check synthetic synthetic
    """
    with bar("synthesise") as progress:
        synthetic.write(out, size=size, seed=seed, leak=leak, unseen_test_voices=unseen_voices, progress=progress)
    echo(f"{out}: a synthetic corpus of {size} utterances; see {out / synthetic.MARKER}", err=True)
