"""The test utterances of a run, with their texts and recordings: what a report lists beside the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..data.manifest import read_manifest, write_manifest
from ..data.utterance import Utterance

TESTED = "tested.jsonl"
"""File of a run folder: the manifest of its test utterances."""


def save_tested(folder: Path, utterances: Sequence[Utterance]) -> None:
    """Write the manifest of the test utterances. It does not change a result, and may be deleted.

    Args:
        folder: The run folder.
        utterances: The test utterances of all folds.
    """
    write_manifest(folder / TESTED, utterances)


def tested(folder: Path) -> list[Utterance]:
    """Read the test utterances of a run.

    Args:
        folder: The run folder.

    Returns:
        The utterances; none for a run of an earlier version, or where the manifest was deleted.

    Raises:
        CorpusError: The manifest is damaged.
    """
    path = folder / TESTED
    return read_manifest(path) if path.is_file() else []


def name_corpus(folder: Path, name: str) -> None:
    """State the corpus of those test utterances that state none.

    Args:
        folder: The run folder.
        name: Of the corpus, such as the name of its manifest.
    """
    utterances = tested(folder)
    if any(u.corpus is None for u in utterances):
        save_tested(folder, [u if u.corpus else replace(u, corpus=name) for u in utterances])
