"""Small ONNX models of a video, of several views, and of a detector, and what ONNX Runtime alone shows of them."""

from __future__ import annotations

import functools

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper

VOLUME, VIEWS, PICTURE = (2, 4, 6, 6), (4, 2, 6, 6), (3, 8, 8)
THRESHOLD = 2.0  # a cell of the detector whose highest value is above it is a region


def _weights(*shape, seed=0):
    return (np.random.default_rng(seed).normal(size=shape) * np.sqrt(2 / np.prod(shape[1:]))).astype(np.float32)


def _model(nodes, shape, outputs, constants, batch, opset=17):
    graph = helper.make_graph(
        [helper.make_node(op, inputs.split(), [output], **attributes) for op, inputs, output, attributes in nodes],
        "test",
        [helper.make_tensor_value_info("x", 1, (batch, *shape))],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return onnx.shape_inference.infer_shapes(made).SerializeToString()


def _scores(features, mean):
    """Weights and bias of class scores that tell features around their mean apart."""
    weights = _weights(features, 3, seed=7) * 9
    return {"u": weights, "z": -(np.full(features, mean, np.float32) @ weights)}


def volumes(batch="n"):
    """A convolution over volumes (n, 2, 4, 6, 6): maps r (n, 8, 4, 6, 6), and scores (n, 3)."""
    nodes = [
        ("Conv", "x w", "c", {"pads": [1] * 6}),
        ("Relu", "c", "r", {}),
        ("GlobalAveragePool", "r", "p", {}),
        ("Flatten", "p", "f", {}),
        ("Gemm", "f u z", "y", {}),
    ]
    return _model(nodes, VOLUME, ["y"], {"w": _weights(8, 2, 3, 3, 3), **_scores(8, 0.45)}, batch)


def views(batch="n"):
    """Four views a frame, (n, 4, 2, 6, 6): maps r (n * 4, 8, 6, 6), rows d (n * 4, 6), and scores (n, 3)."""
    constants = {
        "apart": np.array([-1, *VIEWS[1:]]), "w": _weights(8, 2, 3, 3), "v": np.abs(_weights(8, 6, seed=1)),
        "beside": np.array([-1, 4, 6]), **_scores(6, [2.2, 2.0, 0.5, 1.4, 1.2, 1.2]),
    }  # fmt: skip
    nodes = [
        ("Reshape", "x apart", "a", {}),
        ("Conv", "a w", "c", {"pads": [1] * 4}),
        ("Relu", "c", "r", {}),
        ("GlobalAveragePool", "r", "p", {}),
        ("Flatten", "p", "f", {}),
        ("MatMul", "f v", "m", {}),
        ("Relu", "m", "d", {}),
        ("Reshape", "d beside", "b", {}),
        ("ReduceMean", "b", "s", {"axes": [1], "keepdims": 0}),
        ("Relu", "s", "e", {}),
        ("Gemm", "e u z", "y", {}),
    ]
    return _model(nodes, VIEWS, ["y"], constants, batch)


def regions(batch="n"):
    """A detector on pictures (n, 3, 8, 8): maps r (n, 8, 4, 4); of each cell above THRESHOLD, a row d (any, 6).

    Outputs: scores y (n, 3) and boxes (any, 4).
    """
    constants = {
        "w": _weights(8, 3, 3, 3), "t": np.array(THRESHOLD, np.float32), "flat": np.array([-1, 8]),
        "v": _weights(8, 6, seed=1), "o": _weights(6, 4, seed=2), **_scores(8, 0.48),
    }  # fmt: skip
    nodes = [
        ("Conv", "x w", "c", {"pads": [1] * 4, "strides": [2, 2]}),
        ("Relu", "c", "r", {}),
        ("Transpose", "r", "last", {"perm": [0, 2, 3, 1]}),
        ("Reshape", "last flat", "cells", {}),
        ("ReduceMax", "cells", "highest", {"axes": [1], "keepdims": 0}),
        ("Greater", "highest t", "which", {}),
        ("Compress", "cells which", "found", {"axis": 0}),
        ("MatMul", "found v", "m", {}),
        ("Relu", "m", "d", {}),
        ("MatMul", "d o", "boxes", {}),
        ("GlobalAveragePool", "r", "p", {}),
        ("Flatten", "p", "f", {}),
        ("Gemm", "f u z", "y", {}),
    ]
    return _model(nodes, PICTURE, ["y", "boxes"], constants, batch)


def frames(shape, n, seed=0, scale=1.0):
    """Frames, of which some are brighter than others."""
    rng = np.random.default_rng(seed)
    bright = rng.uniform(0.5, 1.5, (n, *(1 for _ in shape)))
    return (rng.normal(size=(n, *shape)) * bright * scale).astype(np.float32)


@functools.cache
def _session(data, names):
    edited = onnx.load_from_string(data)
    for name in set(names) - {output.name for output in edited.graph.output}:
        edited.graph.output.append(helper.make_empty_tensor_value_info(name))
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(edited.SerializeToString(), options, providers=["CPUExecutionProvider"])


def tensors(data, batch, *names):
    """Tensors of a model as ONNX Runtime computes them for a batch."""
    return _session(data, names).run(list(names), {"x": batch})
