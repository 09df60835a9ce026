"""The maps that ONNX Runtime keeps in blocks of channels."""

from __future__ import annotations

from typing import Any

from .moves import BEHIND_CONV
from .nodes import Nodes, operator

_GATES = frozenset(("sigmoid", "hardsigmoid"))
_BEHIND = BEHIND_CONV | {"batchnormalization"}


def convolved_tensors(nodes: Nodes) -> frozenset[str]:
    """The tensors that float convolutions over two axes compute, also behind a norm, an activation or a sum of such.

    ONNX Runtime lays these out in blocks of 8 or 16 channels, as the processor has it. What else reads them, and has
    no form in blocks, has them laid out anew first.
    """
    found: set[str] = set()
    for node in nodes.nodes():
        if _is_convolution(nodes, node) or _is_behind(nodes, node, found):
            found.add(node.output[0])
    return frozenset(found)


def _is_convolution(nodes: Nodes, node: Any) -> bool:
    return node.op_type == "Conv" and len(nodes.sizes(node.input[1]) or ()) == 4


def _is_behind(nodes: Nodes, node: Any, found: set[str]) -> bool:
    moving = nodes.moving_operands(node)
    if operator(node) in _BEHIND:
        return len(moving) == 1 and moving[0] in found
    if operator(node) in ("add", "sum"):
        return len(moving) == len(node.input) and found.intersection(moving) == set(moving)
    if operator(node) == "mul" and len(moving) == 2:  # x * Sigmoid(x)
        return any(x in found and _gates(nodes, gate, x) for x, gate in (moving, reversed(moving)))
    return False


def _gates(nodes: Nodes, gate: str, x: str) -> bool:
    node = nodes.producers.get(gate)
    return node is not None and operator(node) in _GATES and node.input[0] == x
