"""ONNX models of several inputs, and recurrent ones, with frames for them."""

from __future__ import annotations

import numpy as np
from onnx import helper, numpy_helper

CAMERA, SPEED, CLASSES = (1, 6, 5), 4, 3


def _model(nodes, inputs, outputs, weights):
    graph = helper.make_graph(
        [helper.make_node(op, inputs_.split(), [output]) for op, inputs_, output in nodes], "test",
        [helper.make_tensor_value_info(name, 1, ("n", *shape)) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, 1, ("n", *shape)) for name, shape in outputs.items()],
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in weights.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def _weights():
    rng = np.random.default_rng(2)
    return {
        "w": rng.normal(0, 0.5, (6, 1, 3, 3)),
        "v": rng.normal(0, 0.5, (SPEED, 8)),
        "u": rng.normal(0, 0.5, (14, CLASSES)),
    }


_BODY = [
    ("Conv", "camera w", "c"), ("Relu", "c", "seen"), ("GlobalAveragePool", "seen", "p"), ("Flatten", "p", "flat"),
    ("MatMul", "{state} v", "m"), ("Relu", "m", "moved"),
]  # fmt: skip


def fused_model():
    """Scores (n, 3) of a picture and a vector, behind a ReLU of 6 channels and one of 8 neurons."""
    nodes = [(op, taken.format(state="speed"), output) for op, taken, output in _BODY]
    return _concatenated(nodes, {"camera": CAMERA, "speed": (SPEED,)}, {"scores": (CLASSES,)}, [])


def cell_model():
    """The same with the vector as a state, which an output h_out (n, 4) gives to the next frame."""
    nodes = [(op, taken.format(state="h_in"), output) for op, taken, output in _BODY]
    after = [("MatMul", "scores back", "b"), ("Add", "b h_in", "a"), ("Tanh", "a", "h_out")]
    return _concatenated(nodes, {"camera": CAMERA, "h_in": (SPEED,)}, {"scores": (CLASSES,), "h_out": (SPEED,)}, after)


def _concatenated(nodes, inputs, outputs, after):
    weights = _weights()
    top, bottom = weights.pop("u")[:6], _weights()["u"][6:]
    nodes = [*nodes, ("MatMul", "flat top", "t"), ("MatMul", "moved bottom", "d"), ("Add", "t d", "scores"), *after]
    weights |= {"top": top, "bottom": bottom}
    if after:
        weights["back"] = np.random.default_rng(3).normal(0, 0.3, (CLASSES, SPEED))
    return _model(nodes, inputs, outputs, weights)


def fused_frames(n, seed=0):
    """{input: (n, ...)} of the trusted kind."""
    rng = np.random.default_rng(seed)
    camera = rng.normal(0, 1, (n, *CAMERA)).astype(np.float32)
    return {"camera": camera, "speed": rng.normal(0, 1, (n, SPEED)).astype(np.float32)}
