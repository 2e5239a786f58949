"""Checkpoints: tensors and JSON metadata in one safetensors file, replaced atomically. Never pickle.

The metadata is in the file's own header, so that weights and metadata always belong together, however a process is
killed.
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
_DAMAGED = "it is damaged, or no checkpoint of duetto: delete it and train again"


def save(path: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Write a checkpoint; a kill leaves the old file or the new one, whole.

    Args:
        path: The file.
        tensors: By name.
        meta: JSON values.
    """
    import safetensors.torch

    contiguous = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    # Not save_file: its temporary file is readable by the owner only, and is left behind after a kill.
    content = safetensors.torch.save(contiguous, metadata={_KEY: json.dumps(meta, sort_keys=True)})
    files.write_bytes(path, content)


def load(path: Path) -> tuple[dict[str, Tensor], Record]:
    """Read a checkpoint.

    Args:
        path: The file.

    Returns:
        Tensors and metadata.

    Raises:
        ModelError: The file is missing, damaged, or no checkpoint of duetto.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such checkpoint")
    found, metadata = _read(path, _DAMAGED)
    if _KEY not in metadata:
        raise ModelError(f"{path}: {_DAMAGED}")
    meta = parse_json(metadata[_KEY], where=str(path), error=ModelError, repair=_DAMAGED)
    return found, Record(meta, str(path), ModelError, _DAMAGED)


def tensors(path: Path) -> dict[str, Tensor]:
    """Read the tensors of any safetensors file.

    Args:
        path: The file.

    Returns:
        Tensors by name.

    Raises:
        ModelError: The file is missing or in another format.
    """
    return _read(
        path,
        "weights in another format must be converted: safetensors.torch.save_file(model.state_dict(), FILE)",
    )[0]


def _read(path: Path, advice: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file; else a ModelError that ends with the advice."""
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise MissingExtraError("Reading a checkpoint", "train") from error
    open_regular(path, error=ModelError).close()  # the library reports a missing or unreadable file as damage
    try:
        with safe_open(path, framework="pt") as file:
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
            return found, file.metadata() or {}
    except (SafetensorError, ValueError, OSError, KeyError) as error:
        raise ModelError(f"{path}: can't be read as safetensors ({error}); {advice}") from error


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Prefix names.

    Args:
        prefix: Without a dot.
        tensors: By name.

    Returns:
        The tensors by `prefix.name`.
    """
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def with_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Select tensors by prefix; undoes `prefixed`.

    Args:
        prefix: Without a dot.
        tensors: By name.

    Returns:
        The tensors whose names begin with `prefix.`, by the rest of their names.
    """
    return {name[len(prefix) + 1 :]: tensor for name, tensor in tensors.items() if name.startswith(prefix + ".")}


def flatten_optimiser(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Flatten the state of an optimiser.

    Args:
        state: Its `state_dict()`.

    Returns:
        The tensors of its slots, by `parameter.key`.
    """
    return {f"{index}.{key}": value for index, slots in state["state"].items() for key, value in slots.items()}


def restore_optimiser(state: dict[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Restore the state of an optimiser; undoes `flatten_optimiser`.

    Args:
        state: `state_dict()` of a fresh optimiser.
        tensors: From `flatten_optimiser`.

    Returns:
        The state dict with its slots filled.
    """
    slots: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split(".", 1)
        slots.setdefault(int(index), {})[key] = tensor
    return {**state, "state": slots}
