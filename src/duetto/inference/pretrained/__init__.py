"""The models that come with duetto: one folder each, with model.onnx, model.json, terms.txt and its card, README.md.

`benchmarks/pretrained.py` trains them, writes these folders, and measures what the cards state.
"""

from __future__ import annotations

from pathlib import Path

from ...errors import ModelError
from ...utils.hub import leads_elsewhere
from ...utils.reading import read_bytes
from ...utils.text import printable

PRETRAINED: dict[str, str] = {"emodb-ravdess": "emodb-ravdess", "emodb": "emodb"}
"""Name of a model → its folder next to this file."""

DEFAULT = "emodb-ravdess"
"""The model that is used if none is named."""

TERMS, CARD = "terms.txt", "README.md"
_TERMS_LIMIT = 10_000


def folder(name: str) -> Path:
    """Find the folder of a model.

    Args:
        name: A key of `PRETRAINED`.

    Returns:
        Its folder.

    Raises:
        ModelError: There is no model of that name.
    """
    if name not in PRETRAINED:
        raise ModelError(f"{name!r} is no model that comes with duetto; choose one of: {', '.join(PRETRAINED)}")
    return Path(__file__).parent / PRETRAINED[name]


def terms(exported: Path) -> str:
    """Read what a model was trained on and how it may be used.

    Args:
        exported: A model folder. A symbolic link to its terms is not followed, since its target may be any file, but
            for one into the cache of the Hub (`utils.hub.leads_elsewhere`).

    Returns:
        One line without control characters; empty if the folder has no terms.
    """
    path = exported / TERMS
    if leads_elsewhere(path):
        return f"its {TERMS} is a link, and is not shown"
    if not path.exists():
        return ""
    text = read_bytes(path, error=ModelError, limit=_TERMS_LIMIT).decode("utf-8", errors="replace")
    return printable(" ".join(text.split()))
