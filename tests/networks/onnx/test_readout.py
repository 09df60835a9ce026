"""Neurons and class scores out of the values of a run, new or into an array that stays."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from outrider.networks.onnx.reading.graph import OnnxGraph  # noqa: E402
from outrider.networks.onnx.readout import Read, neurons_out  # noqa: E402
from outrider.networks.tap import Tap  # noqa: E402

VALUES = np.arange(24).reshape(2, 12).astype(np.float32)


def tap(size, dtype="float32", kind="relu", name="t"):
    return Tap(name, kind, (size,), "NC", dtype, "unit")


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        (Read(tap(12), 0), VALUES, VALUES),
        (Read(tap(3), 0, slice(4, 7)), VALUES, VALUES[:, 4:7]),
        (Read(tap(12), 0, bare=True), VALUES[1], VALUES[1:]),
        (Read(tap(12, kind="output"), 0, scores="logits"), VALUES.astype(np.float64), VALUES),
        (Read(tap(12, kind="output"), 0, scores="logits"), VALUES.reshape(2, 12, 1, 1).astype(np.float16), VALUES),
        (Read(tap(2, kind="output"), 0, scores="logits"), np.float32([[3], [-1]]), [[0, 3], [0, -1]]),
        (Read(tap(2, kind="output"), 0, scores="probabilities"), np.float16([0.25, 1]), [[0.75, 0.25], [0, 1]]),
        (Read(tap(2, kind="output"), 0, bare=True, scores="probabilities"), np.float32([0.25]), [[0.75, 0.25]]),
        (Read(tap(12, kind="output"), 0, bare=True, scores="logits"), VALUES[1], VALUES[1:]),
    ],
)
def test_a_value_is_read_alike_anew_and_into_an_array(read, value, expected):
    found = read([value])
    np.testing.assert_array_equal(found, np.asarray(expected, np.float32))
    assert (found.dtype, found.flags.c_contiguous) == (np.float32, True)
    kept, own = np.zeros_like(value), np.full_like(found, 7)
    fills = read.fills([kept], own)
    kept[...] = value
    for fill in fills:
        fill()
    np.testing.assert_array_equal(own, found)


@pytest.mark.parametrize("opset", [11, 17])
def test_tensors_without_a_batch_axis_are_given_one_in_the_graph(graph, run_alone, opset):
    """A map (3, 4, 6) that is pooled, taken whole, and in half precision taken unit by unit."""
    nodes = [("Relu", "x", "map", {}), ("Cast", "map", "half", {"to": 10}), ("Neg", "map", "y", {})]
    data = graph(nodes, {"x": (np.float32, (3, 4, 6))}, {"y": None}, opset=opset)
    taps = [Tap("map", "relu", (3, 4, 6), "NCHW", "float32", neurons) for neurons in ("channel", "pixel")]
    taps.append(Tap("half", "cast", (3, 4, 6), "NCHW", "float16", "unit"))
    read = OnnxGraph(data)
    fragment, names, reads = neurons_out(read, taps, bare=("map", "half"))
    assert names[0] == "y"
    assert "map" not in names
    frame = np.random.default_rng(0).normal(size=(3, 4, 6)).astype(np.float32)
    values = run_alone(read.with_fragment(fragment), x=frame)
    channel, pixel, units = (one(values) for one in reads)
    expected = np.maximum(frame, 0)
    np.testing.assert_allclose(channel, [expected.mean((1, 2))], rtol=1e-6)
    np.testing.assert_array_equal(pixel, expected.reshape(3, 24).T)
    np.testing.assert_array_equal(units, [expected.astype(np.float16).ravel()])
