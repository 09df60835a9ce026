"""Whether class scores leave a graph as probabilities."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .nodes import Nodes, operands, operator

_PASSING = frozenset((
    "averagepool", "cast", "clip", "dequantizelinear", "dropout", "expand", "flatten", "gather", "globalaveragepool",
    "identity", "quantizelinear", "reducemean", "reshape", "resize", "slice", "split", "squeeze", "transpose",
    "unsqueeze", "upsample",
))  # fmt: skip
"""Operators that lay numbers out anew, write them in another way, keep them in bounds, choose among them or average.

Means are of several heads or places: one over the classes would leave no row of scores.
"""
_OF_ONE = frozenset(("hardsigmoid", "sigmoid"))
_DEPTH = 32  # sums of sums
_SMALL = 1e-3
"""What is added to probabilities, or is the least of them, so that none is 0."""


def are_probabilities(nodes: Nodes, kinds: Mapping[str, str], tensor: str, *, one: bool) -> bool:
    """Whether a tensor holds what a softmax or a division by the sum made, quantised or not, or a mean of several.

    one: whether a frame has one number; then a sigmoid counts too, and what a probability lacks to 1. Beside each other
    they do in any case. A log-softmax does not: its softmax is that of the logits. kinds: as of `OnnxGraph`.
    """
    if one and (_is_sigmoid(nodes, kinds, tensor) or _is_rest(nodes, kinds, tensor)):
        return True
    whole = _row_sum(nodes, kinds, tensor, _DEPTH)
    return whole is not None and math.isclose(whole, 1, abs_tol=1e-3)


def is_out_of_sight(nodes: Nodes, tensor: str) -> bool:
    """Whether a tensor comes out of a local function, a subgraph or an operator that is not a standard one."""
    node = nodes.producers.get(_source(nodes, tensor))
    standard = "", "ai.onnx", "com.microsoft"
    return node is not None and (node.domain not in standard or operator(node) in ("if", "loop", "scan"))


def _chain(nodes: Nodes, tensor: str) -> list[str]:
    """A tensor, and those before it that hold numbers of the same kind."""
    chain = [tensor]
    while (node := nodes.producers.get(chain[-1])) is not None and operator(node) in _PASSING:
        chain.append(node.input[0])
    return chain


def _source(nodes: Nodes, tensor: str) -> str:
    return _chain(nodes, tensor)[-1]


def _is_sigmoid(nodes: Nodes, kinds: Mapping[str, str], tensor: str) -> bool:
    return any(kinds.get(name, "").removesuffix("-float") in _OF_ONE for name in _chain(nodes, tensor))


def _is_rest(nodes: Nodes, kinds: Mapping[str, str], tensor: str) -> bool:
    """Whether a tensor is what a probability of one number lacks to 1."""
    source = _source(nodes, tensor)
    if not _made_by(nodes, source, "sub") or nodes.scalar(nodes.producers[source].input[0]) != 1:
        return False
    return are_probabilities(nodes, kinds, nodes.producers[source].input[1], one=True)


def _row_sum(nodes: Nodes, kinds: Mapping[str, str], tensor: str, depth: int) -> float | None:
    """What each row of a tensor sums to, where it is made of softmaxes; None where the graph does not tell."""
    node = nodes.producers.get(_source(nodes, tensor))
    if node is None or not depth:
        return None
    op, names = operator(node), [_source(nodes, name) for name in operands(node)]
    if (
        op == "softmax"
        or (op == "div" and _is_share(nodes, names[0], names[1]))
        or (op == "mul" and any(_is_quotient(nodes, *pair) for pair in (names, names[::-1])))
        or (op == "exp" and _is_log_softmax(nodes, names[0]))
        or (op == "concat" and _is_pair(nodes, kinds, names))
    ):
        return 1.0
    if op in ("mul", "div"):
        factor = next((number for name in names if (number := nodes.scalar(name)) is not None), None)
        part = _row_sum(nodes, kinds, next((name for name in names if name in nodes.moving), ""), depth - 1)
        if not factor or part is None or (op == "div" and names[0] not in nodes.moving):
            return None
        return part * factor if op == "mul" else part / factor
    if op in ("add", "max"):
        numbers = [nodes.scalar(name) for name in names]
        names = [n for n, number in zip(names, numbers, strict=True) if number is None or not 0 <= number <= _SMALL]
    stack = op == "concat" and all(_made_by(nodes, name, "unsqueeze") for name in node.input)
    if op in ("add", "sum", "mean") or stack or (op == "max" and len(names) == 1):
        parts = [_row_sum(nodes, kinds, name, depth - 1) for name in names]
        known = [part for part in parts if part is not None]
        if len(known) == len(parts):
            return sum(known) / (len(known) if stack or op == "mean" else 1)
    return None


def _made_by(nodes: Nodes, tensor: str, *ops: str) -> bool:
    node: Any = nodes.producers.get(tensor)
    return node is not None and operator(node) in ops


def _operand(nodes: Nodes, tensor: str, position: int = 0) -> str:
    return _source(nodes, nodes.producers[tensor].input[position])


def _is_share(nodes: Nodes, part: str, whole: str) -> bool:
    """Whether the one is numbers and the other the sum of these."""
    return _made_by(nodes, whole, "reducel1", "reducesum") and _operand(nodes, whole) == part


def _is_quotient(nodes: Nodes, part: str, inverse: str) -> bool:
    return _made_by(nodes, inverse, "reciprocal") and _is_share(nodes, part, _operand(nodes, inverse))


def _is_log_softmax(nodes: Nodes, tensor: str) -> bool:
    if _made_by(nodes, tensor, "sub"):
        first, second = _operand(nodes, tensor), _operand(nodes, tensor, 1)
        return _made_by(nodes, second, "reducelogsumexp") and _operand(nodes, second) == first
    return _made_by(nodes, tensor, "logsoftmax")


def _is_pair(nodes: Nodes, kinds: Mapping[str, str], names: list[str]) -> bool:
    """Whether they are a probability and its rest to 1, in either order."""
    return len(names) == 2 and any(
        _is_sigmoid(nodes, kinds, share)
        and _made_by(nodes, rest, "sub")
        and nodes.scalar(nodes.producers[rest].input[0]) == 1
        and _operand(nodes, rest, 1) == share
        for share, rest in (names, names[::-1])
    )
