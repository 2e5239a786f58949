"""Audit of a run folder: how its data were split, what was fitted to them, how its epochs were chosen.

run.json, foldK-seedS/{model.json, language.json, outcome.npz} + manifest + features ─ audit_run ─▶ Audit
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from .. import runs
from ..data.utterance import Utterance
from ..splits import LEAKING
from ..utils.progress import Progress
from . import classes, fitting
from .audited_run import AuditedRun, read_run
from .findings import Audit, Finding, load, make_finding
from .folds import audit_folds, duplicate_ids


def audit_run(
    folder: Path,
    utterances: Sequence[Utterance] | None = None,
    *,
    features: Path | None = None,
    split: Audit | None = None,
    vectors: str | None = None,
    sound: bool = True,
    progress: Progress | None = None,
) -> Audit:
    """Audit a run folder.

    Args:
        folder: The run folder.
        utterances: Those of its manifest. Without them the split is judged by the audit that training left in the
            folder, if any, and transcripts and vocabularies cannot be compared.
        features: Folder of the feature store that training used; without it the normalisation cannot be recomputed.
        split: An audit of the same folds, if it exists already.
        vectors: Name of the file of word vectors that training was given, if any.
        sound: Whether to read the recordings, as in `audit_folds`.
        progress: Called after each recording.

    Returns:
        The audit.

    Raises:
        ModelError: The folder holds no run, or a damaged one.
        ConfigurationError: The manifest is of another corpus.
    """
    run, before = read_run(folder, utterances), load(folder)
    declared = before is not None and before.declared
    if split is None and run.has_manifest:
        split = audit_folds(run.folds, run.protocol, declared=declared, sound=sound, progress=progress)
    split = split or before
    findings = (*_split_findings(run, split), *_vectors(before, vectors), *fitting.check(run, features))
    declared = declared or run.protocol in LEAKING or (split is not None and split.declared)
    count = len({utterance.id for _, _, utterance in run.members()})
    return Audit(findings, run.protocol, len(run.folds), count, declared)


def _split_findings(run: AuditedRun, split: Audit | None) -> Iterator[Finding]:
    """What is found in the run's split, apart from what was fitted to it."""
    if run.missing:
        detail = f"{len(run.missing):,} utterances of the run are not in the manifest, so nothing is known of them"
        yield make_finding("not-in-manifest", None, detail, utterances=len(run.missing), examples=run.missing)
    if split is None:
        detail = "no manifest was given, so speakers, transcripts and recordings were not compared"
        yield make_finding("not-examined", None, detail)
    else:
        yield from split.findings
    if run.has_manifest and (run.folder / runs.RESULT).is_file():
        yield from classes.of_results(run.folds, runs.result_of(run.folder))
    if not run.has_manifest:
        for fold in run.folds:
            yield from duplicate_ids(fold)


def _vectors(before: Audit | None, vectors: str | None) -> Iterator[Finding]:
    """Word vectors that training was given, now or according to its own audit."""
    if before is not None:
        yield from (finding for finding in before.findings if finding.kind == "unknown-vectors")
    if vectors is not None:
        yield fitting.unknown_vectors(vectors)
