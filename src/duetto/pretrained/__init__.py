"""The models that come with duetto: a folder each, with model.onnx, model.json, terms.txt and its card, README.md.

`benchmarks/pretrained.py` trains them, writes these folders, and measures what the cards say.
"""

from __future__ import annotations

from pathlib import Path

from ..errors import ModelError

PRETRAINED: dict[str, str] = {"emodb-ravdess": "emodb-ravdess"}
"""Name of a model → its folder beside this file."""

DEFAULT = "emodb-ravdess"
"""What answers where no model is named."""

TERMS, CARD = "terms.txt", "README.md"


def folder(name: str) -> Path:
    """The folder of a model by its name; a `ModelError` lists the names where there is none such."""
    if name not in PRETRAINED:
        raise ModelError(f"{name!r} is no model that comes with duetto; these do: {', '.join(PRETRAINED)}")
    return Path(__file__).parent / PRETRAINED[name]


def terms(exported: Path) -> str:
    """One line: what the model in a folder was trained on and how it may be used; empty where nothing is said."""
    path = exported / TERMS
    return " ".join(path.read_text(encoding="utf-8").split()) if path.is_file() else ""
