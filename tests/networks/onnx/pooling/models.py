"""Models of one tensor, and what is computed of it in the graph."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper

from outrider.networks.neurons import reduce_to_neurons
from outrider.networks.onnx.pooling import add_neurons, join_neurons
from outrider.networks.onnx.reading.graph import OnnxGraph

SHAPES = {
    "NC": (5,),
    "NLC": (7, 5),
    "NCL": (5, 7),
    "NCHW": (5, 6, 9),
    "NHWC": (6, 9, 5),
    "NCDHW": (5, 4, 6, 3),
    "NDHWC": (4, 6, 3, 5),
    "NHLC": (2, 7, 3),
    "NLHC": (7, 2, 3),
}


def model(dtype, shape, opset=17, ir_version=8):
    """A model whose one tensor t is its input, and its output too."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["t"]), helper.make_node("Identity", ["t"], ["y"])],
        "test",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_empty_tensor_value_info("y")],
    )
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version).SerializeToString()


def samples(dtype, shape, n=2):
    rng = np.random.default_rng(0)
    if np.dtype(dtype).kind == "f":
        return rng.normal(size=(n, *shape)).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, (n, *shape), dtype, endpoint=True)


def run(data, fragment, names, values):
    for name in names:
        fragment.output(name)
    session = ort.InferenceSession(data + fragment.to_bytes(), providers=["CPUExecutionProvider"])
    return session.run(names, {"x": values})


def pooled(tap, values, declared, **options):
    data = model(values.dtype, declared, **options)
    fragment = OnnxGraph(data).fragment()
    return run(data, fragment, [add_neurons(fragment, tap)], values)[0]


def check(found, tap, values):
    expected = reduce_to_neurons(tap, values)
    assert found.dtype == np.float32
    assert found.shape == (len(values), tap.size)
    np.testing.assert_allclose(found, expected.astype(np.float32), rtol=1e-5, atol=1e-5)


def convolved(values, *, optimised=True):
    """A model of a convolution that gives its input, without the negative values; and its session with a fragment."""
    channels = values.shape[1]
    weights = numpy_helper.from_array(np.eye(channels, dtype=np.float32)[..., None, None], "w")
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["c"]), helper.make_node("Relu", ["c"], ["t"]),
         helper.make_node("Conv", ["t", "w"], ["y"])],
        "test",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, values.shape)],
        [helper.make_empty_tensor_value_info("y")],
        [weights],
    )  # fmt: skip
    data = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    options = ort.SessionOptions()
    if not optimised:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL

    def found(*taps):
        fragment = OnnxGraph(data).fragment()
        name, columns = join_neurons(fragment, taps)
        fragment.output(name)
        session = ort.InferenceSession(data + fragment.to_bytes(), options, providers=["CPUExecutionProvider"])
        (whole,) = session.run([name], {"x": values})
        return [whole[:, column] for column in columns]

    return found
