"""A strict reader of ONNX files as duetto writes them, without the onnx package.

    bytes ─ read ─▶ OnnxModel(nodes, constants, inputs, outputs)

An ONNX file is a protocol buffer. This reads the few fields that duetto's own files have, each with the wire type that
it has there; any other field is an error. A file that passes therefore has no subgraphs, no functions, no operators of
other domains, no data outside the file, and no field that another parser would merge or prefer.
Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

FLOAT, INT8, INT64 = 1, 3, 7
DTYPES: dict[int, np.dtype[Any]] = {
    FLOAT: np.dtype("<f4"),
    INT8: np.dtype("i1"),
    INT64: np.dtype("<i8"),
}
"""ONNX's number of an element type → NumPy's type, for constants and inputs; 8-bit integers are weights."""

_MOST_FIELDS = 200_000
"""Fields of all messages of a file together; the largest graph of duetto has some 2,000."""

_VARINT, _DELIMITED = 0, 2

# Message: field number → (name, kind). int: a varint. str, bytes: delimited. A mapping: a message. [kind]: repeated.
_DIMENSION = {1: ("value", int), 2: ("name", str)}
_SHAPE = {1: ("dimensions", [_DIMENSION])}
_TENSOR_TYPE = {1: ("element", int), 2: ("shape", _SHAPE)}
_VALUE = {1: ("name", str), 2: ("type", {1: ("tensor", _TENSOR_TYPE)})}
_TENSOR = {1: ("shape", [int]), 2: ("element", int), 8: ("name", str), 9: ("content", bytes)}
_ATTRIBUTE = {1: ("name", str), 3: ("i", int), 4: ("s", str), 8: ("ints", [int]), 20: ("type", int)}
_NODE = {1: ("inputs", [str]), 2: ("outputs", [str]), 3: ("name", str), 4: ("operator", str)}
_NODE |= {5: ("attributes", [_ATTRIBUTE])}
_GRAPH = {1: ("nodes", [_NODE]), 2: ("name", str), 5: ("constants", [_TENSOR])}
_GRAPH |= {11: ("inputs", [_VALUE]), 12: ("outputs", [_VALUE])}
_MODEL = {1: ("format", int), 2: ("producer", str), 3: ("producer_version", str), 7: ("graph", _GRAPH)}
_MODEL |= {8: ("opsets", [{1: ("domain", str), 2: ("version", int)}])}

_ATTRIBUTE_KINDS = {2: "i", 3: "s", 7: "ints"}
"""Value of an attribute's `type` → the field that holds it."""


@dataclass(frozen=True)
class Node:
    """One operation.

    Attributes:
        operator: Name of the ONNX operator.
        inputs: Names of tensors.
        outputs: Names of tensors.
        attributes: Name → integer, text, or tuple of integers.
    """

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class Value:
    """The type of an input or output.

    Attributes:
        element: A key of `DTYPES`.
        shape: Sizes, and names of free sizes.
    """

    element: int
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class OnnxModel:
    """The only graph of a file.

    Attributes:
        opset: Version of the standard operators.
        nodes: In order of execution.
        constants: Name → array, a read-only view of the file's content.
        inputs: Name → type.
        outputs: Name → type.
    """

    opset: int
    nodes: tuple[Node, ...]
    constants: Mapping[str, np.ndarray]
    inputs: Mapping[str, Value]
    outputs: Mapping[str, Value]


def read(content: bytes) -> OnnxModel:
    """Parse a file.

    Args:
        content: Of the file.

    Returns:
        Its graph.

    Raises:
        ValueError: The file is no ONNX model, is damaged, or contains what duetto never writes.
    """
    model = _Reader().message(memoryview(content), _MODEL, "model")
    if [opset.get("domain", "") for opset in model["opsets"]] != [""]:
        raise ValueError("it uses operators outside of ONNX's standard set")
    graph = model.get("graph") or _Reader().message(memoryview(b""), _GRAPH, "graph")
    return OnnxModel(
        model["opsets"][0].get("version", 0),
        tuple(_node(node) for node in graph["nodes"]),
        _named(((_text(tensor, "name"), _array(tensor)) for tensor in graph["constants"]), "constant"),
        _named(((_text(value, "name"), _value(value)) for value in graph["inputs"]), "input"),
        _named(((_text(value, "name"), _value(value)) for value in graph["outputs"]), "output"),
    )


def _named(pairs: Iterator[tuple[str, Any]], what: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"two of its {what}s have one name")
        found[name] = value
    return found


def _text(message: Mapping[str, Any], key: str) -> str:
    return message.get(key) or ""


def _node(node: Mapping[str, Any]) -> Node:
    attributes = _named(((_text(a, "name"), _attribute(a)) for a in node["attributes"]), "attribute")
    return Node(_text(node, "operator"), tuple(node["inputs"]), tuple(node["outputs"]), attributes)


def _attribute(attribute: Mapping[str, Any]) -> Any:
    value = attribute.get(_ATTRIBUTE_KINDS.get(attribute.get("type", 0), ""))
    if value is None:
        raise ValueError("it has an attribute of a kind that duetto does not write")
    return tuple(value) if isinstance(value, list) else value


def _value(value: Mapping[str, Any]) -> Value:
    tensor = (value.get("type") or {}).get("tensor") or {}
    dimensions = (tensor.get("shape") or {}).get("dimensions", [])
    return Value(tensor.get("element", 0), tuple(d.get("value", d.get("name", "")) for d in dimensions))


def _array(tensor: Mapping[str, Any]) -> np.ndarray:
    """A constant, whose shape must agree with the number of bytes in the file."""
    dtype, shape, content = DTYPES.get(tensor.get("element", 0)), tuple(tensor["shape"]), tensor.get("content", b"")
    if dtype is None:
        raise ValueError("it has constants of a type that duetto does not write")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(content):
        raise ValueError(f"a constant of shape {shape} has {len(content)} bytes")
    return np.frombuffer(content, dtype).reshape(shape) if len(content) else np.empty(shape, dtype)


class _Reader:
    """Parses messages and counts their fields."""

    def __init__(self) -> None:
        self._left = _MOST_FIELDS

    def message(self, content: memoryview, fields: Mapping[int, tuple[str, Any]], what: str) -> dict[str, Any]:
        """Parse a message: name → value. Repeated fields are lists, possibly empty; other absent fields have no key."""
        found: dict[str, Any] = {name: [] for name, kind in fields.values() if isinstance(kind, list)}
        at = 0
        while at < len(content):
            self._left -= 1
            if self._left < 0:
                raise ValueError(f"it has more than {_MOST_FIELDS:,} fields")
            key, at = _varint(content, at)
            name, kind = fields.get(key >> 3, ("", None))
            if kind is None:
                raise ValueError(f"it has the field {key >> 3} of {what!r}, which duetto does not write")
            repeated = isinstance(kind, list)
            value, at = self._field(content, at, key & 7, kind[0] if repeated else kind, name)
            if repeated:
                found[name].append(value)
            elif name in found:
                raise ValueError(f"it has the field {name!r} of {what!r} twice")
            else:
                found[name] = value
        return found

    def _field(self, content: memoryview, at: int, wire: int, kind: Any, name: str) -> tuple[Any, int]:
        if wire != (_VARINT if kind is int else _DELIMITED):
            raise ValueError(f"the field {name!r} is of another type than duetto writes")
        number, at = _varint(content, at)
        if kind is int:
            return number - (1 << 64) if number >> 63 else number, at  # two's complement
        if number > len(content) - at:
            raise ValueError(f"the file ends inside the field {name!r}")
        part = content[at : at + number]
        if isinstance(kind, Mapping):
            return self.message(part, kind, name), at + number
        return (bytes(part).decode("utf-8") if kind is str else part), at + number


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    """Parse an unsigned integer of up to 64 bits, seven per byte; return it and the place after it."""
    number = 0
    for place in range(10):
        if at + place >= len(content):
            raise ValueError("the file ends inside a number")
        byte = content[at + place]
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            if number >> 64:
                raise ValueError("it has a number of more than 64 bits")
            return number, at + place + 1
    raise ValueError("it has a number of more than 64 bits")
