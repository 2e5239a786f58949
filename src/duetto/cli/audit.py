"""`duetto audit`: leaks in the split of a manifest, or in a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import audit as audits
from .. import splits
from ..audit import Audit, Finding
from ..corpora.relabelling import relabel
from ..data.labels import selected
from ..data.manifest import read_manifest
from ..data.utterance import Utterance
from ..utils.progress import bar
from .options import ManifestLabels, one_of
from .output import Console, json_line


def audit(
    target: Annotated[Path, typer.Argument(help="A manifest (JSONL), or a run folder.")],
    protocol: Annotated[
        str | None,
        typer.Option(
            callback=one_of(splits.PROTOCOLS), help="How to split the manifest: " + ", ".join(splits.PROTOCOLS)
        ),
    ] = None,
    manifest: Annotated[Path | None, typer.Option(help="Manifest that the run was trained on.")] = None,
    cache: Annotated[
        Path | None, typer.Option(help="As in `duetto train`; its features show what a normalisation was fitted to.")
    ] = None,
    labels: ManifestLabels = None,
    sound: Annotated[bool, typer.Option("--sound/--no-sound", help="Read recordings, to find copies.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, and nothing else.")] = False,
) -> None:
    """Find what test data share with the data that a system is fitted to or chosen on.

    Checks speakers, sessions, scenarios, transcripts and recordings; of a run also its normalisation, vocabulary and
    choice of epoch. Exit status 1 where there is a leak, declared or not; warnings and notes leave it 0.

    Examples:

        duetto audit iemocap.jsonl --protocol session5

        duetto audit runs/fusion --manifest iemocap.jsonl

        duetto audit runs/fusion --json
    """
    if target.is_dir() == (protocol is not None):
        raise typer.BadParameter("give a manifest with --protocol NAME, or a run folder without it")
    if manifest is not None and not target.is_dir():
        raise typer.BadParameter("--manifest belongs to a run folder")
    result = _audit(target, protocol, manifest, cache, sound, labels)
    if as_json:
        json_line(result.to_json())
    else:
        _print(result)
    if result.leaks:
        raise typer.Exit(1)


def _read(manifest: Path, labels: str | None) -> list[Utterance]:
    """The utterances of a manifest that a training with the same labels uses."""
    utterances = read_manifest(manifest)
    return utterances if labels is None else selected(relabel(utterances, labels).utterances)


def _audit(
    target: Path, protocol: str | None, manifest: Path | None, cache: Path | None, sound: bool, labels: str | None
) -> Audit:
    with bar("compare recordings") as progress:
        if protocol is not None:
            folds = splits.folds(protocol, _read(target, labels))
            return audits.audit_folds(folds, protocol, sound=sound, progress=progress)
        utterances = None if manifest is None else _read(manifest, labels)
        features = _features(manifest, cache)
        return audits.audit_run(target, utterances, features=features, sound=sound, progress=progress)


def _features(manifest: Path | None, cache: Path | None) -> Path | None:
    folder = cache if cache is not None or manifest is None else manifest.parent / "cache"
    return None if folder is None else folder / "features"


def _print(result: Audit) -> None:
    console = Console()
    for finding in result.findings:
        console.print(_line(finding), markup=False, highlight=False, soft_wrap=True)
    what = f"protocol {result.protocol}, {result.folds} fold(s), {result.utterances:,} utterances"
    console.print(f"{result.summary()} ({what})", markup=False, highlight=False, soft_wrap=True)


def _line(finding: Finding) -> str:
    fold = "" if finding.fold is None else f"{finding.fold}: "
    pairs = list(finding.evidence.get("examples", []))
    if twins := finding.evidence.get("twins"):
        pairs = [f"{a} = {b}" for a, b in zip(pairs, twins, strict=True)]
    examples = f" [{', '.join(pairs)}]" if pairs else ""
    return f"{finding.severity}: {finding.kind}: {fold}{finding.detail}{examples}"
