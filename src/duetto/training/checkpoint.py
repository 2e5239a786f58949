"""Checkpoints: tensors and their JSON in one safetensors file, replaced atomically. Never pickle.

The JSON travels in the file's own header, so that weights and what is said of them can't come apart,
however a process is killed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MissingExtraError, ModelError
from ..utils import files
from ..utils.reading import Record, open_regular, parse_json

if TYPE_CHECKING:
    from torch import Tensor

_KEY = "duetto"
_DAMAGED = "it is no checkpoint of duetto, or damaged: delete it and train again"


def save(path: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Write tensors and JSON-able `meta` to `path`; a kill leaves the old file or the new one, whole."""
    import safetensors.torch

    contiguous = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    # Not save_file: that writes into a file of its own, which only the owner may read, and leaves it after a kill.
    content = safetensors.torch.save(contiguous, metadata={_KEY: json.dumps(meta, sort_keys=True)})
    files.write_bytes(path, content)


def load(path: Path) -> tuple[dict[str, Tensor], Record]:
    """Tensors and meta of a checkpoint; a damaged or foreign file is a `ModelError`."""
    if not path.is_file():
        raise ModelError(f"{path}: no such checkpoint")
    found, metadata = _read(path, _DAMAGED)
    if _KEY not in metadata:
        raise ModelError(f"{path}: {_DAMAGED}")
    meta = parse_json(metadata[_KEY], where=str(path), error=ModelError, repair=_DAMAGED)
    return found, Record(meta, str(path), ModelError, _DAMAGED)


def tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file that anybody wrote; `ModelError` where it is none."""
    return _read(
        path,
        "weights in another format must be converted: safetensors.torch.save_file(model.state_dict(), FILE)",
    )[0]


def _read(path: Path, advice: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file; a ModelError, which ends in the advice, where it is none."""
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise MissingExtraError("Reading a checkpoint", "train") from error
    open_regular(path, error=ModelError).close()  # the library can't tell what is missing or forbidden from damage
    try:
        with safe_open(path, framework="pt") as file:
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
            return found, file.metadata() or {}
    except (SafetensorError, ValueError, OSError, KeyError) as error:
        raise ModelError(f"{path}: can't be read as safetensors ({error}); {advice}") from error


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under `prefix.name`."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def with_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors stored under `prefix.`, without it."""
    return {name[len(prefix) + 1 :]: tensor for name, tensor in tensors.items() if name.startswith(prefix + ".")}


def flatten_optimiser(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of an optimiser's `state_dict()["state"]`, under `parameter.key`."""
    return {f"{index}.{key}": value for index, slots in state["state"].items() for key, value in slots.items()}


def restore_optimiser(state: dict[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """`state` (a fresh optimiser's state dict) with its slots filled from `flatten_optimiser`'s tensors."""
    slots: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split(".", 1)
        slots.setdefault(int(index), {})[key] = tensor
    return {**state, "state": slots}
