"""The models that come with duetto: a folder each, with model.onnx, model.json, terms.txt and its card, README.md.

`benchmarks/pretrained.py` trains them, writes these folders, and measures what the cards say.
"""

from __future__ import annotations

from pathlib import Path

from ...errors import ModelError
from ...utils.reading import read_bytes
from ...utils.text import printable

PRETRAINED: dict[str, str] = {"emodb-ravdess": "emodb-ravdess"}
"""Name of a model → its folder beside this file."""

DEFAULT = "emodb-ravdess"
"""What answers where no model is named."""

TERMS, CARD = "terms.txt", "README.md"
_TERMS_LIMIT = 10_000


def folder(name: str) -> Path:
    """The folder of a model by its name; a `ModelError` lists the names where there is none such."""
    if name not in PRETRAINED:
        raise ModelError(f"{name!r} is no model that comes with duetto; these do: {', '.join(PRETRAINED)}")
    return Path(__file__).parent / PRETRAINED[name]


def terms(exported: Path) -> str:
    """One line, fit for a terminal: what the model in a folder was trained on and how it may be used; empty where
    nothing is said. A link is not followed: what it leads to is no text of the model's."""
    path = exported / TERMS
    if path.is_symlink():
        return f"its {TERMS} is a link, and is not shown"
    if not path.exists():
        return ""
    text = read_bytes(path, error=ModelError, limit=_TERMS_LIMIT).decode("utf-8", errors="replace")
    return printable(" ".join(text.split()))
