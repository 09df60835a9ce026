"""Checks of an ONNX graph before an engine loads it, with the names of nodes and tensors in the errors."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from typing import Any

from ..selectors import did_you_mean
from .proto import NUMBERS, all_nodes, subgraphs, title
from .reading.nodes import in_order

_BITS = {
    1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 14: 64, 15: 128, 16: 16, 17: 8,
    18: 8, 19: 8, 20: 8, 21: 4, 22: 4, 23: 4, 24: 8, 25: 2, 26: 2,
}  # fmt: skip
"""TensorProto.DataType -> bits of one number."""
_EXPECTED = "expected a graph that can be computed, got one that cannot"


def check_graph(graph: Any) -> None:
    """Raise ValueError for a GraphProto that cannot be computed, naming the node and the tensor.

    Nodes that read what no node computes, also inside subgraphs, tensors that are computed twice, nodes
    that read each other's outputs, outputs that nothing computes, and initializers whose data do not fit their shape.
    """
    names = {tensor.name for tensor in _initializers(graph)} | {value.name for value in graph.input}
    _check_nodes(graph, names)
    for value in graph.output:
        if value.name not in names:
            hint = did_you_mean(value.name, sorted(names))
            raise ValueError(f"{_EXPECTED}: output {value.name!r} is computed by no node{hint}")
    for tensor in graph.initializer:
        _check_size(tensor)


def data_bytes(tensor: Any) -> int | None:
    """The bytes that the numbers of a tensor take, None for texts and types unknown here.

    Raises ValueError for a negative size.
    """
    if min(tensor.dims, default=0) < 0:
        raise ValueError(f"initializer {tensor.name!r}: expected sizes from 0, got {tuple(tensor.dims)}")
    bits = _BITS.get(tensor.data_type)
    return None if bits is None else -(-math.prod(tensor.dims) * bits // 8)


def inner_tensors(model: Any) -> Iterator[tuple[str, str, str]]:
    """The tensors that nodes compute inside subgraphs and local functions: name, operator and what they lie in."""
    inside = [(title(node), [*subgraphs(node)]) for node in model.graph.node]
    callers = {(node.domain, node.op_type): node for node in reversed(model.graph.node)}
    for function in model.functions:
        caller = callers.get((function.domain, function.name))
        called = f", which {title(caller)} calls" if caller is not None else ""
        inside.append((f"the local function {function.name!r}{called}", [function]))
    for owner, parts in inside:
        for node in all_nodes(*parts):
            for name in filter(None, node.output):
                yield name, node.op_type, owner


def _initializers(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield sparse.values


def _check_nodes(graph: Any, names: set[str]) -> None:
    """Add what the nodes compute to the names that are known."""
    for node in in_order(graph.node):
        for name in filter(None, node.input):
            if name not in names:
                raise ValueError(f"{_EXPECTED}: {_why_unknown(graph, node, name, names)}")
        for inner in subgraphs(node):
            known = names | {tensor.name for tensor in _initializers(inner)} | {value.name for value in inner.input}
            _check_nodes(inner, known)
        for name in filter(None, node.output):
            if name in names:
                others = [title(other) for other in graph.node if name in other.output]
                where = " and by ".join(others[:2]) if others[1:] else f"{title(node)}, and is an input or a weight"
                raise ValueError(f"{_EXPECTED}: tensor {name!r} is computed twice: by {where}")
            names.add(name)


def _why_unknown(graph: Any, node: Any, name: str, names: Collection[str]) -> str:
    reads = f"{title(node)} reads {name!r}"
    later = next((other for other in graph.node if name in other.output), None)
    if later is None:
        return f"{reads}, which nothing computes{did_you_mean(name, sorted(names))}"
    return f"{reads}, which depends on what the same node computes: {title(later)} closes the circle"


def _check_size(tensor: Any) -> None:
    expected = data_bytes(tensor)
    if expected is None or tensor.external_data:
        return
    shape = tuple(tensor.dims)
    if tensor.raw_data:
        got = len(tensor.raw_data)
        if got != expected:
            raise ValueError(f"initializer {tensor.name!r}: expected {expected} bytes for shape {shape}, got {got}")
    elif _BITS[tensor.data_type] >= 8 and tensor.data_type not in (14, 15):
        expected, got = math.prod(shape), max(len(getattr(tensor, field)) for field in NUMBERS)
        if got != expected:
            raise ValueError(f"initializer {tensor.name!r}: expected {expected} numbers for shape {shape}, got {got}")
