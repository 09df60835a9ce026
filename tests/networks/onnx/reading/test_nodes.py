"""Nodes read alike, against what is written with the package onnx."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import helper, numpy_helper  # noqa: E402

from outrider.networks.onnx.proto import parse_model  # noqa: E402
from outrider.networks.onnx.reading.nodes import (  # noqa: E402
    Nodes,
    attribute,
    in_order,
    kind_of,
    operands,
    operator,
)


def graph(text, constants=(), outputs="y"):
    """A graph as our own messages hold it; the text says nodes as ``Add a b c``, the output last."""
    nodes = []
    for line in text.split(" ; "):
        op, *tensors = line.split()
        nodes.append(helper.make_node(op, tensors[:-1], tensors[-1:]))
    made = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ("n", 4))],
        [helper.make_empty_tensor_value_info(name) for name in outputs.split()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in dict(constants).items()],
    )
    return parse_model(helper.make_model(made).SerializeToString()).graph


@pytest.mark.parametrize(
    ("op", "inputs", "read_as", "values"),
    [
        ("Conv", "x w b", "conv", "x w b"),
        ("FusedConv", "x w b z", "conv", "x w b z"),
        ("NhwcFusedConv", "x w", "conv", "x w"),
        ("QLinearConv", "x xs xz w ws wz ys yz", "conv", "x w"),
        ("QLinearAdd", "a as az b bs bz ys yz", "add", "a b"),
        ("QLinearConcat", "ys yz a as az b bs bz", "concat", "a b"),
        ("QLinearSigmoid", "x xs xz ys yz", "sigmoid", "x"),
        ("QGemm", "a as az b bs bz", "gemm", "a b"),
        ("QuantizeLinear", "x s z", "quantizelinear", "x"),
        ("DequantizeLinear", "x s z", "dequantizelinear", "x"),
        ("MatMulIntegerToFloat", "a b as bs", "matmul", "a b as bs"),
    ],
)
def test_quantised_and_fused_nodes_are_read_as_what_they_compute(op, inputs, read_as, values):
    node = helper.make_node(op, inputs.split(), ["y"])
    assert (operator(node), list(operands(node))) == (read_as, values.split())


def test_the_kind_of_a_fused_node_is_its_activation():
    assert kind_of(helper.make_node("FusedConv", ["x", "w"], ["y"], activation="Relu")) == "relu"
    assert kind_of(helper.make_node("FusedConv", ["x", "w"], ["y"])) == "conv"
    assert kind_of(helper.make_node("LSTM", ["x", "w"], ["y"], activation="Affine")) == "lstm"


def test_attributes_of_every_type():
    node = helper.make_node("A", ["x"], ["y"], f=0.5, i=3, s="same", ints=[1, 2], floats=[0.5, 1.5], strings=["a"])
    assert [attribute(node, name) for name in ("f", "i", "s", "ints", "floats")] == [
        0.5, 3, "same", [1, 2], [0.5, 1.5]
    ]  # fmt: skip
    assert attribute(node, "strings", "unread") == "unread"
    assert attribute(node, "absent", 7) == 7


def test_tensors_that_depend_on_the_input_move_and_others_are_constants():
    nodes = Nodes(graph("Add one one c ; Relu x r ; Identity one i ; Mul r i m ; Add m m y", {"one": np.float32([2])}))
    assert nodes.order == ["r", "m", "y"]
    assert nodes.moving == {"x", "r", "m", "y"}
    assert [nodes.scalar(name) for name in ("one", "i", "c", "x")] == [2.0, 2.0, None, None]
    assert nodes.moving_operands(nodes.producers["m"]) == ["r"]
    assert nodes.only_reader("m").output == ["y"]
    assert nodes.only_reader("y") is None
    assert nodes.only_reader("one") is None


def test_only_small_constants_are_read():
    nodes = Nodes(graph("Add x w y", {"w": np.ones(65, np.float32), "v": np.arange(64, dtype=np.int64)}))
    assert nodes.constant("w") is None
    assert nodes.sizes("w") == (65,)
    np.testing.assert_array_equal(nodes.constant("v"), np.arange(64))
    assert nodes.scalar("v") is None


def test_codes_of_constants_are_the_numbers_that_they_stand_for():
    values = {"code": np.uint8([13]), "scale": np.float32(0.5), "zero": np.uint8(3), "three": np.float32(3)}
    text = "QuantizeLinear three scale zero q ; DequantizeLinear code scale zero d ; DequantizeLinear w scale zero e"
    nodes = Nodes(graph(f"{text} ; Add x d y", values | {"w": np.ones(65, np.uint8)}))
    assert [nodes.scalar(name) for name in ("q", "d", "e")] == [3.0, 5.0, None]
    assert nodes.constant("d").shape == (1,)
    assert nodes.quantised_scalar("code", "scale", "zero") == 5.0
    assert nodes.quantised_scalar("code", "scale") == 6.5
    assert nodes.quantised_scalar("three", "scale", "zero") == 3.0
    assert nodes.quantised_scalar("code", "w") is None


def test_nodes_are_put_behind_what_they_read():
    listed = graph("Add b a y ; Neg a b ; Relu x a").node
    assert [node.output[0] for node in in_order(listed)] == ["a", "b", "y"]
    kept = graph("Relu x a ; Neg x b ; Add a b y").node
    assert in_order(kept) == list(kept)
    circle = graph("Add x b a ; Neg a b ; Relu b y").node
    assert sorted(node.output[0] for node in in_order(circle)) == ["a", "b", "y"]
