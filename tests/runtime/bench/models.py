"""Tiny ONNX models of several kinds, and profiles of them."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from outrider.networks import OnnxNetwork

from .. import small_network


def _saved(path, nodes, inputs, outputs, weights):
    kept = [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "test", inputs, outputs, kept)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def watched(path, batch="n", sides=(8, 8)):
    """Scores (n, 3) of frames (n, 3, 8, 8), behind two convolutions of 6 and 4 channels with ReLU."""
    rng = np.random.default_rng(1)
    shapes = {"w1": (6, 3, 3, 3), "w2": (4, 6, 3, 3), "d": (4, 3)}
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["c1"], pads=[1] * 4),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], pads=[1] * 4, strides=[2, 2]),
        helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("GlobalAveragePool", ["r2"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("MatMul", ["f", "d"], ["y"]),
    ]
    return _saved(
        path, nodes, [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, *sides])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 3])],
        {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()},
    )  # fmt: skip


def of_one_frame(path):
    """Four numbers (1, 4) of a frame (3, 16, 16) without a batch axis."""
    nodes = [
        helper.make_node("Unsqueeze", ["x", "axis"], ["u"]),
        helper.make_node("Conv", ["u", "k"], ["c"]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Flatten", ["p"], ["y"]),
    ]
    kernels = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
    return _saved(
        path, nodes, [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, 16, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])], {"k": kernels, "axis": np.array([0])},
    )  # fmt: skip


def of_tokens(path):
    """Scores (n, 3) of 12 tokens, of which there are two, behind one ReLU."""
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Gather", ["e", "x"], ["h"]),
        helper.make_node("MatMul", ["h", "w"], ["z"]),
        helper.make_node("Relu", ["z"], ["r"]),
        helper.make_node("ReduceMean", ["r"], ["m"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["m", "d"], ["y"]),
    ]
    shapes = {"e": (2, 16), "w": (16, 16), "d": (16, 3)}
    return _saved(
        path, nodes, [helper.make_tensor_value_info("x", TensorProto.INT64, ["n", 12])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()},
    )  # fmt: skip


def without_activations(path):
    """A product of (n, 6) and a matrix."""
    return _saved(
        path, [helper.make_node("MatMul", ["x", "w"], ["y"])],
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])], {"w": np.eye(6, 3, dtype=np.float32)},
    )  # fmt: skip


def profiled(folder, minimum_per_class=0):
    """(model, profile) of the network of the guard's tests. minimum_per_class: below which a class always alarms."""
    path, profile = folder / "small.onnx", folder / "small.outrider"
    path.write_bytes(small_network.model())
    network = OnnxNetwork(path, taps="auto", neurons="unit", classes=None)
    monitor = small_network.calibrated(network)
    monitor.learned.trusted.minimum_per_class = minimum_per_class
    monitor.save(profile)
    network.close()
    return path, profile
