"""An ONNX file and the files beside it that hold its weights."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple

import numpy as np

from .proto import all_nodes, parse_model, subgraphs
from .validation import data_bytes

_LIMIT = 2**31  # bytes of a message in protobuf
_CHUNK = 1 << 20


class External(NamedTuple):
    """A tensor whose numbers lie in a file beside the model. start, end: of the numbers, in bytes."""

    tensor: str
    location: str
    start: int
    end: int


def read_model(path: Path) -> bytes:
    """The bytes of an ONNX file, without the weights beside it.

    Raises FileNotFoundError, and ValueError for a file larger than the format allows.
    """
    if not path.is_file():
        raise FileNotFoundError(f"expected an ONNX model, found no file at {path}")
    size = path.stat().st_size
    if size >= _LIMIT:
        raise ValueError(
            f"{path}: expected an ONNX model below 2 GB, as protobuf holds no more, got {size} bytes; keep the weights"
            " in files beside it (save_as_external_data)"
        )
    return path.read_bytes()


def external_tensors(model: Any) -> list[External]:
    """The tensors of a ModelProto whose numbers lie in other files, those in attributes and subgraphs too.

    Raises ValueError, naming the tensor, for a location outside the folder of the model, a negative one, and a length
    that does not fit the tensor's shape.
    """
    return [_external(tensor) for tensor in _tensors(model) if tensor.external_data or tensor.data_location]


def check_external(tensors: Sequence[External], folder: Path) -> None:
    """Raise FileNotFoundError or ValueError, naming file and tensor, where weights are not beside the model."""
    sizes: dict[str, int] = {}
    for tensor in tensors:
        path = folder / tensor.location
        if tensor.location not in sizes:
            if not path.is_file():
                raise FileNotFoundError(f"tensor {tensor.tensor!r} lies in {path}, where there is no file")
            sizes[tensor.location] = path.stat().st_size
        if tensor.end > sizes[tensor.location]:
            raise ValueError(
                f"tensor {tensor.tensor!r} lies in {path}: expected {tensor.end} bytes or more, got"
                f" {sizes[tensor.location]}; the file is cut short or another model's"
            )


def fingerprint(
    data: bytes, tensors: Sequence[External], folder: Path | None, feeds: Mapping[str, Any] | None = None
) -> str:
    """SHA-256 of a model's bytes, of the files with its weights where it has some, and of its feeds by name."""
    digest = hashlib.sha256(data)
    for location in sorted({tensor.location for tensor in tensors}):
        if folder is None:
            raise ValueError(
                f"expected a path, got bytes of a model that keeps weights in a file beside it: {location}"
            )
        with (folder / location).open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    for name, values in sorted((feeds or {}).items()):
        array = np.ascontiguousarray(values)
        digest.update(f"{name!r} {array.dtype.str} {np.shape(values)}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def onnx_fingerprint(path: str | os.PathLike[str], feeds: Mapping[str, Any] | None = None) -> str:
    """What `OnnxNetwork(path, feeds=feeds).fingerprint` is, without an engine: see `fingerprint`.

    Raises FileNotFoundError, and ValueError for a file that is no ONNX model.
    """
    path = Path(path)
    data = read_model(path)
    tensors = external_tensors(parse_model(data))
    check_external(tensors, path.parent)
    return fingerprint(data, tensors, path.parent, feeds)


def _tensors(model: Any) -> Iterator[Any]:
    nodes = list(all_nodes(model.graph, *model.functions))
    for graph in (model.graph, *(graph for node in nodes for graph in subgraphs(node))):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
    for attribute in (attribute for node in nodes for attribute in node.attribute):
        if attribute.HasField("t"):
            yield attribute.t
        if attribute.HasField("sparse_tensor"):
            yield from (attribute.sparse_tensor.values, attribute.sparse_tensor.indices)
        yield from attribute.tensors
        for sparse in attribute.sparse_tensors:
            yield from (sparse.values, sparse.indices)


def _external(tensor: Any) -> External:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    if not isinstance(location, str):  # protobuf hands over what is no text as bytes
        raise ValueError(f"tensor {tensor.name!r}: expected the name of a file, got {location!r}")
    for path in (PurePosixPath(location), PureWindowsPath(location)):
        if not location or path.is_absolute() or path.drive or path.root or ".." in path.parts:
            raise ValueError(
                f"tensor {tensor.name!r}: expected weights in a file in the folder of the model, got {location!r}"
            )
    expected = data_bytes(tensor)
    try:
        start, length = int(entries.get("offset") or 0), int(entries.get("length") or expected or 0)
    except ValueError:
        raise ValueError(f"tensor {tensor.name!r}: expected offset and length as numbers, got {entries}") from None
    if start < 0 or length < 0 or (expected is not None and length != expected):
        raise ValueError(
            f"tensor {tensor.name!r}: expected {expected} bytes in {location} for shape {tuple(tensor.dims)}, got"
            f" {length} from {start} on"
        )
    return External(tensor.name, location, start, start + length)
