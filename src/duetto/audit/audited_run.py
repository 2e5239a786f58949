"""A run folder, read for an audit: its settings, its folds, and the folders of its trainings.

run.json + manifest ─ read_run ─▶ AuditedRun
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .. import runs
from ..config.fusion import BRANCHES
from ..data.utterance import Utterance
from ..errors import ConfigurationError
from ..splits import Fold
from .folds import PARTS


@dataclass(frozen=True)
class AuditedRun:
    """What a run folder states.

    Attributes:
        folder: The run folder.
        record: The content of its run.json.
        folds: Its folds. Without a manifest, their utterances have an id only.
        has_manifest: Whether a manifest gave the utterances of the folds.
        missing: Ids of utterances of the run that the manifest lacks.
        within: Folder of the trainings in that of a fold and seed: that of a branch of a fusion.
    """

    folder: Path
    record: Mapping[str, Any]
    folds: tuple[Fold, ...]
    has_manifest: bool
    missing: tuple[str, ...] = ()
    within: str = "."

    @property
    def experiment(self) -> Mapping[str, Any]:
        """The experiment of a trained system; a baseline has none, and a fusion those of its branches."""
        return self.record["experiment"]

    @property
    def protocol(self) -> str:
        """Name of the protocol."""
        return self.record["protocol"]

    @property
    def is_baseline(self) -> bool:
        """Whether it is a run of a baseline."""
        return "baseline" in self.record

    def branches(self) -> tuple[AuditedRun, ...]:
        """Divide the run of a fusion.

        Returns:
            For each branch a run with its experiment and trainings; this run itself where it is of no fusion.
        """
        if "fusion" not in self.record:
            return (self,)
        rest = {key: value for key, value in self.record.items() if key != "fusion"}
        return tuple(
            replace(self, record={**rest, "experiment": each}, within=f"{BRANCHES}/{each['name']}")
            for each in self.record["fusion"]["experiments"]
        )

    def part(self, fold: int, seed: int) -> Path:
        """Find the folder of one training.

        Args:
            fold: Number of the fold.
            seed: The seed.

        Returns:
            Its folder, which need not exist.
        """
        return self.folder / runs.member(fold, seed) / self.within

    def members(self) -> Iterator[tuple[Fold, str, Utterance]]:
        """Yield every utterance of every fold.

        Yields:
            The fold, the name of the part, the utterance.
        """
        for fold in self.folds:
            for part in PARTS:
                yield from ((fold, part, utterance) for utterance in getattr(fold, part))

    def trainings(self, fold: int) -> Iterator[Path]:
        """Yield the folders of the finished trainings of a fold.

        Args:
            fold: Number of the fold.

        Yields:
            One folder for each seed that was trained to its end.
        """
        for seed in self.record["seeds"]:
            folder = self.part(fold, seed)
            if (folder / "model.json").is_file():
                yield folder


def read_run(folder: Path, utterances: Sequence[Utterance] | None) -> AuditedRun:
    """Read a run folder.

    Args:
        folder: The run folder.
        utterances: Those of its manifest, or None.

    Returns:
        The run. Utterances that the manifest lacks are left out of its folds.

    Raises:
        ModelError: The folder holds no run.
        ConfigurationError: The manifest is of another corpus.
    """
    by_id = None if utterances is None else {u.id: u for u in utterances}
    record = runs.read(folder)
    missing: dict[str, None] = {}
    folds = []
    for fold in record["folds"]:
        parts = {}
        for part in PARTS:
            ids = [*fold[part], *(fold.get(runs.RATED, ()) if part == "train" else ())]
            missing.update(dict.fromkeys(i for i in ids if by_id is not None and i not in by_id))
            known = {i: Utterance(i, Path(i)) for i in ids} if by_id is None else by_id
            parts[part] = tuple(known[i] for i in ids if i in known)
        folds.append(Fold(fold["name"], **parts))
    if missing and not any(fold.test for fold in folds):
        raise ConfigurationError(
            f"none of the test utterances of {folder}, such as {next(iter(missing))!r}, is in the manifest; "
            "give the manifest that it was trained on"
        )
    return AuditedRun(folder, record, tuple(folds), by_id is not None, tuple(missing))
