"""Reading a manifest with the classes that `--labels` asks for."""

from __future__ import annotations

from pathlib import Path

from ..corpora.relabelling import relabel
from ..data.manifest import read_manifest
from ..data.utterance import Utterance


def read_labelled(manifest: Path, labels: str | None) -> list[Utterance]:
    """Read a manifest.

    Args:
        manifest: The file.
        labels: Value of `--labels`; None for the labels of the manifest.

    Returns:
        All its utterances, those of other labels with None.

    Raises:
        CorpusError: The manifest cannot be read, or a raw label is neither mapped nor left out.
        ConfigurationError: The label set does not exist.
    """
    utterances = read_manifest(manifest)
    return utterances if labels is None else relabel(utterances, labels).utterances
