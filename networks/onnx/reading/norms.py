"""Layer norms written in several nodes, as exporters did before opset 17."""

from __future__ import annotations

from typing import Any

from .nodes import Nodes, operator


def layer_norms_in_several_nodes(nodes: Nodes) -> dict[str, str]:
    """The tensors inside such layer norms, each with the one that ends it: (x - mean) / sqrt(variance + e) * w + b."""
    inside: dict[str, str] = {}
    for node in nodes.nodes():
        if operator(node) == "div" and (between := _normalised(nodes, node)):
            end = node.output[0]
            for op in ("mul", "add"):
                reader = nodes.only_reader(end)
                if reader is None or operator(reader) != op or len(nodes.moving_operands(reader)) != 1:
                    break
                between.append(end)
                end = reader.output[0]
            inside.update(dict.fromkeys(between, end))
    return inside


def _normalised(nodes: Nodes, node: Any) -> list[str]:
    """The tensors that a quotient is made of, where it is (x - mean) / sqrt(mean((x - mean)**2) + e)."""
    centred, deviation = node.input[:2]
    mean = _operand(nodes, centred, "sub", 1)
    added = _operand(nodes, deviation, "sqrt", 0)
    if mean is None or added is None or operator(nodes.producers[added]) != "add":
        return []
    variance = next((name for name in nodes.producers[added].input if name in nodes.producers), "")
    square = _operand(nodes, variance, "reducemean", 0)
    source = _operand(nodes, mean, "reducemean", 0, anywhere=True)
    if square is None or source is None or nodes.producers[centred].input[0] != source:
        return []
    chain = [centred, deviation, mean, added, variance, square]
    return chain if operator(nodes.producers[square]) in ("pow", "mul") else []


def _operand(nodes: Nodes, tensor: str, op: str, position: int, *, anywhere: bool = False) -> str | None:
    """An input of the node that computes a tensor, where that is such an operator on something computed."""
    node = nodes.producers.get(tensor)
    if node is None or operator(node) != op or len(node.input) <= position:
        return None
    name = node.input[position]
    return name if anywhere or name in nodes.producers else None
