"""The initialisers and nodes of an ONNX file, read without the `onnx` package.

An ONNX file is a protocol buffer: a run of fields, each a key (field number and wire type) and a value. Only
the fields that weights need are understood; the rest is skipped without being read. Tensors are views of the
mapped file.

References:
    https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (ModelProto, GraphProto, NodeProto, TensorProto)
    https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALISER = 1, 5
_NODE_INPUT, _NODE_OUTPUT, _NODE_NAME, _NODE_TYPE = 1, 2, 3, 4
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME = 1, 2, 8
_TENSOR_RAW, _TENSOR_WHOLE = (4, 9, 10), (5, 7)  # float_data, raw_data, double_data; int32_data, int64_data
_DTYPES = {1: "<f4", 6: "<i4", 7: "<i8", 9: "?", 10: "<f2", 11: "<f8"}


class OnnxError(ValueError):
    """A file is not ONNX, is cut short, or keeps its weights in a way that is not read here."""


@dataclass(frozen=True)
class Node:
    """One operation of the graph: what it is called, what it does, what it reads and writes."""

    name: str
    operation: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class OnnxFile:
    """The weights and the operations of an ONNX file.

    Attributes:
        tensors: Initialisers by name; read-only arrays that view the file.
        nodes: The operations, in the file's order.
    """

    tensors: dict[str, npt.NDArray[np.generic]]
    nodes: tuple[Node, ...]


def read_onnx(path: Path | str) -> OnnxFile:
    """Read the initialisers and nodes of an ONNX file.

    Raises:
        OnnxError: The file is not ONNX or is cut short.
    """
    path = Path(path)
    with path.open("rb") as file:
        if path.stat().st_size == 0:
            raise OnnxError(f"{path.name} is empty; download or install it again.")
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    try:
        graphs = [
            value
            for number, value in _fields(data)
            if number == _MODEL_GRAPH and isinstance(value, memoryview)
        ]
        return _graph(graphs[0])
    except (IndexError, UnicodeDecodeError, TypeError) as error:
        raise OnnxError(
            f"{path.name} is not an ONNX file or is cut short; download or install it again."
        ) from error


def _graph(data: memoryview) -> OnnxFile:
    tensors: dict[str, npt.NDArray[np.generic]] = {}
    nodes = []
    for number, value in _fields(data):
        if number == _GRAPH_NODE and isinstance(value, memoryview):
            nodes.append(_node(value))
        elif number == _GRAPH_INITIALISER and isinstance(value, memoryview):
            name, tensor = _tensor(value)
            tensors[name] = tensor
    return OnnxFile(tensors, tuple(nodes))


def _node(data: memoryview) -> Node:
    texts: dict[int, list[str]] = {_NODE_INPUT: [], _NODE_OUTPUT: [], _NODE_NAME: [], _NODE_TYPE: []}
    for number, value in _fields(data):
        if number in texts and isinstance(value, memoryview):
            texts[number].append(str(value, "utf-8"))
    name, kind = "".join(texts[_NODE_NAME]), "".join(texts[_NODE_TYPE])
    return Node(name, kind, tuple(texts[_NODE_INPUT]), tuple(texts[_NODE_OUTPUT]))


def _tensor(data: memoryview) -> tuple[str, npt.NDArray[np.generic]]:
    name, kind, dims, raw, whole = "", 0, list[int](), memoryview(b""), list[int]()
    for number, value in _fields(data):
        if number == _TENSOR_DIMS:
            dims += _varints(value)
        elif number == _TENSOR_TYPE:
            (kind,) = _varints(value)
        elif number in _TENSOR_WHOLE:
            whole += _varints(value)
        elif number == _TENSOR_NAME and isinstance(value, memoryview):
            name = str(value, "utf-8")
        elif number in _TENSOR_RAW and isinstance(value, memoryview):
            raw = value
    if kind not in _DTYPES:
        raise OnnxError(
            f"Tensor {name} has ONNX data type {kind}, which is not read here; export it as float32."
        )
    array = _from_varints(whole, kind) if whole else np.frombuffer(raw, np.dtype(_DTYPES[kind]))
    if array.size != int(np.prod(dims)):
        raise OnnxError(
            f"Tensor {name} has {array.size} values for shape {dims}; use a whole file with weights inside."
        )
    return name, array.reshape(dims)


def _from_varints(whole: list[int], kind: int) -> npt.NDArray[np.generic]:
    """Values that the file spells as varints: integers, truth, or the bits of a half."""
    bits = np.array(whole, "<u8").view("<i8")
    return bits.astype("<u2").view("<f2") if _DTYPES[kind] == "<f2" else bits.astype(_DTYPES[kind])


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Each field's number with its value: an int for a varint, bytes for everything else."""
    at, end = 0, len(data)
    while at < end:
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            whole, at = _varint(data, at)
            yield number, whole
            continue
        if wire not in (_BYTES, _FIXED32, _FIXED64):
            raise IndexError(f"wire type {wire}")
        size = {_FIXED32: 4, _FIXED64: 8}.get(wire, 0)
        if wire == _BYTES:
            size, at = _varint(data, at)
        if at + size > end:
            raise IndexError("cut short")
        yield number, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """A variable-length integer and the place after it."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _varints(data: int | memoryview) -> list[int]:
    """One variable-length integer, or a packed run of them."""
    if isinstance(data, int):
        return [data]
    values, at = [], 0
    while at < len(data):
        value, at = _varint(data, at)
        values.append(value)
    return values
