"""Whether scores come out of a softmax, however that is written."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from outrider.networks.onnx.reading.graph import OnnxGraph  # noqa: E402
from outrider.networks.onnx.reading.probabilities import are_probabilities, is_out_of_sight  # noqa: E402

SCALE = [
    ("scale", np.float32(1 / 256)),
    ("zero", np.uint8(0)),
    ("all", np.array([0, -1])),
    ("axis", np.array([1])),
    ("order", np.array([3, 2, 1, 0])),
    ("last", np.array(1)),
    ("four", np.array([1, 4])),
    *((name, np.float32(number)) for name, number in (("one", 1), ("half", 0.5), ("three", 3), ("small", 1e-6))),
]
SOFTMAX = ("Softmax", "x", "s", {})
ENSEMBLE = [SOFTMAX, ("Neg", "x", "n", {}), ("Softmax", "n", "u", {})]
STACKED = [("Unsqueeze", "s axis", "v", {}), ("Unsqueeze", "u axis", "w", {}), ("Concat", "v w", "c", {"axis": 1})]
QUANTISED = [SOFTMAX, ("QuantizeLinear", "s scale zero", "q", {}), ("DequantizeLinear", "q scale zero", "y", {})]
SEVERAL = [("ReduceMax", "x", "m", {"axes": [1]}), ("Sub", "x m", "d", {}), ("Exp", "d", "e", {}),
           ("ReduceSum", "e axis", "t", {})]  # fmt: skip


@pytest.mark.parametrize(
    "nodes",
    [
        [("Softmax", "x", "y", {})],
        [SOFTMAX, ("Identity", "s", "y", {})],
        [SOFTMAX, ("Reshape", "s all", "r", {}), ("Flatten", "r", "y", {})],
        [("Unsqueeze", "x axis", "u", {}), ("Softmax", "u", "s", {}), ("Squeeze", "s axis", "y", {})],
        [SOFTMAX, ("Transpose", "s", "t", {"perm": [1, 0]}), ("Transpose", "t", "y", {"perm": [1, 0]})],
        [SOFTMAX, ("Cast", "s", "h", {"to": 10}), ("Cast", "h", "y", {"to": 1})],
        QUANTISED,
        [*SEVERAL, ("Div", "e t", "y", {})],
        [*SEVERAL, ("Reciprocal", "t", "i", {}), ("Mul", "i e", "y", {})],
        [("LogSoftmax", "x", "l", {}), ("Exp", "l", "y", {})],
        [SOFTMAX, ("Clip", "s small one", "y", {})],
        [*ENSEMBLE, ("Mean", "s u", "y", {})],
        [*ENSEMBLE, ("Add", "s u", "a", {}), ("Mul", "half a", "y", {})],
        [*ENSEMBLE, ("Sum", "s u s", "a", {}), ("Div", "a three", "y", {})],
        [("Sigmoid", "x", "p", {}), ("Sub", "one p", "r", {}), ("Concat", "r p", "y", {"axis": 1})],
        [("ReduceLogSumExp", "x", "l", {"axes": [1]}), ("Sub", "x l", "d", {}), ("Exp", "d", "y", {})],
        [SOFTMAX, ("Add", "s small", "y", {})],
        [SOFTMAX, ("Max", "small s", "y", {})],
        [SOFTMAX, ("Gather", "s order", "y", {"axis": 1})],
        [*ENSEMBLE, *STACKED, ("ReduceMean", "c", "y", {"axes": [1], "keepdims": 0})],
        [
            ("Relu", "x", "e", {}),
            ("ReduceL1", "e", "t", {"axes": [1]}),
            ("Expand", "t four", "b", {}),
            ("Div", "e b", "y", {}),
        ],
    ],
    ids=lambda nodes: "-".join(node[0] for node in nodes),
)
def test_a_softmax_is_found(chain, nodes):
    read = OnnxGraph(chain(*nodes, constants=SCALE))
    assert are_probabilities(read.nodes, read.kinds, "y", one=False)


@pytest.mark.parametrize(
    "nodes",
    [
        [("Relu", "x", "y", {})],
        [("LogSoftmax", "x", "y", {})],
        [SOFTMAX, ("Log", "s", "y", {})],
        [SOFTMAX, ("MatMul", "s w", "y", {})],
        [("Sigmoid", "x", "y", {})],
        [*SEVERAL, ("Div", "d t", "y", {})],
        [*ENSEMBLE, ("Add", "s u", "y", {})],
        [SOFTMAX, ("Add", "s s", "y", {})],
        [*ENSEMBLE, ("Max", "s u", "y", {})],
        [*ENSEMBLE, ("Concat", "s u", "y", {"axis": 1})],
        [SOFTMAX, ("Add", "s half", "y", {})],
        [*ENSEMBLE, ("Add", "s x", "a", {}), ("Mul", "half a", "y", {})],
        [SOFTMAX, ("Mul", "s three", "y", {})],
        [SOFTMAX, ("Div", "one s", "y", {})],
        [SOFTMAX, ("Mul", "s x", "y", {})],
        [("Sigmoid", "x", "p", {}), ("Sub", "three p", "r", {}), ("Concat", "r p", "y", {"axis": 1})],
        [("Sigmoid", "x", "p", {}), ("Neg", "p", "r", {}), ("Concat", "r p", "y", {"axis": 1})],
        [*SEVERAL, ("ReduceSum", "d axis", "o", {}), ("Div", "e o", "y", {})],
        [("Exp", "x", "y", {})],
        [("Identity", "x", "y", {})],
    ],
    ids=lambda nodes: "-".join(node[0] for node in nodes),
)
def test_other_scores_are_logits(chain, nodes):
    read = OnnxGraph(chain(*nodes, constants=[*SCALE, ("w", np.eye(4, dtype=np.float32))]))
    assert not are_probabilities(read.nodes, read.kinds, "y", one=False)


@pytest.mark.parametrize(
    "nodes",
    [
        [("Sigmoid", "x", "y", {})],
        [("HardSigmoid", "x", "s", {}), ("Reshape", "s all", "y", {})],
        [("Sigmoid", "x", "s", {}), *QUANTISED[1:]],
        [("Neg", "x", "n", {}), ("Exp", "n", "e", {}), ("Add", "e one", "d", {}), ("Div", "one d", "y", {})],
    ],
    ids=lambda nodes: "-".join(node[0] for node in nodes),
)
def test_a_sigmoid_counts_for_one_number(chain, nodes):
    data = chain(*nodes, shape=("n", 1), constants=SCALE)
    read = OnnxGraph(data)
    assert are_probabilities(read.nodes, read.kinds, "y", one=True)
    assert not are_probabilities(read.nodes, read.kinds, "y", one=False)


@pytest.mark.parametrize("tail", [[], [("Sub", "one p", "y", {})]], ids=["second", "rest"])
def test_one_of_two_classes_of_a_softmax_is_a_probability(chain, tail):
    taken = ("Gather", "s last", "p" if tail else "y", {"axis": 1})
    read = OnnxGraph(chain(SOFTMAX, taken, *tail, shape=("n", 2), constants=SCALE))
    assert are_probabilities(read.nodes, read.kinds, "y", one=True)


def test_what_a_logit_lacks_to_1_is_none(chain):
    read = OnnxGraph(chain(("Sub", "one x", "y", {}), shape=("n", 1), constants=SCALE))
    assert not are_probabilities(read.nodes, read.kinds, "y", one=True)


@pytest.mark.parametrize(("name", "value"), [("domain", "own"), ("op_type", "Loop"), ("op_type", "If")])
def test_what_is_made_in_a_function_or_a_subgraph_is_out_of_sight(chain, name, value):
    read = OnnxGraph(chain(("Relu", "x", "r", {}), ("Softmax", "r", "s", {}), ("Identity", "s", "y", {})))
    assert not is_out_of_sight(read.nodes, "y")
    assert not is_out_of_sight(read.nodes, "x")
    setattr(read.nodes.producers["s"], name, value)
    assert is_out_of_sight(read.nodes, "y")
