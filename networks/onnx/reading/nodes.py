"""Nodes of ONNX graphs, quantised and fused ones too, read alike: operator, operands, attributes, constants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ...selectors import ACTIVATIONS, GATES
from ..proto import array_of

_AFFIXES = ("qlinear", "nhwcfused", "nhwc", "fused")
_SPELLED = {
    "qgemm": "gemm", "convinteger": "conv", "matmulinteger": "matmul", "matmulintegertofloat": "matmul",
    "dynamicquantizematmul": "matmul", "fusedmatmulactivation": "matmul", "matmulnbits": "matmul",
    "transposematmul": "matmul",
}  # fmt: skip
_PAIRS = frozenset(("qlinearadd", "qlinearmul", "qlinearmatmul", "qgemm", "qlinearconv"))
_FIELDS = {1: "f", 2: "i", 3: "s", 4: "t", 6: "floats", 7: "ints"}  # AttributeProto.AttributeType
_STRING, _LISTS = 3, (6, 7)
_VALUES = {"value_float": np.float32, "value_int": np.int64, "value_floats": np.float32, "value_ints": np.int64}
_SMALL = 64  # numbers of a constant that is read


def operator(node: Any) -> str:
    """What a node computes, in lower case, whether quantised or fused with what follows: ``conv`` for QLinearConv."""
    op = node.op_type.lower()
    if op in _SPELLED:
        return _SPELLED[op]
    return next((op.removeprefix(affix) for affix in _AFFIXES if op.startswith(affix)), op)


def operands(node: Any) -> Sequence[str]:
    """The inputs of a node that hold values, without the scales and zero points of quantised operators."""
    op, inputs = node.op_type.lower(), node.input
    if op == "qlinearconcat":
        return list(inputs[2::3])
    if op in _PAIRS:
        return [inputs[i] for i in (0, 3) if i < len(inputs)]
    if op.startswith("qlinear") or op in ("quantizelinear", "dequantizelinear"):
        return list(inputs[:1])
    return list(inputs)


def attribute(node: Any, name: str, default: Any = None) -> Any:
    """The value of an attribute: float, int, text, list or tensor."""
    for entry in node.attribute:
        if entry.name == name:
            value = getattr(entry, _FIELDS.get(entry.type, ""), default)
            if entry.type == _STRING:
                return value.decode(errors="replace")
            return list(value) if entry.type in _LISTS else value
    return default


def kind_of(node: Any) -> str:
    """The kind of a node's output: its operator, or the activation that is fused into it."""
    fused = attribute(node, "activation")
    if isinstance(fused, str) and fused.lower() in ACTIVATIONS | GATES:
        return fused.lower()
    return operator(node)


class Nodes:
    """A graph by its tensors.

    moving: the tensors that depend on the input. producers, readers: the nodes that compute and that read a tensor.
    order: the tensors that nodes compute from moving ones, in the order in which they are computed.
    """

    def __init__(self, graph: Any) -> None:
        self._constants = {tensor.name: tensor for tensor in graph.initializer}
        self._values: dict[str, np.ndarray | None] = {}
        self.outputs = frozenset(value.name for value in graph.output)
        self.moving = {value.name for value in graph.input} - set(self._constants)
        self.producers: dict[str, Any] = {}
        self.readers: dict[str, list[Any]] = {}
        self.order: list[str] = []
        for node in in_order(graph.node):
            for name in dict.fromkeys(node.input):
                self.readers.setdefault(name, []).append(node)
            if self.moving.intersection(node.input):
                self.moving.update(filter(None, node.output))
                for name in filter(None, node.output):
                    self.producers[name] = node
                    self.order.append(name)
            elif node.op_type == "Constant" and node.output:
                self._add_constant(node)
            elif node.op_type in ("Identity", "QuantizeLinear") and node.input[0] in self._constants:
                self._constants[node.output[0]] = self._constants[node.input[0]]
            elif node.op_type == "DequantizeLinear" and node.input[0] in self._constants:
                self._add_dequantised(node)

    def constant(self, name: str) -> np.ndarray | None:
        """The values of a small constant, None for anything else."""
        if name not in self._values:
            value = self._constants.get(name)
            if value is not None and not isinstance(value, np.ndarray):
                value = array_of(value) if np.prod(value.dims) <= _SMALL else None
            self._values[name] = value
        return self._values[name]

    def scalar(self, name: str) -> float | None:
        """The value of a constant of one number."""
        value = self.constant(name)
        if value is None or value.size != 1 or value.dtype.kind not in "fiub":
            return None
        return float(value.reshape(-1)[0])

    def sizes(self, name: str) -> tuple[int, ...] | None:
        """The shape of a constant."""
        tensor = self._constants.get(name)
        return None if tensor is None else tuple(tensor.shape if isinstance(tensor, np.ndarray) else tensor.dims)

    def moving_operands(self, node: Any) -> list[str]:
        return [name for name in operands(node) if name in self.moving]

    def only_reader(self, tensor: str) -> Any:
        """The one node that reads a tensor, None where there are several or the tensor leaves the graph."""
        readers = self.readers.get(tensor, [])
        return readers[0] if len(readers) == 1 and tensor not in self.outputs else None

    def nodes(self) -> Iterator[Any]:
        """The nodes that work on moving tensors, in order."""
        last = None
        for name in self.order:
            if (node := self.producers[name]) is not last:
                yield node
            last = node

    def _add_dequantised(self, node: Any) -> None:
        number = self.quantised_scalar(*node.input[:3])
        if number is not None:
            self._constants[node.output[0]] = np.full(self.sizes(node.input[0]) or (), number, np.float32)

    def quantised_scalar(self, code: str, scale: str, zero: str = "") -> float | None:
        """The value of one number; codes are scaled, numbers that are no codes stay what they are."""
        number, factor, value = self.scalar(code), self.scalar(scale), self.constant(code)
        if number is None or value is None or value.dtype.kind == "f":
            return number
        return None if factor is None else (number - (self.scalar(zero) or 0.0)) * factor

    def _add_constant(self, node: Any) -> None:
        found = [np.array(v, t) for key, t in _VALUES.items() if (v := attribute(node, key)) is not None]
        value = attribute(node, "value", *found[-1:])
        if value is not None:
            self._constants[node.output[0]] = value


def in_order(nodes: Sequence[Any]) -> list[Any]:
    """Nodes each behind those it reads; converters do not always write them so, and ONNX Runtime does not mind."""
    makers = {name: index for index, node in enumerate(nodes) for name in node.output if name}
    needs = [{makers[name] for name in node.input if name in makers} for node in nodes]
    if all(max(need, default=-1) < index for index, need in enumerate(needs)):
        return list(nodes)
    found: dict[int, Any] = {}
    for index in range(len(nodes)):
        stack = [index]
        while stack:
            top = stack[-1]
            missing = [need for need in needs[top] if need not in found and need not in stack]
            if missing:
                stack.extend(missing[:1])
                continue
            found.setdefault(stack.pop(), nodes[top])
    return list(found.values())
