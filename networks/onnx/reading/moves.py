"""Which tensors ONNX Runtime never computes, because it fuses the nodes around them, and the next ones that it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .nodes import Nodes, operands, operator

_WHOLE = frozenset(("gelu", "layernormalization", "quickgelu", "silu"))
BEHIND_CONV = frozenset(("clip", "hardsigmoid", "hardswish", "leakyrelu", "relu", "sigmoid", "tanh"))
"""Kinds of activation that ONNX Runtime makes one node with the convolution before them."""
_BEHIND_GEMM = frozenset((
    "elu", "hardsigmoid", "leakyrelu", "relu", "sigmoid", "softplus", "softsign", "tanh", "thresholdedrelu",
))  # fmt: skip


@dataclass(frozen=True)
class MovedTap:
    """A tap that stands elsewhere than asked. asked, taken: tensors. why: in words."""

    asked: str
    taken: str
    why: str


def nearest_kept(nodes: Nodes, inside: Mapping[str, str], kinds: Mapping[str, str], tensor: str) -> MovedTap | None:
    """Where to tap in place of a tensor, so that the fusions around it are kept; None where it can be tapped itself.

    inside: the tensors inside an activation or a layer norm, with the one that ends it.
    """
    taken, why = tensor, ""
    while (step := _step(nodes, inside, kinds, taken)) is not None:
        taken, why = step[0], why or step[1]
    return MovedTap(tensor, taken, why) if why else None


def _step(nodes: Nodes, inside: Mapping[str, str], kinds: Mapping[str, str], tensor: str) -> tuple[str, str] | None:
    node = nodes.producers.get(tensor)
    if node is None or tensor in nodes.outputs:
        return None
    end = inside.get(tensor)
    if end is not None and kinds[end] in _WHOLE:
        return end, f"it is inside a {kinds[end]}, which ONNX Runtime computes at once"
    op = operator(node)
    if op == "dequantizelinear" and node.input[0] in nodes.producers:
        return node.input[0], "it is made of codes, which are the same values"
    readers = nodes.readers.get(tensor, [])
    for reader in readers:
        if operator(reader) == "quantizelinear" and reader.input[0] == tensor:
            return reader.output[0], "ONNX Runtime computes the codes at once"
    if op == "add" and readers and len(nodes.moving_operands(node)) == 2:
        norms = {inside.get(reader.output[0], "") for reader in readers}
        if len(norms) == 1 and kinds.get(norm := norms.pop()) == "layernormalization":
            return norm, "ONNX Runtime fuses the sum with the layernormalization that reads it"
    reader = nodes.only_reader(tensor)
    if reader is None:
        return None
    if operator(reader) in ("identity", "dropout"):
        return _step(nodes, inside, kinds, reader.output[0]) if _is_conv(nodes, tensor) else None
    if _fuses(nodes, node, reader, tensor):
        return reader.output[0], f"ONNX Runtime fuses the {op} with the {operator(reader)} that reads it"
    return None


def _fuses(nodes: Nodes, node: Any, reader: Any, tensor: str) -> bool:
    """Whether ONNX Runtime makes one node of a node and the only one that reads its output."""
    op, following = operator(node), operator(reader)
    others = [name for name in operands(reader) if name and name != tensor]
    constant = not nodes.moving.intersection(others)
    if conv := _is_conv(nodes, tensor):
        return following in BEHIND_CONV or (
            conv == 1 and (following == "add" or (following in ("batchnormalization", "mul") and constant))
        )
    if op == "gemm":
        return following in _BEHIND_GEMM
    if op == "matmul":
        scaled = following in ("mul", "div") and all(nodes.scalar(name) is not None for name in others)
        return scaled or (following == "add" and constant and node.input[1] not in nodes.moving)
    if op == "transpose":
        return following == "matmul"
    both = op == "add" and len(nodes.moving_operands(node)) == 2
    return both and following == "layernormalization" and reader.input[0] == tensor


def _is_conv(nodes: Nodes, tensor: str) -> int:
    """1 for what a convolution returns, 2 where another tensor has been added, 0 for anything else.

    Constant factors, addends and batch norms are put into the weights.
    """
    node = nodes.producers.get(tensor)
    if node is None:
        return 0
    op = operator(node)
    if op == "conv":
        return int(node.op_type in ("Conv", "FusedConv"))
    if op not in ("add", "batchnormalization", "identity", "dropout", "mul"):
        return 0
    moving = nodes.moving_operands(node)
    before = max((_is_conv(nodes, name) for name in moving if nodes.only_reader(name) is not None), default=0)
    if len(moving) == 1:
        return before
    return 2 if op == "add" and before == 1 else 0
