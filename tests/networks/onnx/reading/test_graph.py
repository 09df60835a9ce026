"""What is read of ONNX files, and what is written behind them, against the package onnx."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("google.protobuf")

from onnx import helper, numpy_helper  # noqa: E402

from outrider.networks.onnx.reading.graph import OnnxGraph  # noqa: E402

FLOAT = onnx.TensorProto.FLOAT


def model(nodes, constants=(), shape=("n", 4), outputs=("y",)):
    """Bytes of a model from x to y; nodes are (operator, inputs, output)."""
    graph = helper.make_graph(
        [helper.make_node(op, inputs.split(), [output]) for op, inputs, output in nodes],
        "test",
        [helper.make_tensor_value_info("x", FLOAT, shape)],
        [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.float32(value), name) for name, value in constants],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()


def kinds(*nodes):
    constants = [("half", 0.5), ("one", 1.0), ("root", 1.41421356), ("w", np.ones((4, 4)))]
    return OnnxGraph(model(nodes, constants)).kinds


def test_tensors_that_depend_on_the_input_have_the_kind_of_their_operator():
    assert kinds(("Add", "one half", "c"), ("Relu", "x", "a"), ("Mul", "a c", "y")) == {"a": "relu", "y": "mul"}


GELU = [("Div", "x root", "d"), ("Erf", "d", "e"), ("Add", "e one", "a")]


@pytest.mark.parametrize(
    ("kind", "nodes"),
    [
        ("silu", [("Sigmoid", "x", "s"), ("Mul", "x s", "y")]),
        ("silu", [("Sigmoid", "x", "s"), ("Mul", "s x", "y")]),
        ("hardswish", [("HardSigmoid", "x", "s"), ("Mul", "x s", "y")]),
        ("mish", [("Softplus", "x", "p"), ("Tanh", "p", "t"), ("Mul", "x t", "y")]),
        ("gelu", [*GELU, ("Mul", "x a", "m"), ("Mul", "m half", "y")]),
        ("gelu", [*GELU, ("Mul", "x half", "h"), ("Mul", "h a", "y")]),
    ],
)
def test_activations_in_several_nodes_are_named_at_their_end(kind, nodes):
    found = kinds(*nodes)
    assert found["y"] == kind
    assert list(found.values()).count(kind) == 1
    assert "softplus" not in found.values()


def test_gates_that_gate_something_else_stay_gates():
    assert kinds(("Sigmoid", "x", "s"), ("Relu", "x", "r"), ("Mul", "r s", "y"))["y"] == "mul"
    assert kinds(("Erf", "x", "e"), ("Add", "e x", "y"))["y"] == "add"


def test_channels_are_last_behind_a_dense_layer():
    nodes = [
        ("MatMul", "x w", "m"),
        ("Add", "m one", "b"),
        ("Relu", "b", "r"),
        ("Flatten", "r", "f"),
        ("Relu", "f", "y"),
    ]
    graph = OnnxGraph(model(nodes, [("w", np.ones((4, 4))), ("one", 1.0)]))
    assert [graph.channel_axis(name) for name in ("x", "m", "b", "r", "f", "y")] == [-1, -1, -1, -1, None, None]
    attention = OnnxGraph(model([("Relu", "x", "r"), ("MatMul", "x r", "y")]))
    assert attention.channel_axis("y") is None


def test_nodes_and_outputs_are_added_behind_bytes_that_stay_as_they_are():
    data = model([("Relu", "x", "r"), ("Neg", "r", "y")], shape=("n", 3, 4, 4))
    graph = OnnxGraph(data)
    fragment = graph.fragment()
    fragment.node("AveragePool", "r", output="pooled", kernel_shape=(2, 2), strides=(2, 2))
    fragment.output("r")
    fragment.output("pooled")
    more = graph.with_fragment(fragment)
    assert more.startswith(data)
    merged = onnx.load_from_string(more)
    assert [output.name for output in merged.graph.output] == ["y", "r", "pooled"]
    added = merged.graph.node[-1]
    pool = {"kernel_shape": (2, 2), "strides": (2, 2)}
    assert added == helper.make_node("AveragePool", ["r"], ["pooled"], "pooled", domain="", **pool)
    del merged.graph.node[-1], merged.graph.output[1:]
    assert merged == onnx.load_from_string(data)


def test_names_that_are_taken_are_avoided():
    graph = OnnxGraph(model([("Relu", "x", "outrider0"), ("Neg", "outrider0", "y")]))
    assert graph.unused_name("outrider") == "outrider_"
    assert graph.unused_name("tap") == "tap"


@pytest.mark.parametrize("data", [b"", b"\x0a", b"not a model", b"version https://git-lfs.github.com/spec/v1\n"])
def test_what_is_no_model_is_refused(data):
    with pytest.raises(ValueError, match="expected an ONNX model, got"):
        OnnxGraph(data)


def test_no_truncated_model_raises_anything_else():
    data = model([("Relu", "x", "y")])
    for length in range(len(data)):
        try:
            OnnxGraph(data[:length])
        except ValueError as error:
            assert "expected an ONNX model" in str(error)  # noqa: PT017 - some prefixes are models
