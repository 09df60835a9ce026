"""Which activations the tensors of a quantised graph hold."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ...selectors import ACTIVATIONS, GATES
from .nodes import Nodes

_LOWEST = {"uint8": 0, "int8": -128, "uint16": 0, "int16": -32768}
_RECTIFIED = frozenset(("add", "conv", "convtranspose", "gemm", "matmul"))
_ZERO_POINTS = {"qlinearconv": 7, "qlinearmatmul": 7, "qlinearadd": 7, "qgemm": 8, "quantizelinear": 2}


_HIGHEST = {"uint8": 255, "int8": 127, "uint16": 65535, "int16": 32767}


def code_limits(nodes: Nodes, node: Any) -> tuple[float, float] | None:
    """The least and the largest value that the codes of a pointwise node hold; None for other nodes."""
    op = node.op_type.lower()
    scale = 1 if op == "quantizelinear" else 6 if op in ("qlinearadd", "qlinearmul") else 3
    if not op.startswith(("quantizelinear", "qlinear")) or len(node.input) <= scale + 1:
        return None
    factor, zero = nodes.scalar(node.input[scale]), nodes.constant(node.input[scale + 1])
    if factor is None or zero is None or zero.size != 1 or str(zero.dtype) not in _LOWEST:
        return None
    at, dtype = float(zero.reshape(-1)[0]), str(zero.dtype)
    return (_LOWEST[dtype] - at) * factor, (_HIGHEST[dtype] - at) * factor


def quantised_kinds(nodes: Nodes, kinds: dict[str, str], inside: Collection[str] = ()) -> dict[str, str]:
    """Kinds of codes, and of the floats in front of them, that are others than those of the operators.

    Codes have the kind of what is quantised. A ReLU leaves no node behind in a quantised graph: codes of a layer or a
    sum whose zero point is the lowest code are one, since they hold nothing below zero. The floats that are
    quantised have ``-float`` behind their kind. inside: tensors inside an activation, of which none is another.
    """
    found: dict[str, str] = {}
    for node in nodes.nodes():
        op = node.op_type.lower()
        if op == "quantizelinear":
            source = node.input[0]
            if source not in kinds:
                continue
            kind = found.get(source, kinds[source])
            if source in nodes.producers:
                plain = kind.removesuffix("-float")
                found[node.output[0]] = plain if node.output[0] in inside else _rectified(nodes, node, plain)
                found[source] = f"{plain}-float"
        elif op in _ZERO_POINTS and node.output[0] not in inside:
            found[node.output[0]] = _rectified(nodes, node, kinds[node.output[0]])
    return found


def _rectified(nodes: Nodes, node: Any, kind: str) -> str:
    if kind in ACTIVATIONS | GATES or kind not in _RECTIFIED:
        return kind
    position = _ZERO_POINTS[node.op_type.lower()]
    if len(node.input) <= position or not node.input[position]:
        return "relu" if node.op_type == "QuantizeLinear" else kind
    zero = nodes.constant(node.input[position])
    if zero is None or zero.size == 0:
        return kind
    return "relu" if (zero == _LOWEST.get(str(zero.dtype))).all() else kind
