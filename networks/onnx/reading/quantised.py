"""Which activations the tensors of a quantised graph hold."""

from __future__ import annotations

from typing import Any

from ...selectors import ACTIVATIONS, GATES
from .nodes import Nodes

_LOWEST = {"uint8": 0, "int8": -128, "uint16": 0, "int16": -32768}
_RECTIFIED = frozenset(("add", "conv", "convtranspose", "gemm", "matmul"))
_ZERO_POINTS = {"qlinearconv": 7, "qlinearmatmul": 7, "qlinearadd": 7, "qgemm": 8, "quantizelinear": 2}


def quantised_kinds(nodes: Nodes, kinds: dict[str, str]) -> dict[str, str]:
    """Kinds of codes, and of the floats in front of them, that are others than those of the operators.

    Codes have the kind of what is quantised. A ReLU leaves no node behind in a quantised graph: codes of a layer or a
    sum whose zero point is the lowest code are one, since they hold nothing below zero. The floats that are
    quantised have ``-float`` behind their kind.
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
                found[node.output[0]] = _rectified(nodes, node, plain)
                found[source] = f"{plain}-float"
        elif op in _ZERO_POINTS:
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
