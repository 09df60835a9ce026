"""Layer norms in several nodes, as exporters wrote them before opset 17."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import helper, numpy_helper  # noqa: E402

from outrider.networks.onnx.proto import parse_model  # noqa: E402
from outrider.networks.onnx.reading.nodes import Nodes  # noqa: E402
from outrider.networks.onnx.reading.norms import layer_norms_in_several_nodes  # noqa: E402

CENTRED = "ReduceMean x mu ; Sub x mu s ; "
DEVIATION = "ReduceMean p v ; Add v small ve ; Sqrt ve sd ; Div s sd n"
PARTS = {"mu", "s", "p", "v", "ve", "sd"}


def inside(text):
    nodes = []
    for line in text.split(" ; "):
        op, *tensors = line.split()
        nodes.append(helper.make_node(op, tensors[:-1], tensors[-1:]))
    values = {"two": 2.0, "small": 1e-5, "gain": np.ones(8), "bias": np.ones(8)}
    made = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ("n", 5, 8))],
        [helper.make_empty_tensor_value_info(nodes[-1].output[0])],
        [numpy_helper.from_array(np.float32(value), name) for name, value in values.items()],
    )
    return layer_norms_in_several_nodes(Nodes(parse_model(helper.make_model(made).SerializeToString()).graph))


@pytest.mark.parametrize("square", ["Pow s two p ; ", "Mul s s p ; "])
@pytest.mark.parametrize(
    ("tail", "end", "more"),
    [
        ("", "n", ""),
        (" ; Mul n gain g", "g", "n"),
        (" ; Mul n gain g ; Add g bias b", "b", "n g"),
        (" ; Mul n gain g ; Add g bias b ; Add b bias y", "b", "n g"),
        (" ; Mul n gain g ; Relu g r ; Add g r y", "g", "n"),
        (" ; Mul n x y", "n", ""),
    ],
)
def test_the_tensors_inside_lead_to_the_one_that_ends_it(square, tail, end, more):
    assert inside(CENTRED + square + DEVIATION + tail) == dict.fromkeys(PARTS | set(more.split()), end)


@pytest.mark.parametrize(
    "text",
    [
        "ReduceMean x mu ; Sub mu x s ; Pow s two p ; " + DEVIATION,  # mean - x
        "Neg x o ; ReduceMean o mu ; Sub x mu s ; Pow s two p ; " + DEVIATION,  # the mean of another tensor
        CENTRED + "Relu s p ; " + DEVIATION,  # no square
        CENTRED + "Pow s two p ; ReduceMean p v ; Sqrt v sd ; Div s sd n",  # nothing added
        CENTRED + "Pow s two p ; ReduceMax p v ; Add v small ve ; Sqrt ve sd ; Div s sd n",
    ],
)
def test_what_is_close_to_one_is_none(text):
    assert inside(text) == {}
