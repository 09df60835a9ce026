"""Where the channels of each tensor lie, read from the nodes that fix it and carried along those that keep it."""

from __future__ import annotations

from typing import Any

from ....selectors import ACTIVATIONS, GATES
from ..nodes import Nodes, attribute, operands, operator

LAYERS = frozenset((
    "averagepool", "batchnormalization", "conv", "convtranspose", "deformconv", "depthtospace", "globalaveragepool",
    "globallppool", "globalmaxpool", "instancenormalization", "groupnormalization", "lppool", "lrn", "maxpool",
    "maxunpool", "spacetodepth", "gridsample", "roialign",
))  # fmt: skip
KEEPING = ACTIVATIONS | GATES | frozenset((
    "add", "abs", "cast", "ceil", "concat", "dequantizelinear", "div", "dropout", "dynamicquantizelinear", "erf", "exp",
    "floor", "identity", "log", "max", "min", "mul", "neg", "pad", "pow", "quantizelinear", "reciprocal", "resize",
    "slice", "softmax", "split", "sqrt", "sub", "sum", "upsample", "where",
))  # fmt: skip
_LAST = frozenset(("biasgelu", "biassplitgelu", "embedlayernormalization", "fastgelu", "layernormalization",
    "rmsnormalization", "simplifiedlayernormalization", "skiplayernormalization",
    "skipsimplifiedlayernormalization"))  # fmt: skip


def channel_axes(nodes: Nodes) -> dict[str, int]:
    """The axis of the channels of each tensor where the graph tells it: from the front, or -1 for the last.

    Convolutions and pooling have them on axis 1 (with ``channels_last`` and in the operators called Nhwc, on the last);
    dense layers and layer norms on the last. Transposes move them; pointwise nodes keep them, in both directions.
    """
    axes: dict[str, int] = {}
    work = list(nodes.nodes())
    for surely in (True, False):
        for node in work:
            _forward(nodes, node, axes, surely=surely)
        for node in reversed(work):
            _backward(nodes, node, axes)
    for node in work:
        _forward(nodes, node, axes)
    return axes


def _forward(nodes: Nodes, node: Any, axes: dict[str, int], *, surely: bool = False) -> None:
    """What a node computes. surely: only where all that it reads is known; a layer behind a sum may know better."""
    op = operator(node)
    axis = _fixed(nodes, node, op)
    if axis is None:
        read = nodes.moving_operands(node)
        known = [axes[name] for name in read if name in axes]
        if not known or (surely and op in KEEPING and len(known) < len(read)):
            return
        if op == "transpose":
            axis = _moved(known[0], attribute(node, "perm"), inverse=False)
        elif op in KEEPING or (op.startswith("reduce") and attribute(node, "keepdims", 1)):
            axis = known[0]
    if axis is not None:
        for name in filter(None, node.output):
            axes.setdefault(name, axis)


def _backward(nodes: Nodes, node: Any, axes: dict[str, int]) -> None:
    op = operator(node)
    axis = _fixed(nodes, node, op)
    if axis is None and node.output[0] in axes:
        known = axes[node.output[0]]
        if op == "transpose":
            axis = _moved(known, attribute(node, "perm"), inverse=True)
        elif op in KEEPING:
            axis = known
    if axis is not None:
        for name in nodes.moving_operands(node)[: None if op in KEEPING else 1]:
            axes.setdefault(name, axis)


def _fixed(nodes: Nodes, node: Any, op: str) -> int | None:
    """The axis that an operator fixes for what it reads and computes."""
    if op in LAYERS:
        last = attribute(node, "channels_last", 0) or node.op_type.lower().startswith("nhwc")
        return -1 if last else 1
    if op in _LAST:
        if op == "layernormalization":
            scale = nodes.sizes(node.input[1]) if len(node.input) > 1 else None
            return -1 if attribute(node, "axis", -1) == -1 or (scale is not None and len(scale) == 1) else None
        return -1
    if op in ("matmul", "gemm"):
        names = operands(node)
        return -1 if len(names) > 1 and names[1] not in nodes.moving else None
    return None


def _moved(axis: int, perm: Any, *, inverse: bool) -> int | None:
    """Where a transpose puts an axis, or, inverse, where it took it from."""
    if not perm:
        return None
    axis %= len(perm)
    there = perm[axis] if inverse else perm.index(axis)
    return -1 if there == len(perm) - 1 else there
