"""Where taps stand so that ONNX Runtime computes the network as without them, against the graphs that it optimises."""

from __future__ import annotations

import warnings
from collections import Counter

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from onnx import helper, numpy_helper  # noqa: E402

from outrider.networks import NetworkWarning, OnnxNetwork  # noqa: E402
from outrider.networks.onnx.reading.graph import OnnxGraph  # noqa: E402
from outrider.networks.onnx.readout import neurons_out  # noqa: E402

RNG = np.random.default_rng(0)


def weights(*shape):
    return (RNG.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)


CONSTANTS = {
    "w0": weights(16, 3, 3, 3), "w1": weights(16, 16, 3, 3), "scale": np.abs(weights(16)) + 0.5, "bias": weights(16),
    "mean": weights(16), "variance": np.abs(weights(16)) + 0.5, "planes": weights(16, 1, 1), "half": 0.5, "one": 1.0,
    "root": 1.41421356, "alpha": 1.702, "zero": 0.0, "six": 6.0, "two": 2.0, "small": 1e-5, "third": 0.3,
    "q": weights(8, 8), "k": weights(8, 8), "v": weights(8, 8), "wide": weights(8, 32), "narrow": weights(32, 8),
    "b8": weights(8), "b32": weights(32), "gain": np.abs(weights(8)) + 0.5,
}  # fmt: skip
BEFORE = "Conv x w0 c0 ; Relu c0 r0 ; Conv r0 w1 c1 ; "
BATCH_NORM = "BatchNormalization c1 scale bias mean variance n ; "
ATTENTION = (
    "MatMul x q Q ; MatMul x k K ; MatMul x v V ; Transpose K t ; Mul Q third s ; MatMul s t S ; Softmax S P ;"
    " MatMul P V A ; MatMul A q y"
)
GELU = "Div a root d ; Erf d e ; Add e one f ; Mul a f m ; Mul m half g ; MatMul g narrow y"
NORM = (
    "ReduceMean z mu ; Sub z mu s ; Pow s two p ; ReduceMean p v2 ; Add v2 small ve ; Sqrt ve sd ; Div s sd n ;"
    " Mul n gain ms ; Add ms b8 ln ; MatMul ln k y"
)
MODELS = {
    "relu": (BEFORE + "Relu c1 r ; Neg r y", {"c1": "r"}),
    "clip": (BEFORE + "Clip c1 zero six r ; Neg r y", {"c1": "r"}),
    "sigmoid": (BEFORE + "Sigmoid c1 r ; Neg r y", {"c1": "r"}),
    "hard swish": (BEFORE + "HardSwish c1 r ; Neg r y", {"c1": "r"}),
    "elu is not fused": (BEFORE + "Elu c1 r ; Neg r y", {}),
    "batch norm": (BEFORE + BATCH_NORM + "Relu n r ; Neg r y", {"c1": "r", "n": "r"}),
    "batch norm alone": (BEFORE + BATCH_NORM + "Neg n y", {"c1": "n"}),
    "scaled": (BEFORE + "Mul c1 planes k1 ; Add k1 planes a ; Relu a y", dict.fromkeys(("c1", "k1", "a"), "y")),
    "residual": (BEFORE + "Add c1 r0 a ; Relu a r ; Neg r y", {"c1": "r", "a": "r"}),
    "sum alone": (BEFORE + "Add c1 r0 a ; Neg a y", {"c1": "a"}),
    "identity": (BEFORE + "Identity c1 i ; Relu i r ; Neg r y", {"c1": "r", "i": "r"}),
    "two readers": (BEFORE + "Relu c1 r ; Neg c1 n ; Add r n y", {}),
    "silu": (BEFORE + "Sigmoid c1 s ; Mul c1 s m ; Neg m y", {"s": "m"}),
    "an output": (BEFORE + "Relu c1 y", {"c1": "y"}),
    "bias": ("MatMul x wide m0 ; Add m0 b32 a ; Relu a r ; MatMul r narrow y", {"m0": "a"}),
    "gemm": ("Gemm x wide b32 a ; Relu a r ; MatMul r narrow y", {"a": "r"}),
    "gelu": ("MatMul x wide m0 ; Add m0 b32 a ; " + GELU, {"m0": "a", **dict.fromkeys("defm", "g")}),
    "quick gelu": (
        "MatMul x wide m0 ; Add m0 b32 a ; Mul a alpha t ; Sigmoid t s ; Mul a s g ; MatMul g narrow y",
        {"m0": "a", "t": "g", "s": "g"},
    ),
    "layer norm": ("Add x b8 z ; " + NORM, dict.fromkeys(("mu", "s", "p", "v2", "ve", "sd", "n", "ms"), "ln")),
    "layer norm of a sum": (
        "MatMul x q m0 ; Add m0 b8 a ; Add a x z ; LayerNormalization z gain b8 ln ; MatMul ln k y",
        {"m0": "a", "z": "ln"},
    ),
    "attention": (ATTENTION, {"Q": "s"}),
}  # fmt: skip
ATTRIBUTES = {
    "Conv": {"pads": [1, 1, 1, 1]},
    "ReduceMean": {"axes": [-1]},
    "Transpose": {"perm": [0, 2, 1]},
    "Softmax": {"axis": -1},
}
SHAPES = {"gemm": (2, 8), **dict.fromkeys(("bias", "gelu", "quick gelu", "attention"), (2, 5, 8))}
SHAPES.update(dict.fromkeys(("layer norm", "layer norm of a sum"), (2, 5, 8)))


def model(name):
    nodes = []
    for line in MODELS[name][0].split(" ; "):
        op, *tensors = line.split()
        nodes.append(helper.make_node(op, tensors[:-1], tensors[-1:], **ATTRIBUTES.get(op, {})))
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, SHAPES.get(name, (2, 3, 16, 16)))],
        [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(np.float32(value), key) for key, value in CONSTANTS.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return made.SerializeToString()


def optimised(data, folder):
    """The nodes of the graph that ONNX Runtime runs, with what is fused into them, and a session."""
    path = folder / "optimised.onnx"
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    found = Counter()
    for node in onnx.load(path).graph.node:
        fused = [a.s.decode() for a in node.attribute if a.name == "activation"]
        summed = node.op_type == "Conv" and len(node.input) > 3 and bool(node.input[3])
        found[(node.op_type, *fused, summed)] += 1
    return found, session


def tensors():
    """All that are worth a tap; "t", a transposed operand of a product, costs its fusion and stays where it is."""
    for name in MODELS:
        for node in onnx.load_from_string(model(name)).graph.node:
            if node.output[0] not in ("y", "c0", "t"):
                yield name, node.output[0]


@pytest.mark.parametrize(("name", "tensor"), list(tensors()))
def test_the_graph_is_optimised_as_without_the_tap(name, tensor, tmp_path):
    data = model(name)
    asked = MODELS[name][1]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        network = OnnxNetwork(data, taps=tensor)
    taken = asked.get(tensor, tensor)
    assert network.taps[0].name == taken
    assert [(move.asked, move.taken) for move in network.moved] == ([(tensor, taken)] if tensor in asked else [])
    assert len(caught) == len(network.moved)
    bare, session = optimised(data, tmp_path)
    fragment, _, _ = neurons_out(OnnxGraph(data), network.taps)
    observed, _ = optimised(data + fragment.to_bytes(), tmp_path)
    layout = ("ReorderOutput", "ReorderInput", "Transpose", "Reshape")
    assert {node: n for node, n in (bare - observed).items() if node[0] not in layout} == {}
    batch = np.random.default_rng(0).normal(size=SHAPES.get(name, (2, 3, 16, 16))).astype(np.float32)
    np.testing.assert_array_equal(network.observe(batch).output, session.run(None, {"x": batch})[0])


@pytest.mark.parametrize("name", list(MODELS))
def test_what_is_moved_would_have_changed_the_graph(name, tmp_path):
    data = model(name)
    bare, _ = optimised(data, tmp_path)
    for tensor in MODELS[name][1]:
        edited = onnx.load_from_string(data)
        edited.graph.output.append(helper.make_empty_tensor_value_info(tensor))
        observed, _ = optimised(edited.SerializeToString(), tmp_path)
        extra = {node for node in observed - bare if node[0] != "ReorderOutput"}
        assert extra or bare - observed


def test_a_tap_that_moves_says_so_and_exactly_what_is_asked_can_be_had():
    data = model("residual")
    with pytest.warns(
        NetworkWarning, match=r"tapped 'c1' at 'r', as ONNX Runtime fuses the conv with the add .*exact=True"
    ):
        network = OnnxNetwork(data, taps=("c1", "r0"))
    assert [tap.id for tap in network.taps] == ["r0:channel", "r:channel"]
    exact = OnnxNetwork(data, taps=("c1", "r0"), exact=True)
    assert [tap.id for tap in exact.taps] == ["r0:channel", "c1:channel"]
    assert exact.moved == ()


def test_a_tap_that_moves_onto_another_says_nothing():
    network = OnnxNetwork(model("residual"), taps="*")
    assert [tap.name for tap in network.taps] == ["r0", "r", "y"]
    assert network.moved == ()
    assert [tap.name for tap in OnnxNetwork(model("residual"), taps="auto").taps] == ["r0", "r"]


def made(*nodes):
    """An optimised graph; nodes are (operator, input, output)."""
    graph = helper.make_graph([helper.make_node(op, [a], [b]) for op, a, b in nodes], "optimised", [], [])
    return helper.make_model(graph).SerializeToString()


@pytest.mark.parametrize(
    ("optimised", "moves"),
    [
        ([("FusedConv", "x", "r0"), ("FusedConv", "r0", "r"), ("Neg", "r", "y")], {"c0": "r0", "c1": "r"}),
        (
            [("FusedConv", "x", "InsertedPrecisionFreeCast_r0"), ("FusedConv", "_", "InsertedPrecisionFreeCast_r")],
            {"c0": "r0", "c1": "r"},
        ),
        # Renamed and laid out anew: nothing is fused.
        ([("Conv", "x", "elsewhere"), ("Relu", "elsewhere", "r0"), ("Transpose", "_", "r")], {}),
        # What the blocked layout fuses.
        ([("Relu", "x", "r0"), ("Conv", "r0", "c1"), ("Add", "c1", "a"), ("Relu", "a", "r")], {"c1": "r"}),
        # Nothing behind a layer is what has become of a tensor before it.
        ([("FusedConv", "x", "r")], {"c1": "r"}),
    ],
)
def test_what_an_optimised_graph_says(optimised, moves):
    graph = OnnxGraph(model("residual"))
    found = graph.moves(["c0", "r0", "c1", "y", "unknown"], lambda: made(*optimised))
    assert {move.asked: move.taken for move in found.values()} == moves
    assert graph.moves(["c0"], lambda: None) == {}


def test_the_optimised_graph_is_not_asked_for_what_no_layer_fuses():
    asked = []
    assert OnnxGraph(model("residual")).moves(["r0", "y", "unknown"], lambda: asked.append(1)) == {}
    assert not asked
