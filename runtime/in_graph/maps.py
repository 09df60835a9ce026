"""Logics of places as nodes: the map of a frame, its highest value, and its largest connected part."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ...monitor.judging.grid import finest
from ...monitor.judging.places import Axes, count, places_under
from ...monitor.logic import Logic, Scales
from ...monitor.places import LargestArea, PlaceLogic, WorstPlace
from ...monitor.profile import Profile
from . import logics
from .operators import Operators
from .places import Placed

HAIR = 1e-6
_SORTED, _TREES = 11, 18
"""The operator sets with what counts equal labels, and with the highest of several that are scattered to one place."""


def obstacle(logic: Logic, opset: int) -> str:
    """Why a logic of places has no nodes in an operator set, and what to do; or ""."""
    if type(logic) not in BUILDERS:
        return f"expected a logic of places among {', '.join(kind.name for kind in BUILDERS)}, got {logic!r}"
    if isinstance(logic, LargestArea) and opset < _SORTED:
        return (
            f"expected opset {_SORTED} or newer for largest_area, got {opset}; convert the model with"
            " onnx.version_converter and profile the result, or profile with worst_place"
        )
    return ""


def add_map(ops: Operators, logic: PlaceLogic, scales: Scales, placed: Sequence[Placed], profile: Profile) -> str:
    """Name of the map, (batch, 1, height, width) float32, the mean of -log p averaged over the box of the logic.

    scales: of the columns in the order of the profile.
    """
    taps = {i: profile.facts.taps[profile.columns[i].tap] for one in placed for i in one.columns}
    columns = sorted(taps)
    shape, axes = finest([taps[i] for i in columns])
    parts = []
    for one in placed:
        own = {name: scales[name][..., [columns.index(i) for i in one.columns]] for name in _CURVE}
        parts.append(_on_grid(ops, _surprise(ops, one, own), one.axes, axes))
    total = parts[0] if len(parts) == 1 else ops("Sum", *parts)
    mean = total if len(columns) == 1 else ops("Div", total, ops.constant(len(columns)))
    return _box_means(ops, mean, logic.half(*shape))


_CURVE = "value", "surprise", "excess"


def _surprise(ops: Operators, one: Placed, scales: Scales) -> str:
    """The sum of -log p over the columns of one resolution, (batch * places, 1); without a deviation it is capped."""
    capped = ops.constant(2 * scales["surprise"][-1:] + 1)
    found = ops("Where", one.kept, logics.curve(ops, one.deviations, *(scales[name] for name in _CURVE)), capped)
    return found if len(one.columns) == 1 else ops.reduce("ReduceSum", found)


def _on_grid(ops: Operators, values: str, own: Axes, axes: Axes) -> str:
    """Values (batch * places, 1) at one resolution as a map at another, (batch, 1, height, width)."""
    values = ops.reshape(values, -1, 1, *(count((axis,)) for axis in own))
    if own != axes:
        for axis, at in enumerate(places_under(axes, own), start=2):
            values = ops("Gather", values, ops.constant(at, np.int64), axis=axis)
    return values


def _box_means(ops: Operators, values: str, half: int) -> str:
    """Means over a box of 2 * half + 1 places a side, of those that are there: along rows, then along columns."""
    if half:
        for kernel, pads in (((1, 2 * half + 1), (0, half) * 2), ((2 * half + 1, 1), (half, 0) * 2)):
            values = ops(
                "AveragePool", values, kernel_shape=kernel, pads=pads, strides=(1, 1), count_include_pad=0
            )  # fmt: skip
    return values


def add_score(ops: Operators, logic: PlaceLogic, scales: Scales, values: str, shape: tuple[int, int]) -> str:
    """Name of (batch,) float32, the score of each map (batch, 1, *shape)."""
    highest = ops("Relu", ops.reduce("ReduceMax", values, 1, 2, 3, keep=False))
    return BUILDERS[type(logic)](ops, values, shape, _held_against(logic.level_of(scales)), highest)


def level_of_areas(logic: Logic, scales: Scales) -> float | None:
    """The level above which places of a map in the graph count; None where no areas do."""
    return float(_held_against(logic.level_of(scales))) if isinstance(logic, LargestArea) else None


def _held_against(level: float) -> np.float32:
    """What values are held against to be above a level.

    It is a hair higher, so that a value on the level, rounded otherwise than outside, is not above it here either.
    """
    return np.float32(level + HAIR * max(level, 1.0))


def _worst_place(_ops: Operators, _values: str, _shape: tuple[int, int], _level: np.float32, highest: str) -> str:
    return highest


def _largest_area(ops: Operators, values: str, shape: tuple[int, int], level: np.float32, highest: str) -> str:
    area = largest_area(ops, ops("Greater", values, ops.constant(level)), shape)
    return ops("Add", area, ops("Div", highest, ops("Add", highest, ops.constant(1))))


def largest_area(ops: Operators, above: str, shape: tuple[int, int]) -> str:
    """Name of (batch,) float32, the places of the largest connected part; they touch along sides and corners.

    above: name of (batch, 1, *shape) bool, at most 2**24 places. Each place is labelled with its index. In each round
    it takes the highest label around it, then the label of the place that its label names: chains are halved. From
    operator set 18 on, the place that is named takes the highest label too, so that a dozen rounds do for any shape;
    before, windings take as many as they are long along one side. No round is run where nothing is above.
    """
    places = shape[0] * shape[1]
    there = ops.to_float(ops.reshape(above, -1, places))
    labels = ops("Mul", there, ops.constant(np.arange(places)[None]))

    def step(before: str) -> tuple[str, str]:
        around = ops(
            "MaxPool", ops.reshape(before, -1, 1, *shape), kernel_shape=(3, 3), pads=(1, 1, 1, 1), strides=(1, 1)
        )
        highest = ops("Mul", ops.reshape(around, -1, places), there)
        if ops.opset >= _TREES:
            named = ops.to_index(before, np.int64)
            highest = ops("ScatterElements", highest, named, highest, axis=1, reduction="max")
        named = ops.to_index(highest, np.int64)
        after = ops("Mul", ops("GatherElements", highest, named, axis=1), there)
        return after, _any(ops, ops("Sub", after, before))

    labels = ops.fragment.loop(labels, "float32", _any(ops, there), step)
    return ops.reduce("ReduceMax", ops("Mul", _equals(ops, labels, there, places), there), keep=False)


def _any(ops: Operators, values: str) -> str:
    """Whether one of the values (any, any), none of which is negative, is above 0: a bool without axes."""
    return ops("Greater", ops.reduce("ReduceSum", values, 0, 1, keep=False), ops.constant(0))


def _equals(ops: Operators, labels: str, there: str, places: int) -> str:
    """How many places of its frame have the label of each place that is there, (batch, places) float32."""
    index = ops.to_index(labels, np.int64)
    column = ops("Shape", ops.part(index, 0, 1))
    frames = ops("ConstantOfShape", column, value=np.array([places], np.int64))
    apart = ops("Add", index, ops("CumSum", frames, ops.constant(0, np.int64)))
    keys = ops("Mul", apart, ops.to_index(there, np.int64))
    _, _, inverse, counts = ops.fragment.several("Unique", keys, outputs=4)
    return ops.to_float(ops.reshape(ops("Gather", counts, inverse, axis=0), -1, places))


BUILDERS: dict[type[Logic], Callable[[Operators, str, tuple[int, int], np.float32, str], str]] = {
    LargestArea: _largest_area,
    WorstPlace: _worst_place,
}
"""The logics of places for which there are nodes, and what adds them."""
