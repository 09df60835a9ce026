"""The shapes of all tensors, asked for where channel axes hang on them."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from outrider.networks.onnx.axes import settle_axes
from outrider.networks.onnx.reading.graph import OnnxGraph
from outrider.networks.onnx.session import Runtime
from outrider.networks.onnx.trial import try_out

WEIGHTS = [("conv", np.ones((6, 4, 3), np.float32)), ("axis", np.array([3]))]


class Counting(Runtime):
    """ONNX Runtime, and how many sessions it was asked for."""

    sessions = 0

    def session(self, *args, **options):
        self.sessions += 1
        return super().session(*args, **options)


def settled(data, names):
    runtime, graph = Counting(("CPUExecutionProvider",), 1), OnnxGraph(data)
    trial = try_out(runtime, graph, None, names, None)
    before = runtime.sessions
    settle_axes(runtime, graph, None, trial)
    return graph, runtime.sessions - before


def test_shapes_are_asked_for_only_where_an_axis_hangs_on_them(chain):
    known = chain(("Conv", "x conv", "c", {}), ("Relu", "c", "y", {}), shape=("n", 4, 9), constants=WEIGHTS)
    graph, sessions = settled(known, ["c", "y"])
    assert (graph.channel_axis("y"), sessions) == (1, 0)
    nodes = [("Conv", "x conv", "c", {}), ("Unsqueeze", "c axis", "u", {}), ("Relu", "u", "y", {})]
    graph, sessions = settled(chain(*nodes, shape=("n", 4, 9), constants=WEIGHTS), ["c", "y"])
    assert (graph.channel_axis("c"), graph.channel_axis("y"), sessions) == (1, 1, 1)


def test_what_has_no_shape_is_left_out(chain):
    nodes = [
        ("Conv", "x conv", "c", {}), ("Unsqueeze", "c axis", "u", {}), ("Relu", "u", "r", {}),
        ("SequenceConstruct", "r u", "s", {}), ("SequenceLength", "s", "y", {}),
    ]  # fmt: skip
    graph, _ = settled(chain(*nodes, shape=("n", 4, 9), constants=WEIGHTS), ["r"])
    assert graph.channel_axis("r") == 1


def test_a_graph_that_cannot_be_asked_keeps_what_it_knew(chain):
    """`SplitToSequence` names itself a sequence; an `If` that returns one does not."""
    import onnx
    from onnx import helper

    nodes = [("Conv", "x conv", "c", {}), ("Relu", "c", "y", {})]
    made = onnx.load_from_string(chain(*nodes, shape=("n", 4, 9), constants=WEIGHTS))
    sequence = helper.make_tensor_sequence_value_info("s", onnx.TensorProto.FLOAT, None)
    branch = helper.make_graph([helper.make_node("SequenceConstruct", ["c"], ["s"])], "branch", [], [sequence])
    made.graph.node.extend([
        helper.make_node("If", ["positive"], ["all"], then_branch=branch, else_branch=branch),
        helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
        helper.make_node("Cast", ["sum"], ["positive"], to=onnx.TensorProto.BOOL),
        helper.make_node("Unsqueeze", ["c", "axis"], ["u"]),
    ])  # fmt: skip
    graph, sessions = settled(made.SerializeToString(), ["u"])
    assert sessions == 1
    assert graph.channel_axis("c") == 1
    assert graph.channel_axis("u") is None
