"""Models made with the package onnx, and what ONNX Runtime alone computes of them."""

from __future__ import annotations

import numpy as np
import pytest


def _weights(rng, *shape):
    return (rng.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)


def _model(batch="n", size=16, dtype=np.float32, tail=(), outputs=("logits",), prefix=""):
    """Two convolutions of 16 and 24 channels with ReLU, a residual one, a dense layer; then the nodes of `tail`."""
    from onnx import TensorProto, helper, numpy_helper, shape_inference

    rng = np.random.default_rng(1)
    constants = {
        "w1": _weights(rng, 16, 3, 3, 3),
        "w2": _weights(rng, 16, 16, 3, 3),
        "w3": _weights(rng, 24, 16, 3, 3),
        "w4": _weights(rng, 10, 24).T.copy(),
        "b4": _weights(rng, 10),
    }
    same = {"pads": [1, 1, 1, 1]}
    first = "x" if dtype == np.float32 else "floats"
    nodes = [
        *([] if first == "x" else [helper.make_node("Cast", ["x"], ["floats"], to=TensorProto.FLOAT)]),
        helper.make_node("Conv", [first, "w1"], ["c1"], **same),
        helper.make_node("Relu", ["c1"], [f"{prefix}r1"]),
        helper.make_node("Conv", [f"{prefix}r1", "w2"], ["c2"], **same),
        helper.make_node("Add", ["c2", f"{prefix}r1"], ["s2"]),
        helper.make_node("Relu", ["s2"], ["r2"]),
        helper.make_node("Conv", ["r2", "w3"], ["c3"], strides=[2, 2], **same),
        helper.make_node("Relu", ["c3"], ["r3"]),
        helper.make_node("GlobalAveragePool", ["r3"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "w4", "b4"], ["logits"]),
        *tail,
    ]
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), (batch, 3, size, size))],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return shape_inference.infer_shapes(made).SerializeToString()


@pytest.fixture
def model():
    return _model


def _chain(*nodes, shape=("n", 4), constants=(), dtype=np.float32):
    """A model from x to y; nodes are (operator, inputs, output, attributes)."""
    from onnx import helper, numpy_helper, shape_inference

    graph = helper.make_graph(
        [helper.make_node(op, inputs.split(), [output], **attributes) for op, inputs, output, attributes in nodes],
        "test",
        [helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)],
        [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(value, name) for name, value in constants],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return shape_inference.infer_shapes(made).SerializeToString()


@pytest.fixture
def chain():
    return _chain


def _run_bare(data, batch, names=None):
    """The model's outputs, or those of other tensors, with the package onnx and an ONNX Runtime session of its own."""
    import onnx
    import onnxruntime as ort
    from onnx import helper

    edited = onnx.load_from_string(data)
    for name in names or []:
        edited.graph.output.append(helper.make_empty_tensor_value_info(name))
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(edited.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(names, {session.get_inputs()[0].name: batch})


@pytest.fixture
def run_bare():
    return _run_bare


def _images(n=3, shape=(3, 16, 16), seed=0):
    return np.random.default_rng(seed).normal(size=(n, *shape)).astype(np.float32)


@pytest.fixture
def images():
    return _images


def _graph(nodes, inputs, outputs, constants=(), opset=17):
    """A model of nodes (operator, inputs, output, attributes); inputs {name: (dtype, shape)}, outputs {name: shape}.

    An output of the shape None says nothing of itself; others are float32.
    """
    from onnx import TensorProto, helper, numpy_helper

    made = helper.make_graph(
        [helper.make_node(op, names.split(), [output], **attributes) for op, names, output, attributes in nodes],
        "test",
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)
            for name, (dtype, shape) in inputs.items()
        ],
        [
            helper.make_empty_tensor_value_info(name)
            if shape is None
            else helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in outputs.items()
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in dict(constants).items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return model.SerializeToString()


@pytest.fixture
def graph():
    return _graph


def _run_alone(data, **feeds):
    """All outputs of a model, by an ONNX Runtime session of its own."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"]).run(None, feeds)


@pytest.fixture
def run_alone():
    return _run_alone


@pytest.fixture
def camera_and_state():
    """A model of a camera of bytes and a state of doubles, (batch, 3, 8, 8) and (batch, 5), with 4 class scores."""
    rng = np.random.default_rng(3)

    def make(batch="n", size=8):
        return _graph(
            [
                ("Cast", "camera", "picture", {"to": 1}),
                ("Conv", "picture w", "c", {"pads": [1] * 4}),
                ("Relu", "c", "r", {}),
                ("GlobalAveragePool", "r", "p", {}),
                ("Flatten", "p", "f", {}),
                ("Cast", "state", "s", {"to": 1}),
                ("Concat", "f s", "both", {"axis": 1}),
                ("MatMul", "both d", "h", {}),
                ("Relu", "h", "a", {}),
                ("Neg", "a", "y", {}),
            ],
            {"camera": (np.uint8, (batch, 3, size, size)), "state": (np.float64, (batch, 5))},
            {"y": (batch, 4)},
            {"w": weights[0], "d": weights[1]},
        )

    weights = _weights(rng, 8, 3, 3, 3), _weights(rng, 13, 4)
    return make


@pytest.fixture
def pairs():
    """Frames of a camera and a state."""

    def make(n, seed=0, size=8):
        rng = np.random.default_rng(seed)
        return rng.integers(0, 256, (n, 3, size, size), np.uint8), rng.normal(size=(n, 5))

    return make
