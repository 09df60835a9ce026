"""Maps and their scores in ONNX Runtime, held against numpy and a flood fill."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from outrider.coverage import SingleRange
from outrider.monitor.places import LargestArea, WorstPlace
from outrider.monitor.profile import Column
from outrider.networks import Tap
from outrider.networks.onnx.reading.graph import OnnxGraph
from outrider.runtime.in_graph import maps
from outrider.runtime.in_graph.operators import LOST, Operators
from outrider.runtime.in_graph.places import Placed

OPSETS = [11, 17, 18, 23]


def run(build, values, opset=17):
    """What `build(operators, name)` adds behind an input of floats."""
    axes = ["n", *values.shape[1:]]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, axes)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, axes)],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    behind = OnnxGraph(made.SerializeToString())
    fragment = behind.fragment()
    fragment.output(build(Operators(fragment), "y"), "float32")
    options = ort.SessionOptions()
    options.log_severity_level = 3
    running = ort.InferenceSession(behind.with_fragment(fragment), options, providers=["CPUExecutionProvider"])
    return running.run(None, {"x": np.asarray(values, np.float32)})[1]


def flooded(mask):
    """The places of the largest part that can be walked over, king's moves."""
    left = {tuple(place) for place in np.argwhere(mask).tolist()}
    largest = 0
    while left:
        edge, size = [left.pop()], 0
        while edge:
            y, x = edge.pop()
            size += 1
            around = {(y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= around
            edge += around
        largest = max(largest, size)
    return largest


def snake(height, width):
    """Rows of places joined at alternate ends."""
    mask = np.zeros((height, width), bool)
    mask[::2] = True
    mask[1::4, -1] = mask[3::4, 0] = True
    return mask


def spiral(side):
    """A line that winds inwards with a place between its windings."""
    mask = np.zeros((side, side), bool)
    y, x, dy, dx = 0, -1, 0, 1
    for length in [side, *np.repeat(np.arange(side - 1, 0, -2), 2)]:
        for _ in range(length):
            y, x = y + dy, x + dx
            mask[y, x] = True
        dy, dx = dx, -dy
    return mask


def shapes():
    rng = np.random.default_rng(0)
    return {
        "nothing": [np.zeros((5, 7), bool)],
        "everything": [np.ones((5, 7), bool)],
        "one place, the first or the last": [np.arange(35).reshape(5, 7) == k for k in (0, 34)],
        "corners touch": [np.eye(6, dtype=bool), np.eye(6, dtype=bool)[::-1]],
        "a line": [np.ones((1, 40), bool), np.arange(40)[None] % 9 > 0],
        "winding": [turn for mask in (snake(21, 21), spiral(21)) for turn in (mask, mask[::-1], mask[:, ::-1], mask.T)],
        "random": [rng.random((17, 23)) < share for share in (0.05, 0.2, 0.35, 0.41, 0.5, 0.7)],
    }


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("case", shapes())
def test_the_largest_part_is_that_of_a_flood_fill(case, opset):
    masks = shapes()[case]
    for several in ([masks[0]], masks) if len({mask.shape for mask in masks}) == 1 else ([mask] for mask in masks):
        batch = np.stack(several)[:, None]

        def build(ops, name, shape=batch.shape[2:]):
            return maps.largest_area(ops, ops("Greater", name, ops.constant(0.5)), shape)

        assert run(build, batch, opset).tolist() == [flooded(mask) for mask in several]


def test_frames_of_a_batch_do_not_touch_and_none_are_no_areas():
    full = np.ones((3, 1, 4, 4))
    full[1] = 0

    def build(ops, name):
        return maps.largest_area(ops, ops("Greater", name, ops.constant(0.5)), (4, 4))

    assert run(build, full).tolist() == [16, 0, 16]
    assert run(build, full[:0]).tolist() == []


class Facts:
    """What `add_map` reads of a profile: its taps, a column each."""

    def __init__(self, *taps):
        self.facts, self.taps = self, taps
        self.columns = [Column(SingleRange(), i, 0) for i in range(len(taps))]


def curves(columns, seed=0):
    """Curves with knots of equal value, one that begins level, and a steep tail."""
    rng = np.random.default_rng(seed)
    value = np.sort(np.round(rng.gamma(2, 2, (64, columns)), 1), axis=0).astype(np.float32)
    surprise = np.sort(rng.exponential(2, (64, columns)), axis=0)
    return {"value": value, "surprise": surprise, "excess": rng.uniform(0.01, 1, columns), "level": np.array([1.5])}


def surprise(values, scales, column):
    """-log p by numpy.interp; of equal knots the last holds from there on."""
    knots, heights = scales["value"][:, column].astype(float), scales["surprise"][:, column]
    found = np.interp(values, knots, heights)
    found += np.maximum(values - knots[-1], 0) / scales["excess"][column]
    for knot in np.unique(knots):
        found[values == knot] = heights[np.flatnonzero(knots == knot)[-1]]
    return np.where(np.isfinite(values), found, 2 * heights[-1] + 1)


def box_means(values, half):
    padded = np.pad(values, half, constant_values=np.nan)
    h, w = values.shape
    boxes = [padded[i : i + h, j : j + w] for i in range(2 * half + 1) for j in range(2 * half + 1)]
    return np.nanmean(boxes, axis=0)


class Wide(WorstPlace):
    """One whose box reaches as far on a small map."""

    def half(self, height, width):
        assert (height, width) == (9, 6)
        return self.smooth // 2


@pytest.mark.parametrize("smooth", [1, 3, 9])
@pytest.mark.parametrize("opset", OPSETS)
def test_the_map_is_the_smoothed_mean_of_the_surprise_of_all_columns(opset, smooth):
    """Two columns of one resolution, and one at windows of 4, of which the last hold fewer values."""
    fine, coarse = (Tap(name, "relu", (2, 9, 6), "NCHW", "float32", name) for name in ("pixel", "pixel4"))
    rng, scales = np.random.default_rng(1), curves(3)
    n, fines, coarses = 2, 54, 6
    values = [rng.gamma(2, 3, (n, fines, 2)).astype(np.float32), rng.gamma(2, 3, (n, coarses, 1)).astype(np.float32)]
    values[0][0, :40] = scales["value"][rng.integers(0, 64, (40, 2)), [0, 2]]  # on the knots
    values[0][0, 40, 0] = values[1][1, 3, 0] = np.inf
    flat = np.concatenate([part.reshape(n, -1) for part in values], axis=1)

    def build(ops, name):
        parts = [
            ops.reshape(ops.part(name, 0, 2 * fines), -1, 2),
            ops.reshape(ops.part(name, 2 * fines, flat.shape[1]), -1, 1),
        ]
        placed = [
            Placed(columns, axes, part, ops("Less", part, ops.constant(LOST)))
            for columns, axes, part in zip(((0, 2), (1,)), ((9, 6), ((9, 4), (6, 4))), parts, strict=True)
        ]
        return maps.add_map(ops, Wide(smooth), scales, placed, Facts(fine, coarse, fine))

    rows, columns = np.arange(9)[:, None] // 4, np.arange(6) // 4
    expected = []
    for frame in range(n):
        first, third = (surprise(values[0][frame, :, i], scales, 2 * i).reshape(9, 6) for i in (0, 1))
        second = surprise(values[1][frame, :, 0], scales, 1).reshape(3, 2)[rows, columns]
        expected.append(box_means((first + second + third) / 3, smooth // 2))
    found = run(build, flat, opset)
    assert found.shape == (n, 1, 9, 6)
    np.testing.assert_allclose(found[:, 0], expected, rtol=2e-6, atol=1e-6)


def test_scores_are_the_highest_value_or_the_largest_area_above_the_level():
    rng = np.random.default_rng(2)
    values = rng.gamma(2, 1, (6, 1, 8, 11)).astype(np.float32)
    scales = {"level": np.array([2.2])}
    values[3, 0, 2:5, 2:5] = np.float32(2.2)  # on the level, so not above it
    values[4] = 0

    def build(logic):
        return lambda ops, name: maps.add_score(ops, logic, scales, name, (8, 11))

    highest = values.reshape(6, -1).max(axis=1)
    np.testing.assert_array_equal(run(build(WorstPlace()), values), highest)
    area = [flooded(one[0] > np.float32(2.2)) for one in values]
    np.testing.assert_allclose(run(build(LargestArea()), values), area + highest / (1 + highest), rtol=1e-6)


def test_what_lies_a_rounding_above_the_level_is_on_it():
    level = 3.0
    values = np.full((1, 1, 3, 3), np.nextafter(np.float32(level), np.float32(9)))
    score = run(
        lambda ops, name: maps.add_score(ops, LargestArea(), {"level": np.array([level])}, name, (3, 3)), values
    )
    assert score < 1
    assert maps.level_of_areas(LargestArea(), {"level": np.array([level])}) == pytest.approx(level, rel=2e-6)
    assert maps.level_of_areas(WorstPlace(), {"level": np.array([level])}) is None


def test_what_has_no_nodes_is_told():
    assert maps.obstacle(LargestArea(), 11) == maps.obstacle(WorstPlace(), 9) == ""
    assert "expected opset 11 or newer for largest_area, got 10" in maps.obstacle(LargestArea(), 10)

    class Mine(WorstPlace):
        pass

    assert "expected a logic of places among largest_area, worst_place, got" in maps.obstacle(Mine(), 17)
