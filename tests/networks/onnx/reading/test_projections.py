"""Which tensors enter the output projections of attention."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import helper, numpy_helper  # noqa: E402

from outrider.networks.onnx.proto import parse_model  # noqa: E402
from outrider.networks.onnx.reading.nodes import Nodes  # noqa: E402
from outrider.networks.onnx.reading.projections import projection_inputs  # noqa: E402


def entering(*nodes, heads=("h",)):
    """nodes: (operator, inputs, outputs), behind h and i, which depend on the input; w, v and s are weights."""
    first = [("Identity", "x", "h"), ("Neg", "x", "i")]
    made = helper.make_graph(
        [helper.make_node(op, inputs.split(), outputs.split()) for op, inputs, outputs in (*first, *nodes)],
        "test",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ("n", 5, 6))],
        [helper.make_empty_tensor_value_info("h")],
        [numpy_helper.from_array(np.ones((6, 6), np.float32), name) for name in "wvs"],
    )
    return projection_inputs(Nodes(parse_model(helper.make_model(made).SerializeToString()).graph), heads)


CASES = {
    "at once": ([("MatMul", "h w", "y")], ("h",)),
    "4 bits": ([("MatMulNBits", "h w s", "y")], ("h",)),
    "merged and flattened": (
        [("Transpose", "h", "t"), ("Reshape", "t s", "m"), ("Reshape", "m s", "f"), ("Gemm", "f w v", "y")],
        ("f", "m", "t"),
    ),
    "with its shape read": ([("Shape", "h", "z"), ("Transpose", "h", "t"), ("MatMul", "t w", "y")], ("t",)),
    "gated": ([("Sigmoid", "i", "g"), ("Mul", "h g", "m"), ("MatMul", "m w", "y")], ("m",)),
    "normed": ([("SimplifiedLayerNormalization", "h v", "m"), ("Cast", "m", "c"), ("MatMul", "c w", "y")], ("c", "m")),
    "with an adapter": ([("MatMul", "h w", "y"), ("MatMul", "h v", "z")], ("h",)),
    "quantised on the way": (
        [("DynamicQuantizeLinear", "h", "q a b"), ("MatMulInteger", "q w b s", "y")],
        ("h",),
    ),
    "quantised and back": (
        [("QuantizeLinear", "h s", "q"), ("DequantizeLinear", "q s", "d"), ("MatMul", "d w", "y")],
        ("h",),
    ),
    "weights quantised": ([("DequantizeLinear", "w s", "d"), ("MatMul", "h d", "y")], ("h",)),
}


@pytest.mark.parametrize("name", CASES)
def test_what_enters_the_projection(name):
    nodes, expected = CASES[name]
    assert entering(*nodes) == {"h": expected}


@pytest.mark.parametrize(
    "nodes",
    [
        [("Relu", "h", "r"), ("MatMul", "r w", "y")],
        [("MatMul", "h i", "y")],
        [("MatMul", "w h", "y")],
        [("MatMul", "h w", "y"), ("Transpose", "h", "t"), ("MatMul", "t w", "z")],
    ],
    ids=["behind an activation", "another product", "weights first", "two that read different numbers"],
)
def test_what_has_no_projection_of_its_own_is_left_out(nodes):
    assert entering(*nodes) == {}


def test_layers_stay_in_their_order():
    nodes = [("MatMul", "i w", "y"), ("MatMul", "h w", "z")]
    assert list(entering(*nodes, heads=("h", "i")).items()) == [("h", ("h",)), ("i", ("i",))]
