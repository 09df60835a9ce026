"""The tensors that enter the output projections of attention layers, in the order of the layers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .nodes import Nodes, operands, operator

_RESHAPING = frozenset(("cast", "identity", "reshape", "squeeze", "unsqueeze", "flatten", "dropout"))
_QUANTISING = frozenset(("quantizelinear", "dequantizelinear", "dynamicquantizelinear"))
_WORKING = frozenset((
    "transpose", "mul", "sigmoid", "layernormalization", "simplifiedlayernormalization", "rmsnormalization",
))  # fmt: skip
_FARTHEST = 16  # nodes between what the heads return and the projection


def projection_inputs(nodes: Nodes, heads: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """For each tensor of attention heads: the same numbers as they enter the output projection, nearest to it first.

    Those of one entry differ in their shape alone: some exporters flatten batch and tokens in front of the projection.
    A tensor without a projection behind it, or with several that read different numbers, is left out.
    """
    found = {}
    for tensor in heads:
        ends = dict.fromkeys(_walk(nodes, tensor, (tensor,), 0))
        if len(ends) == 1:
            found[tensor] = next(iter(ends))
    return found


def _walk(nodes: Nodes, tensor: str, same: tuple[str, ...], steps: int) -> list[tuple[str, ...]]:
    """What enters the projections behind a tensor. same: the tensors with its numbers, the tensor itself first."""
    if steps == _FARTHEST:
        return []
    ends: list[tuple[str, ...]] = []
    for node in nodes.readers.get(tensor, ()):
        op = operator(node)
        if _is_projection(nodes, node, tensor):
            ends.append(same)
        elif op in _QUANTISING and node.input[0] == tensor:
            ends += _walk_quantised(nodes, node, same, steps)
        elif op in _RESHAPING and node.input[0] == tensor:
            ends += _walk(nodes, node.output[0], (node.output[0], *same), steps + 1)
        elif op in _WORKING:
            ends += _walk(nodes, node.output[0], (node.output[0],), steps + 1)
    return ends


def _walk_quantised(nodes: Nodes, node: Any, same: tuple[str, ...], steps: int) -> list[tuple[str, ...]]:
    """As `_walk`, behind a node that rounds: the numbers are taken from in front of it."""
    found = _walk(nodes, node.output[0], (node.output[0],), steps + 1)
    return [same] if found else []


def _is_projection(nodes: Nodes, node: Any, tensor: str) -> bool:
    """Whether a node multiplies a tensor with weights."""
    if operator(node) not in ("matmul", "gemm"):
        return False
    named = operands(node)
    weights = named[1] if len(named) > 1 else ""
    return node.input[0] == tensor and weights not in nodes.moving
