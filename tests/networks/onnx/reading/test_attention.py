"""Which tensors hold what attention heads return."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import helper, numpy_helper  # noqa: E402

from outrider.networks.onnx.proto import parse_model  # noqa: E402
from outrider.networks.onnx.reading.attention import attention_heads  # noqa: E402
from outrider.networks.onnx.reading.nodes import Nodes  # noqa: E402


def heads(*nodes):
    """nodes: (operator, inputs, output, attributes)."""
    made = helper.make_graph(
        [helper.make_node(op, inputs.split(), [output], **attributes) for op, inputs, output, attributes in nodes],
        "test",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ("n", 4, 5, 5))],
        [helper.make_empty_tensor_value_info("h")],
        [numpy_helper.from_array(np.ones((5, 5), np.float32), "w")],
    )
    return attention_heads(Nodes(parse_model(helper.make_model(made).SerializeToString()).graph))


SCORES = [("MatMul", "x x", "s", {}), ("Softmax", "s", "p", {})]


@pytest.mark.parametrize(
    "between",
    [
        [],
        [("Dropout", "p", "q", {})],
        [("Mul", "p w", "r", {}), ("Cast", "r", "q", {"to": 1})],
        [("IsNaN", "p", "n", {}), ("Where", "n w p", "q", {})],
    ],
    ids=["at once", "dropout", "masked", "without NaN"],
)
def test_products_of_a_softmax_with_values_are_heads(between):
    last = between[-1][2] if between else "p"
    assert heads(*SCORES, *between, ("MatMul", f"{last} x", "h", {})) == {"h": None}


@pytest.mark.parametrize(
    "last",
    [("MatMul", "x p", "h", {}), ("MatMul", "p w", "h", {}), ("Mul", "p x", "h", {}), ("MatMul", "s x", "h", {})],
    ids=["softmax second", "with a weight", "no product", "in front of the softmax"],
)
def test_other_products_are_not(last):
    assert heads(*SCORES, last) == {}


def test_a_softmax_behind_another_operator_is_hidden():
    assert heads(*SCORES, ("Relu", "p", "q", {}), ("MatMul", "q x", "h", {})) == {}


@pytest.mark.parametrize(
    ("op", "attributes", "expected"),
    [
        ("Attention", {"q_num_heads": 4, "kv_num_heads": 2}, 4),
        ("MultiHeadAttention", {"num_heads": 6}, 6),
        ("Attention", {}, None),
    ],
)
def test_whole_attention_operators_say_their_heads(op, attributes, expected):
    assert heads((op, "x x x", "h", attributes)) == {"h": expected}
