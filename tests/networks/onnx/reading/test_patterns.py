"""Activations written in several nodes, in the spellings that exporters use."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from onnx import helper, numpy_helper  # noqa: E402

from outrider.networks import OnnxNetwork  # noqa: E402
from outrider.networks.onnx.reading.graph import OnnxGraph  # noqa: E402

CONSTANTS = {
    "one": 1.0, "half": 0.5, "root": 2**0.5, "inverse": 0.5**0.5, "two": 2.0, "three": 3.0, "six": 6.0, "sixth": 1 / 6,
    "zero": 0.0, "cube": 0.044715, "rate": (2 / np.pi) ** 0.5, "alpha": 1.702, "tenth": 0.1, "small": 1e-12,
    "w": np.eye(4),
}  # fmt: skip
ATTRIBUTES = {
    "HardSigmoid": {"alpha": 1 / 6, "beta": 0.5},
    "Clip:relu6": {"min": 0.0, "max": 6.0},
}
TANH = "Pow x three p ; Mul cube p c ; Add x c s ; Mul rate s t ; Tanh t h ; Add h one a ; "
CUBED = "Mul x x q ; Mul q x p ; Mul p cube c ; Add c x s ; Mul s rate t ; Tanh t h ; Add one h a ; "
FACTORED = "Mul x x q ; Mul q cube c ; Add c one d ; Mul d x s ; Mul s rate t ; Tanh t h ; Add one h a ; "
ERF = "Div x root d ; Erf d e ; Add e one a ; "
SPELLINGS = [
    ("silu", "Sigmoid x s ; Mul x s y"),
    ("silu", "Sigmoid x s ; Mul s x y"),
    ("silu", "Neg x n ; Exp n e ; Add one e a ; Div x a y"),
    ("quickgelu", "Mul alpha x t ; Sigmoid t s ; Mul x s y"),
    ("gelu", ERF + "Mul x a m ; Mul m half y"),
    ("gelu", ERF + "Mul x half h ; Mul h a y"),
    ("gelu", ERF + "Mul a half h ; Mul h x y"),
    ("gelu", ERF + "Mul a x m ; Div m two y"),
    ("gelu", "Mul x inverse d ; Erf d e ; Add one e a ; Mul half x h ; Mul a h y"),
    ("gelu", TANH + "Mul x half b ; Mul b a y"),
    ("gelu", CUBED + "Mul half a b ; Mul b x y"),
    ("gelu", FACTORED + "Mul a x b ; Mul b half y"),
    ("hardswish", "HardSigmoid x s ; Mul x s y"),
    ("hardswish", "Add x three t ; Clip t zero six c ; Mul x c m ; Div m six y"),
    ("hardswish", "Add x three t ; Clip t zero six c ; Div c six d ; Mul x d y"),
    ("hardswish", "Add three x t ; Clip t zero six c ; Mul c sixth d ; Mul d x y"),
    ("hardswish", "Add x three t ; Relu t r ; Min r six c ; Mul x c m ; Mul m sixth y"),
    ("mish", "Softplus x p ; Tanh p t ; Mul x t y"),
    ("mish", "Exp x e ; Add e one a ; Log a p ; Tanh p t ; Mul t x y"),
    ("softplus", "Exp x e ; Add e one a ; Log a y"),
    ("relu", "Max x zero y"),
    ("clip", "Clip x zero six y"),
    ("clip", "Max x zero m ; Min m six y"),
    ("relu", "Min six x m ; Max zero m y"),
    ("clip", "Relu x r ; Min r six y"),
    ("leakyrelu", "Mul x tenth s ; Max x s y"),
    ("leakyrelu", "Mul x tenth s ; Greater x zero g ; Where g x s y"),
    ("elu", "Exp x e ; Sub e one m ; Less x zero g ; Where g m x y"),
    ("hardsigmoid", "Add x three t ; Clip t zero six c ; Div c six y"),
    ("sigmoid", "Neg x n ; Exp n e ; Add e one a ; Div one a y"),
]
NO_ACTIVATIONS = [
    ("mul", "Sigmoid x s ; Relu x r ; Mul r s y"),
    ("add", "Erf x e ; Add e x y"),
    ("mul", "MatMul x w p ; Sigmoid p s ; Mul x s y"),
    ("mul", "MatMul x w p ; Add p three t ; Clip t zero six c ; Div c six d ; Mul x d y"),
    ("clamp", "Clip x small y"),
    ("div", "Div x two y"),
    ("mul", "Mul x x y"),
]


def model(text, opset=17):
    nodes = []
    for line in text.split(" ; "):
        op, *tensors = line.split()
        nodes.append(helper.make_node(op, tensors[:-1], tensors[-1:], **ATTRIBUTES.get(op, {})))
    nodes.append(helper.make_node("Neg", ["y"], ["end"]))
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ("n", 4))],
        [helper.make_empty_tensor_value_info("end")],
        [numpy_helper.from_array(np.float32(value), name) for name, value in CONSTANTS.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8).SerializeToString()


@pytest.mark.parametrize(("kind", "text"), SPELLINGS)
def test_spellings_have_the_kind_of_what_they_compute_at_their_end(kind, text):
    data = model(text)
    kinds = OnnxGraph(data).kinds
    assert kinds["y"] == kind
    assert [tap.name for tap in OnnxNetwork(data, taps="auto", classes=None).taps] == ["y"]


@pytest.mark.parametrize(("kind", "text"), NO_ACTIVATIONS)
def test_gates_and_arithmetic_are_no_activations(kind, text):
    assert OnnxGraph(model(text)).kinds["y"] == kind


def test_an_activation_behind_another_is_one_of_its_own():
    kinds = OnnxGraph(model("Sigmoid x s ; Mul x s m ; Relu m r ; Sigmoid r g ; Mul r g y")).kinds
    assert (kinds["m"], kinds["r"], kinds["y"]) == ("silu", "relu", "silu")
    assert (kinds["s"], kinds["g"]) == ("silu-part", "silu-part")


@pytest.mark.parametrize("opset", [7, 10])
def test_bounds_may_be_attributes(opset):
    node = helper.make_node("Clip", ["x"], ["y"], min=0.0, max=6.0)
    edited = onnx.load_from_string(model("Neg x y", opset))
    del edited.graph.node[:]
    edited.graph.node.extend([node, helper.make_node("Neg", ["y"], ["end"])])
    assert OnnxGraph(edited.SerializeToString()).kinds["y"] == "clip"


def test_constants_may_be_nodes_and_behind_identities():
    made = onnx.load_from_string(model("Sigmoid x s ; Mul x s y"))
    three = numpy_helper.from_array(np.float32([3]), "")
    del made.graph.node[:]
    made.graph.node.extend([
        helper.make_node("Constant", [], ["c3"], value=three),
        helper.make_node("Identity", ["six"], ["c6"]),
        helper.make_node("Add", ["x", "c3"], ["t"]),
        helper.make_node("Clip", ["t", "zero", "c6"], ["c"]),
        helper.make_node("Mul", ["x", "c"], ["m"]),
        helper.make_node("Div", ["m", "c6"], ["y"]),
        helper.make_node("Neg", ["y"], ["end"]),
    ])  # fmt: skip
    assert OnnxGraph(made.SerializeToString()).kinds["y"] == "hardswish"


def test_squeezing_gates_are_left_out_where_there_are_activations():
    """Squeeze-excitation as MobileNetV3 and EfficientNet have it."""
    text = "Relu x r ; MatMul r w p ; HardSigmoid p g ; Mul r g m ; Sigmoid m s ; Mul m s y"
    assert [tap.name for tap in OnnxNetwork(model(text), taps="auto", classes=None).taps] == ["r", "y"]


def test_what_is_fused_into_a_layer_is_its_activation():
    nodes = [
        helper.make_node("FusedGemm", ["x", "w"], ["a"], domain="com.microsoft", activation="Relu"),
        helper.make_node("QuickGelu", ["a"], ["q"], domain="com.microsoft"),
        helper.make_node("BiasGelu", ["q", "bias"], ["g"], domain="com.microsoft"),
        helper.make_node("SkipLayerNormalization", ["g", "x", "bias"], ["end"], domain="com.microsoft"),
    ]
    made = onnx.load_from_string(model("Neg x y"))
    del made.graph.node[:]
    made.graph.node.extend(nodes)
    made.graph.initializer.append(numpy_helper.from_array(np.ones(4, np.float32), "bias"))
    made.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    network = OnnxNetwork(made.SerializeToString(), taps="auto", classes=None)
    assert [(tap.name, tap.kind) for tap in network.taps] == [("a", "relu"), ("q", "quickgelu"), ("g", "biasgelu")]
