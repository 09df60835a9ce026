"""Tensors with what the heads of an attention layer return."""

from __future__ import annotations

from typing import Any

from .nodes import Nodes, attribute, operands, operator

_PASSING = frozenset((
    "add", "cast", "dequantizelinear", "div", "dropout", "identity", "mul", "quantizelinear", "where",
))  # fmt: skip
_WHOLE = frozenset(("attention", "groupqueryattention", "multiheadattention", "packedmultiheadattention"))


def attention_heads(nodes: Nodes) -> dict[str, int | None]:
    """The tensors that hold softmax(QK)V, each with the number of heads where the node says it.

    Products of a softmax with another tensor that depends on the input, and the first output of whole attention
    operators.
    """
    found: dict[str, int | None] = {}
    for node in nodes.nodes():
        op = operator(node)
        if op in _WHOLE:
            found[node.output[0]] = attribute(node, "num_heads") or attribute(node, "q_num_heads")
        elif op == "matmul" and len(moving := nodes.moving_operands(node)) == 2 and _is_weighting(nodes, moving[0]):
            found[node.output[0]] = None
    return found


def _is_weighting(nodes: Nodes, tensor: str) -> bool:
    """Whether a tensor is a softmax, but for pointwise work."""
    node: Any = nodes.producers.get(tensor)
    for _ in range(8):
        if node is None:
            return False
        op = operator(node)
        if op == "softmax":
            return True
        if op not in _PASSING:
            return False
        values = operands(node)[1:] if op == "where" else operands(node)  # a condition weighs nothing
        node = next((nodes.producers.get(name) for name in values if name in nodes.moving), None)
    return False
