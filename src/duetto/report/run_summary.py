"""Run folders → the arguments of `report.write`: protocol, corpus, findings of the audit, controls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import audit, runs
from ..audit import Audit, Finding
from ..baselines.controls import CONTROLS
from ..corpora import iemocap
from ..corpora.agreement import manifest_annotators
from ..data.manifest import read_manifest
from ..data.utterance import Utterance
from ..errors import ConfigurationError
from ..evaluation import SystemResult, aligned, from_folds
from ..splits import Fold

MOST_NAMED = 4
"""Corpora that a report names."""


def controls(folds: Sequence[Fold], labels: tuple[str, ...]) -> list[SystemResult]:
    """Run every control that needs no training.

    Args:
        folds: Folds of a protocol.
        labels: Classes.

    Returns:
        A result each.
    """
    results = []
    for name, (title, control) in CONTROLS.items():
        logits = np.concatenate([control(fold, labels) for fold in folds])[None]
        results.append(from_folds(name, folds, labels, logits, seeds=(0,), title=title, kind="control"))
    return results


def findings_of(folders: Sequence[Path]) -> tuple[Finding, ...] | None:
    """Collect the findings of the audits of several runs.

    Args:
        folders: Run folders.

    Returns:
        Each finding once, with the systems it concerns (`audit.merged`); None where a run was never audited.
    """
    audits: dict[str, Audit] = {}
    for folder in folders:
        if (found := audit.load(folder)) is None:
            return None
        description = runs.read(folder)
        name = description[runs.kind_of(description)]["name"]
        audits[name if name not in audits else f"{name} ({folder})"] = found
    return audit.merged(audits)


def report_context(
    description: Mapping[str, Any],
    results: Sequence[SystemResult],
    *,
    findings: Sequence[Finding] | None = None,
    utterances: Sequence[Utterance] = (),
) -> dict[str, Any]:
    """Collect what a report states of protocol, corpus and audit.

    Args:
        description: Description of a run (`runs.read`).
        results: Results on its test utterances.
        findings: Findings of the audit; None where none was made.
        utterances: The test utterances (`runs.tested`), where they are known.

    Returns:
        Arguments of `report.write`: `title`, `corpus`, `protocol`, `audit`, `utterances`.
    """
    first = results[0]
    counts = {label: int((first.target == i).sum()) for i, label in enumerate(first.classes)}
    folds = description["folds"]
    choice = description.get("experiment", {}).get("epoch_choice", "development")
    return {
        "title": f"Speech emotion recognition, protocol {description['protocol']}",
        "corpus": {
            "name": corpus_name(first.ids.tolist(), utterances, description["synthetic"]),
            "counts": counts,
            "annotators": annotators(utterances),
            "synthetic": description["synthetic"],
        },
        "protocol": {
            "protocol": description["protocol"],
            "folds": [
                f"{fold['name']}: {len(fold['train'])} training, {len(fold['development'])} development, "
                f"{len(fold['test'])} test utterances; disjoint in {', '.join(fold['disjoint_in']) or 'NOTHING'}"
                for fold in folds
            ],
            "seeds": description["seeds"],
            f"choice of {'epoch' if 'experiment' in description else 'settings'}": choice
            + (" data, never test data" if choice == "development" else ""),
            "temperature": "fitted on development data",
            "environment": description["environment"],
        },
        "audit": findings,
        "utterances": utterances,
    }


def annotators(utterances: Sequence[Utterance]) -> str:
    """State how far the annotators of the test utterances agree.

    Args:
        utterances: The test utterances, where they are known.

    Returns:
        The agreement; "" where no utterance has two annotators.
    """
    found = manifest_annotators(utterances)
    return "" if found is None else str(found)


def corpus_name(ids: Iterable[str], utterances: Sequence[Utterance], synthetic: bool) -> str:
    """Name the corpus that a result is on.

    Args:
        ids: Of its test utterances.
        utterances: The test utterances, where they are known.
        synthetic: Whether duetto synthesised it.

    Returns:
        The corpora that the utterances state, sorted; else IEMOCAP where all ids are its own; "" where not known.
    """
    if synthetic:
        return "the synthetic corpus"
    tested = set(ids)
    named = sorted({u.corpus for u in utterances if u.id in tested and u.corpus})
    if named:
        more = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
        return " + ".join(named[:MOST_NAMED]) + more
    return "IEMOCAP" if tested and all(map(iemocap.ID.fullmatch, tested)) else ""


def utterances_of(folders: Sequence[Path], manifest: Path | None = None) -> list[Utterance]:
    """Collect what is known of the test utterances of runs.

    Args:
        folders: Run folders.
        manifest: Read instead, where it is given; its name is that of the corpus where an utterance states none.

    Returns:
        Each utterance once.

    Raises:
        CorpusError: A manifest cannot be read.
    """
    if manifest is not None:
        return [u if u.corpus else replace(u, corpus=manifest.stem) for u in read_manifest(manifest)]
    return list({u.id: u for folder in reversed(folders) for u in runs.tested(folder)}.values())


def common_description(folders: Sequence[Path], results: Sequence[SystemResult]) -> dict[str, Any]:
    """Check that runs may stand in one table: they have the same protocol and the same test utterances.

    Args:
        folders: Run folders.
        results: Their results, in the same order.

    Returns:
        The description (`runs.read`) of the first run.

    Raises:
        ConfigurationError: The runs differ in protocol or test utterances.
    """
    descriptions = [runs.read(folder) for folder in folders]
    for folder, other in zip(folders, descriptions, strict=True):
        if other["protocol"] != descriptions[0]["protocol"]:
            raise ConfigurationError(
                f"{folders[0]} has protocol {descriptions[0]['protocol']}, {folder} has {other['protocol']}: "
                "figures of different test data can't be compared; evaluate them one by one"
            )
    for result in results[1:]:
        aligned(results[0], result)
    return descriptions[0]


def with_distinct_names(folders: Sequence[Path], results: Sequence[SystemResult]) -> list[SystemResult]:
    """Add the folder to the names of results of the same system: its name, or its path where the names are the same.

    Args:
        folders: Run folders.
        results: Their results, in the same order.

    Returns:
        The results, no two with the same name.
    """
    systems = Counter(result.system for result in results)
    names = Counter((result.system, folder.name) for folder, result in zip(folders, results, strict=True))
    distinct = []
    for folder, result in zip(folders, results, strict=True):
        if systems[result.system] > 1:
            where = folder.name if names[result.system, folder.name] == 1 else folder
            result = replace(result, system=f"{result.system} ({where})", title=f"{result.title} ({where})")
        distinct.append(result)
    return distinct
