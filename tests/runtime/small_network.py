"""A network of a few microseconds and a calibrated monitor of it, for the tests of the guard."""

from __future__ import annotations

import numpy as np
from onnx import helper, numpy_helper

from outrider.coverage import SingleRange
from outrider.monitor import Monitor, Status
from outrider.networks import OnnxNetwork


def model():
    """Scores (n, 2) of frames (n, 1, 4, 4), behind one ReLU."""
    rng = np.random.default_rng(0)
    weights = {
        "w": rng.normal(size=(6, 1, 3, 3)),
        "d": rng.normal(size=(6, 2)),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("MatMul", ["f", "d"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "test", [helper.make_tensor_value_info("x", 1, ("n", 1, 4, 4))],
        [helper.make_tensor_value_info("y", 1, ("n", 2))],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def frames(n, seed=0):
    return np.random.default_rng(seed).random((n, 1, 4, 4), np.float32)


CLEAN, STRANGE = frames(1, 7)[0], 50 * frames(1, 9)[0]


def calibrated(network=None):
    """A monitor for which `CLEAN` is clean and `STRANGE` is not; by default of a network without classes."""
    network = network or OnnxNetwork(model(), taps="auto", neurons="unit", classes=None)
    monitor = Monitor(network, {"r": SingleRange()})
    monitor.profile([frames(400)], minimum_per_class=0)
    monitor.calibrate([frames(200, 1)], 0.05)
    assert not monitor(CLEAN)[1].alarm
    assert monitor(STRANGE)[1].status == Status.ALARM
    return monitor
