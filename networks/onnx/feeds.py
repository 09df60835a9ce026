"""Inputs of an ONNX model that are the same for every frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..network import fits
from .proto import DTYPES, Fragment, parse_model


def with_feeds(data: bytes, feeds: Mapping[str, Any]) -> bytes:
    """A model whose inputs named in `feeds` have these values as their defaults; its own bytes stay as they are.

    Raises ValueError for a name that is no input, and for values of another dtype or shape than the input's.
    """
    if not feeds:
        return data
    graph = parse_model(data).graph
    constants = {tensor.name for tensor in graph.initializer}
    inputs = {value.name: value.type.tensor_type for value in graph.input if value.name not in constants}
    fragment = Fragment("", 1)
    for name, values in feeds.items():
        if name not in inputs:
            raise ValueError(f"expected feeds for inputs among {', '.join(inputs)}, got {name!r}")
        array, declared = np.asarray(values), inputs[name]
        dtype = DTYPES.get(declared.elem_type)
        if str(array.dtype) != dtype:
            raise ValueError(f"expected a feed of dtype {dtype or 'unknown'} for input {name!r}, got {array.dtype}")
        sizes = [dim.dim_value or None for dim in declared.shape.dim]
        if declared.HasField("shape") and not fits(array.shape, sizes):
            shape = tuple("?" if size is None else size for size in sizes)
            raise ValueError(f"expected a feed of shape {shape} for input {name!r}, got {array.shape}")
        fragment.initializer(name, array)
    return data + fragment.to_bytes()
