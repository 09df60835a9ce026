"""Graphs that cannot be computed, edited with the package onnx; each error names the node and the tensor."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from onnx import helper, numpy_helper  # noqa: E402

from outrider.networks import OnnxNetwork  # noqa: E402
from outrider.networks.onnx.reading.graph import OnnxGraph  # noqa: E402

FLOAT = onnx.TensorProto.FLOAT


def node(op, inputs, output, name="", **attributes):
    return helper.make_node(op, inputs.split(), [output], name, **attributes)


def graph(*nodes, inputs=(("x", ("n", 4)),), outputs=("y",), weights=()):
    return helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in inputs],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        weights,
    )


def model(*nodes, opsets=(("", 17),), functions=(), **options):
    imports = [helper.make_opsetid(*entry) for entry in opsets]
    made = helper.make_model(graph(*nodes, **options), opset_imports=imports, ir_version=8, functions=functions)
    return made.SerializeToString()


def weight(values, name="w", **fields):
    tensor = numpy_helper.from_array(np.asarray(values, np.float32), name)
    for field, value in fields.items():
        setattr(tensor, field, value)
    return tensor


RELU = node("Relu", "x", "r", "act"), node("Neg", "r", "y")
BRANCH = graph(node("Relu", "x", "inner", "deep"), node("Neg", "inner", "out"), inputs=(), outputs=("out",))
LOST = graph(node("Add", "x lost", "out", "adds"), inputs=(), outputs=("out",))


def choice(then, otherwise):
    return (
        node("ReduceSum", "x", "s", keepdims=0),
        node("Cast", "s", "c", to=onnx.TensorProto.BOOL),
        node("If", "c", "i", "fork", then_branch=then, else_branch=otherwise),
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            model(node("Relu", "x", "first"), node("Add", "first frist", "y", "sum")),
            r"node 'sum' \(Add\) reads 'frist', which nothing computes \(did you mean 'first'",
        ),
        (
            model(node("Add", "x z", "y")),
            r"got one that cannot: node 'y' \(Add\) reads 'z', which nothing computes",
        ),
        (
            model(node("Neg", "r", "y", "b"), node("Relu", "x", "r", "a")),
            None,
        ),
        (
            model(node("Add", "x c", "a", "one"), node("Relu", "a", "b"), node("Neg", "b", "c", "two"), *RELU),
            r"node 'b' \(Relu\) reads 'a', which depends on .*: node 'one' \(Add\) closes the circle",
        ),
        (model(node("Add", "x y", "y", "own")), r"node 'own' \(Add\) closes the circle"),
        (
            model(node("Relu", "x", "r", "a"), node("Neg", "x", "r", "b"), node("Neg", "r", "y")),
            r"tensor 'r' is computed twice: by node 'a' \(Relu\) and by node 'b' \(Neg\)",
        ),
        (
            model(node("Relu", "x", "w", "a"), node("Neg", "w", "y"), weights=[weight([1])]),
            r"tensor 'w' is computed twice: by node 'a' \(Relu\), and is an input or a weight",
        ),
        (model(*RELU, outputs=("y", "z")), "output 'z' is computed by no node"),
        (
            model(*RELU, weights=[weight([1, 2], raw_data=b"\0" * 7)]),
            r"initializer 'w': expected 8 bytes for shape \(2,\), got 7",
        ),
        (
            model(*RELU, weights=[helper.make_tensor("w", FLOAT, [2], [1, 2]), weight([])]),
            None,
        ),
        (
            model(*RELU, weights=[onnx.TensorProto(name="w", data_type=FLOAT, dims=[3], float_data=[1, 2])]),
            r"initializer 'w': expected 3 numbers for shape \(3,\), got 2",
        ),
        (
            model(*RELU, weights=[onnx.TensorProto(name="w", data_type=FLOAT, dims=[-1])]),
            r"initializer 'w': expected sizes from 0, got \(-1,\)",
        ),
        (model(*choice(LOST, BRANCH), node("Neg", "i", "y")), r"node 'adds' \(Add\) reads 'lost', which nothing"),
    ],
)  # fmt: skip
def test_graphs_that_cannot_be_computed_are_refused(data, message):
    if message is None:
        OnnxGraph(data)
        return
    with pytest.raises(ValueError, match=message):
        OnnxNetwork(data)


@pytest.mark.parametrize("dtype", [onnx.TensorProto.INT4, onnx.TensorProto.UINT8, onnx.TensorProto.FLOAT16, 14])
def test_weights_of_every_type_have_their_size(dtype):
    for raw in (False, True):
        tensor = helper.make_tensor("w", dtype, [3], [1, 2, 3]) if not raw else None
        if raw:
            size = {onnx.TensorProto.INT4: 2, onnx.TensorProto.UINT8: 3, onnx.TensorProto.FLOAT16: 6, 14: 24}[dtype]
            tensor = onnx.TensorProto(name="w", data_type=dtype, dims=[3], raw_data=b"\0" * size)
        assert OnnxGraph(model(*RELU, weights=[tensor])).outputs == ("y",)


def test_tensors_inside_subgraphs_say_where_they_lie():
    data = model(*choice(BRANCH, BRANCH), node("Neg", "i", "y"), opsets=(("", 11),))
    with pytest.raises(
        ValueError, match=r"'inner' cannot be tapped: it lies inside node 'fork' \(If\), and only tensors"
    ):
        OnnxNetwork(data, taps="inner")
    with pytest.raises(
        ValueError,
        match=r"expected activations to tap, got none; .*'inner' cannot be tapped: it lies inside node 'fork'",
    ):
        OnnxNetwork(data, taps="auto")
    network = OnnxNetwork(data, taps="i")
    assert [tap.name for tap in network.taps] == ["i", "y"]


def test_tensors_inside_local_functions_say_where_they_lie():
    function = helper.make_function(
        "own", "Act", ["a"], ["b"], [node("Relu", "a", "r"), node("Neg", "r", "b")], [helper.make_opsetid("", 17)]
    )
    opsets = ("", 17), ("own", 1)
    data = model(
        node("Act", "x", "f", "call", domain="own"), node("Neg", "f", "y"), opsets=opsets, functions=[function]
    )
    message = r"'r' cannot be tapped: it lies inside the local function 'Act', which node 'call' \(Act\) calls"
    for taps in ("r", "auto"):
        with pytest.raises(ValueError, match=message):
            OnnxNetwork(data, taps=taps)
    np.testing.assert_array_equal(
        OnnxNetwork(data, taps="f").observe(np.float32([[1, -1, 2, 0]])).activations[0], [[-1, 0, -2, 0]]
    )


WHOLE = model(
    *choice(BRANCH, BRANCH),
    node("MatMul", "i w", "m", "product"),
    node("Sigmoid", "m", "g"),
    node("Mul", "m g", "silu"),
    node("Identity", "w", "copy"),
    node("Clip", "silu", "y"),
    weights=[weight(np.ones((4, 4)))],
    opsets=(("", 11),),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(1, 255)), min_size=1, max_size=4), st.booleans())
def test_flipped_bytes_give_a_value_error_or_a_graph(flips, cut):
    data = bytearray(WHOLE)
    for index, bits in flips:
        data[index] ^= bits
    with suppress(ValueError):
        OnnxGraph(bytes(data[: flips[0][0]] if cut else data))
