"""What nodes behind a tensor say in ONNX Runtime, and what the kernels say of it."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper

from outrider.networks.onnx.reading.graph import OnnxGraph
from outrider.runtime.in_graph import criteria
from outrider.runtime.in_graph.group import Group
from outrider.runtime.in_graph.operators import Operators

CLASSES = 3


def session(build, opset=17, columns=8):
    """What `build(operators)` adds behind y = x, (n, columns) float32, beside an input `prediction` (n,) int64."""
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "test",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", columns]),
            helper.make_tensor_value_info("prediction", TensorProto.INT64, ["n"]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", columns])],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=4)
    behind = OnnxGraph(made.SerializeToString())
    fragment = behind.fragment()
    fragment.output(build(Operators(fragment)), "float32")
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(behind.with_fragment(fragment), options, providers=["CPUExecutionProvider"])


def deviations(criterion, signatures, values, labels, opset=17, by_class=True, order=None, many=False):
    """(n, columns of `signatures`) as the graph has them, with frames lost as the builder loses them."""

    def build(ops):
        prediction = "prediction" if by_class else None
        found = criteria.prepare(ops, Group(criterion, signatures, prediction, order, many))("y")
        return ops.settled(ops("Add", found, ops.not_finite(ops.reduce("ReduceSum", "y"))))

    return session(build, opset, values.shape[1]).run(None, {"x": values, "prediction": labels})[1]


def learned(criterion, values, labels, sizes):
    parts = np.split(values, np.cumsum(sizes)[:-1], axis=1)
    signatures = [criterion.empty(size, CLASSES) for size in sizes]
    for signature, part in zip(signatures, parts, strict=True):
        criterion.observe(signature, np.ascontiguousarray(part), labels)
    return signatures


def outside(criterion, signatures, values, labels):
    """As the kernels have them; a frame with NaN or Inf is lost in every column."""
    parts = np.split(values, np.cumsum([s.neurons for s in signatures])[:-1], axis=1)
    columns = [criterion.deviation(s, part, labels) for s, part in zip(signatures, parts, strict=True)]
    found = np.stack(columns, axis=1)
    found[~np.isfinite(values).all(axis=1)] = np.inf
    return found
