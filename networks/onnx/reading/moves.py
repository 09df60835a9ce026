"""Where a tap stands whose tensor ONNX Runtime never computes, because it fuses the nodes around it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..proto import messages
from .nodes import Nodes, operator

BEHIND_CONV = frozenset(("clip", "hardsigmoid", "hardswish", "leakyrelu", "relu", "sigmoid", "tanh"))
"""Kinds of activation that ONNX Runtime makes one node with the convolution before them."""
_IN_FLOAT32 = "InsertedPrecisionFreeCast_"  # before the name of a half-precision tensor that is computed in float32
_LAYERS = frozenset((
    "averagepool", "conv", "convtranspose", "gemm", "globalaveragepool", "globalmaxpool", "matmul", "maxpool",
    "reducemean",
))  # fmt: skip


@dataclass(frozen=True)
class MovedTap:
    """A tap that stands elsewhere than asked. asked, taken: tensors. why: in words."""

    asked: str
    taken: str
    why: str


class Fusions:
    """What ONNX Runtime fuses in a graph, read from the graph that it makes of it.

    nodes: of the file. inside: the tensors inside an activation or a layer norm, with the one that ends it.
    """

    def __init__(self, nodes: Nodes, inside: Mapping[str, str]) -> None:
        self._nodes, self._inside = nodes, inside
        self._made: dict[str, Any] = {}

    def possible(self, tensor: str) -> bool:
        """Whether a tensor may be fused away, as far as the file tells."""
        node = self._nodes.producers.get(tensor)
        if node is None or tensor in self._nodes.outputs:
            return False
        return operator(node) == "dequantizelinear" or self._following(tensor) != ""

    def moves(self, tensors: Iterable[str], optimised: bytes) -> dict[str, MovedTap]:
        """Where to tap instead of tensors that may be fused away, so that the fusions stay, of those that are.

        optimised: what `Runtime.optimised` returns.
        """
        made = messages()["Model"].FromString(optimised).graph.node
        self._made = {name.removeprefix(_IN_FLOAT32): node for node in made for name in node.output}
        return {name: move for name in tensors if (move := self._move(name))}

    def _move(self, tensor: str) -> MovedTap | None:
        node = self._nodes.producers[tensor]
        op, taken, why = operator(node), tensor, ""
        if op == "dequantizelinear" and node.input[0] in self._nodes.producers:
            taken, why = node.input[0], "it is made of codes, which are the same values"
        while (following := self._step(taken)) is not None:
            taken = following
        if taken == tensor:
            return None
        follower = operator(self._nodes.readers[tensor][0]) if not why else ""
        return MovedTap(tensor, taken, why or f"ONNX Runtime fuses the {op} with the {follower} that reads it")

    def _step(self, tensor: str) -> str | None:
        """The next tensor that ONNX Runtime computes, None where it computes this one or fuses nothing."""
        if tensor in self._made:
            return self._in_blocks(tensor)
        end = tensor
        while end and end not in self._made:
            end = self._following(end)
        # The same operator as in the file, or a transpose: the tensor has another name now, and nothing was fused.
        renamed = not end or self._made[end].op_type in (self._nodes.producers[end].op_type, "Transpose")
        return None if renamed else end

    def _following(self, tensor: str) -> str:
        """The one tensor that is made of a tensor, or nothing: what layers and pools read is never fused with them."""
        ends = {
            self._inside.get(reader.output[0], "" if operator(reader) in _LAYERS else reader.output[0])
            for reader in self._nodes.readers.get(tensor, ())
        }
        return ends.pop() if len(ends) == 1 else ""

    def _in_blocks(self, tensor: str) -> str | None:
        """The end of a fusion in ONNX Runtime's blocked layout, which cannot be asked for: it renames all tensors."""
        reader = self._nodes.only_reader(tensor)
        fused = ("add", "hardswish") if self._is_conv(tensor) else BEHIND_CONV
        if reader is None or operator(reader) not in fused:
            return None
        summed = self._made[tensor].op_type == "Add" and any(map(self._is_conv, self._nodes.producers[tensor].input))
        return reader.output[0] if summed or self._is_conv(tensor) else None

    def _is_conv(self, tensor: str) -> bool:
        return tensor in self._made and self._made[tensor].op_type == "Conv" and bool(self._nodes.only_reader(tensor))
