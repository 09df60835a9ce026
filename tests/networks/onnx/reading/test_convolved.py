from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import helper, numpy_helper  # noqa: E402

from outrider.networks.onnx.reading.convolved import convolved_tensors  # noqa: E402
from outrider.networks.onnx.reading.graph import OnnxGraph  # noqa: E402

NODES = [
    ("Conv", "x w", "c", True),
    ("Relu", "c", "r", True),
    ("Conv", "r w", "d", True),
    ("Add", "d r", "s", True),
    ("Clip", "s low", "k", True),
    ("HardSigmoid", "k", "gate", True),
    ("Mul", "k gate", "swish", True),
    ("Mul", "k s", "product", False),
    ("Add", "k x", "with_input", False),
    ("Add", "k low", "with_constant", False),
    ("GlobalAveragePool", "k", "p", False),
    ("Relu", "p", "of_pool", False),
    ("Relu", "x", "of_input", False),
    ("Conv", "x w1", "signal", False),
    ("Transpose", "k", "t", False),
    ("Relu", "t", "y", False),
]


def test_maps_of_convolutions_are_told_from_others():
    weights = [numpy_helper.from_array(np.zeros((3, 3, 1, 1), np.float32), "w"),
               numpy_helper.from_array(np.zeros((3, 3, 1), np.float32), "w1"),
               numpy_helper.from_array(np.float32(0), "low")]  # fmt: skip
    graph = helper.make_graph(
        [helper.make_node(op, inputs.split(), [output]) for op, inputs, output, _ in NODES],
        "test",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, (1, 3, 8, 8))],
        [helper.make_empty_tensor_value_info("y")],
        weights,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    found = convolved_tensors(OnnxGraph(made.SerializeToString()).nodes)
    assert found == {output for _, _, output, blocked in NODES if blocked}
