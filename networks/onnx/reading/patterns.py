"""Activations written in several nodes, recognised by what they compute and not by how they are spelled."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...forms import form_of
from .nodes import Nodes, attribute, operands, operator
from .quantised import code_limits

_LIMIT = 24  # nodes; the longest spelling known, a GELU by tanh with x * x * x, has 10, and 10 more when quantised
_GRID = np.array([-1e4, -8, -4, -3.2, -2.5, -1.7, -1, -0.5, -0.1, 0, 0.1, 0.5, 1, 1.7, 2.5, 3.2, 4, 6.5, 8, 1e4])
_FINE = np.geomspace(1e-3, 8, 80)
_DENSE = np.concatenate((-_FINE[::-1], [0], _FINE))  # where codes hold only a part of it, of which much is near zero
_TOLERANCE = 2e-3  # between GELU and its form by tanh lie 5e-4
_ENDS = frozenset(("add", "clip", "div", "log", "max", "min", "mul", "sub", "sum", "where"))
_BENDS = frozenset((
    "clip", "erf", "exp", "greater", "hardsigmoid", "leakyrelu", "less", "max", "min", "relu", "sigmoid", "softplus",
    "tanh", "where",
))  # fmt: skip

_erf = np.vectorize(math.erf, otypes=[float])


def _sigmoid(x: Any) -> Any:
    return 0.5 * (1 + np.tanh(0.5 * x))


def _softplus(x: Any) -> Any:
    return np.logaddexp(0, x)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": np.abs, "add": np.add, "div": np.divide, "erf": _erf, "exp": np.exp, "greater": np.greater,
    "greaterorequal": np.greater_equal, "less": np.less, "lessorequal": np.less_equal, "log": np.log,
    "mul": np.multiply, "neg": np.negative, "pow": np.power, "reciprocal": np.reciprocal, "sigmoid": _sigmoid,
    "softplus": _softplus, "sqrt": np.sqrt, "sub": np.subtract, "tanh": np.tanh, "where": np.where,
    "not": np.logical_not,
    "relu": lambda x: np.maximum(x, 0),
    "max": lambda *values: np.maximum.reduce(np.broadcast_arrays(*values)),
    "min": lambda *values: np.minimum.reduce(np.broadcast_arrays(*values)),
    "sum": lambda *values: sum(values),
    **dict.fromkeys(("identity", "cast", "dropout", "quantizelinear", "dequantizelinear"), lambda x, *_: x),
}  # fmt: skip
_WITH_ATTRIBUTES = frozenset(("clip", "hardsigmoid", "leakyrelu"))


def activations_in_several_nodes(nodes: Nodes) -> tuple[dict[str, str], dict[str, str]]:
    """The kinds of the tensors that end such activations, and for each tensor inside one the tensor that ends it.

    A tensor that is a function of one tensor alone, through pointwise nodes and constants of one number, is tried on
    a few points. Gates that squeeze a channel work on two tensors, and are left out.
    """
    ends: dict[str, str] = {}
    inside: dict[str, str] = {}
    for end in nodes.order:
        if operator(nodes.producers[end]) not in _ENDS:
            continue
        kind, between = _recognised(nodes, end)
        if kind:
            ends[end] = kind
            inside.update(dict.fromkeys(between, end))
    for tensor in inside:
        ends.pop(tensor, None)
    return ends, {tensor: _last(inside, tensor) for tensor in inside}


def _last(inside: dict[str, str], tensor: str) -> str:
    while tensor in inside:
        tensor = inside[tensor]
    return tensor


def _recognised(nodes: Nodes, end: str) -> tuple[str, list[str]]:
    """The kind of activation that a tensor ends, and the tensors inside it; nothing where it ends none."""
    region, starts = _region(nodes, end)
    bent = any(operator(nodes.producers[tensor]) in _BENDS for tensor in region)
    rectified = any(limits[0] == 0 for tensor in region if (limits := code_limits(nodes, nodes.producers[tensor])))
    for grid, limited_to, possible in ((_GRID, "", bent), (_DENSE, end, rectified)):
        for start in starts if possible else ():
            values = {start: grid}
            if _evaluate(nodes, end, values, region, limited_to=limited_to):
                kind = _kind(grid, values[end])
                between = [tensor for tensor in values if tensor not in (start, end) and tensor in nodes.producers]
                if kind:
                    return kind, between
    return "", []


def _region(nodes: Nodes, end: str) -> tuple[set[str], list[str]]:
    """The pointwise tensors behind `end`, and what they start from, the nearest first."""
    region, starts, edge = {end}, [], [end]
    while edge and len(region) < _LIMIT:
        following = []
        for tensor in edge:
            for source in nodes.moving_operands(nodes.producers[tensor]):
                if source not in region and source not in starts:
                    starts.append(source)
                    producer = nodes.producers.get(source)
                    if producer is not None and operator(producer) in _WITH_ATTRIBUTES.union(_FUNCTIONS):
                        region.add(source)
                        following.append(source)
        edge = following
    return region, starts


def _evaluate(
    nodes: Nodes, tensor: str, values: dict[str, np.ndarray], region: set[str], *, limited_to: str = ""
) -> bool:
    """Fill `values` with what the tensors up to `tensor` are on the grid; False where they need another tensor.

    limited_to: the codes in front of this tensor hold what they can. Those that begin at zero are a ReLU; other values
    out of their range are NaN.
    """
    if tensor in values:
        return True
    if tensor not in nodes.moving:
        number = nodes.scalar(tensor)
        if number is None:
            return False
        values[tensor] = np.float64(number)
        return True
    if tensor not in region:
        return False
    node = nodes.producers[tensor]
    op = operator(node)
    names = operands(node)
    given = [name for name in names if name]
    for i, name in enumerate(node.input):
        if (
            name in given
            and name not in nodes.moving
            and node.op_type.startswith("QLinear")
            and i + 2 < len(node.input)
        ):
            number = nodes.quantised_scalar(name, node.input[i + 1], node.input[i + 2])
            if number is not None:
                values[name] = np.float64(number)
    if not all(_evaluate(nodes, name, values, region, limited_to=limited_to) for name in given):
        return False
    with np.errstate(all="ignore"):
        if op in _WITH_ATTRIBUTES:
            values[tensor] = _with_attributes(node, op, [values[name] if name else None for name in names])
        elif op in ("dropout", "cast"):
            values[tensor] = values[names[0]]
        else:
            values[tensor] = _FUNCTIONS[op](*(values[name] for name in given))
        if limited_to not in ("", tensor) and (limits := code_limits(nodes, node)):
            values[tensor] = _held(values[tensor], *limits)
    return True


def _held(values: np.ndarray, low: float, high: float) -> np.ndarray:
    values = np.maximum(values, 0) if low == 0 else np.where(values < low, np.nan, values)
    return np.where(values > high, np.nan, values)


def _with_attributes(node: Any, op: str, values: list[Any]) -> np.ndarray:
    x = values[0]
    if op == "hardsigmoid":
        return np.clip(attribute(node, "alpha", 0.2) * x + attribute(node, "beta", 0.5), 0, 1)
    if op == "leakyrelu":
        return np.where(x < 0, attribute(node, "alpha", 0.01) * x, x)
    low, high = (
        values[i] if len(values) > i and values[i] is not None else attribute(node, name, default)
        for i, name, default in ((1, "min", -np.inf), (2, "max", np.inf))
    )
    return np.clip(x, low, high)


def _kind(grid: np.ndarray, found: np.ndarray) -> str:
    """The activation that has these values on the grid; far out, exponentials may overflow."""
    if np.shape(found) != grid.shape or (grid is _GRID and not np.isfinite(found[1:-1]).all()):
        return ""
    kind = form_of(grid, found, tolerance=_TOLERANCE)
    return "clip" if kind in ("relu6", "hardtanh") else kind
