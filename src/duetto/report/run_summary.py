"""What a report states of the runs it compares: their protocol and corpus, findings of the audit, controls.

run folders ─▶ the arguments of `report.write`
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import audit, runs
from ..audit import Audit, Finding
from ..baselines.controls import CONTROLS
from ..errors import ConfigurationError
from ..evaluation import SystemResult, aligned
from ..splits import Fold

_CONTROL_FILES = tuple(f"control-{name}.npz" for name in CONTROLS)


def controls(folds: Sequence[Fold], labels: tuple[str, ...]) -> list[SystemResult]:
    """Every control on the same folds."""
    return [
        runs.assemble(
            name,
            title,
            labels,
            folds,
            np.concatenate([control(fold, labels) for fold in folds])[None],
            seeds=(0,),
            kind="control",
        )
        for name, (title, control) in CONTROLS.items()
    ]


def findings_of(folders: Sequence[Path]) -> tuple[Finding, ...] | None:
    """What the audits of run folders found, each thing once, with the system that it is of (`audit.merged`); None
    where one of them was never audited."""
    audits: dict[str, Audit] = {}
    for folder in folders:
        if (checked := audit.load(folder)) is None:
            return None
        described = runs.read(folder)
        name = described["baseline" if "baseline" in described else "experiment"]["name"]
        audits[name if name not in audits else f"{name} ({folder})"] = checked
    return audit.merged(audits)


def save_controls(folds: Sequence[Fold], labels: tuple[str, ...], folder: Path) -> None:
    """Leave every control beside a run's result, so that a report never lacks them."""
    for result in controls(folds, labels):
        result.save(folder / f"control-{result.system}.npz")


def controls_of(folder: Path) -> list[SystemResult]:
    """The controls that lie beside a run's result."""
    return [SystemResult.load(path) for path in map(folder.joinpath, _CONTROL_FILES) if path.is_file()]


def report_context(
    described: Mapping[str, Any],
    results: Sequence[SystemResult],
    *,
    findings: Sequence[Finding] | None = None,
) -> dict[str, Any]:
    """What `report.write` shall say of protocol, corpus and audit, from a run's description."""
    first = results[0]
    counts = {label: int((first.target == i).sum()) for i, label in enumerate(first.classes)}
    folds = described["folds"]
    choice = described.get("experiment", {}).get("epoch_choice", "development")
    return {
        "title": f"Speech emotion recognition, protocol {described['protocol']}",
        "corpus": {"name": "", "counts": counts, "synthetic": described["synthetic"]},
        "protocol": {
            "protocol": described["protocol"],
            "folds": [
                f"{fold['name']}: {len(fold['train'])} training, {len(fold['development'])} development, "
                f"{len(fold['test'])} test utterances; disjoint in {', '.join(fold['disjoint_in']) or 'NOTHING'}"
                for fold in folds
            ],
            "seeds": described["seeds"],
            f"choice of {'epoch' if 'experiment' in described else 'settings'}": choice
            + (" data, never test data" if choice == "development" else ""),
            "temperature": "fitted on development data",
            "environment": described["environment"],
        },
        "audit": findings,
    }


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
