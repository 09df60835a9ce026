"""Channel axes carried through what moves axes: the means of the tapped tensor against numpy."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from outrider.networks import NetworkWarning, OnnxNetwork
from outrider.networks.onnx.reading.channels.carried import carried_axes
from outrider.networks.onnx.reading.graph import OnnxGraph

RNG = np.random.default_rng(0)
FLOATS = {
    "conv": (6, 4, 3), "conv2": (6, 4, 8, 1), "dense": (4, 6), "back": (6, 4), "wide": (12, 8), "gain": (4, 1),
    "vector": (4,), "two": (2,), "tokens": (9, 4), "steps": (9, 3), "left": (6, 4), "gates": (1, 24, 4),
    "again": (1, 24, 6), "both": (2, 24, 4), "bothagain": (2, 24, 6), "slope": (4, 1),
}  # fmt: skip
INTEGERS = {
    "groups": [0, 2, -1], "whole": [0, 4, 9], "axis1": [1], "axis2": [2], "axis3": [3], "heads": [0, 0, 2, 3],
    "joined": [0, 0, -1], "flat": [0, -1], "maps": [0, 4, -1], "last": -1, "some": [0, 2, 1], "batchless": [-1, 4],
    "again9": [-1, 9, 6],
}  # fmt: skip
GONE, SWAP = {"keepdims": 0}, {"perm": [0, 2, 1]}
STEPS_FIRST, BATCH_FIRST = {"perm": [1, 0, 2]}, {"perm": [1, 0, 2]}
SIGNAL, TOKENS, CUBE = (4, 9), (9, 4), (4, 8, 9)

# nodes up to the activation r, what follows it, the shape of a frame, the layout of r
KINDS = {
    "layer before": (["Conv x conv c", "Relu c r"], [], SIGNAL, "NCL"),
    "layer behind": (["Relu x r"], ["Conv r conv d"], SIGNAL, "NCL"),
    "weights behind": (["Relu x r"], ["MatMul r dense d"], TOKENS, "NLC"),
    "pooled steps": (["Relu x r"], [("ReduceMean r p", {"axes": [2], **GONE}), "MatMul p dense d"], SIGNAL, "NCL"),
    "pooled tokens": (["Relu x r"], [("ReduceMean r p", {"axes": [1], **GONE}), "MatMul p dense d"], TOKENS, "NLC"),
    "last step": (["Relu x r"], [("Gather r last g", {"axis": 2}), "MatMul g dense d"], SIGNAL, "NCL"),
    "last token": (["Relu x r"], [("Gather r last g", {"axis": 1}), "MatMul g dense d"], TOKENS, "NLC"),
    "some steps": (["Conv x conv c", ("Gather c some g", {"axis": 2}), "Relu g r"], [], SIGNAL, "NCL"),
    "pool over steps": ([("AveragePool x p", {"kernel_shape": [2]}), "Relu p r"], [], SIGNAL, "NCL"),
    "squeezed map": (["Conv x conv2 c", "Squeeze c axis2 s", "Relu s r"], [], CUBE, "NCL"),
    "signal as a map": (["Unsqueeze x axis3 u", ("MaxPool u p", {"kernel_shape": [2, 1]}), "Squeeze p axis3 s",
        "Relu s r"], [], SIGNAL, "NCL"),
    "map as a signal": (["Reshape x maps s", "Relu s r"], [("AveragePool r p", {"kernel_shape": [2]})], CUBE, "NCL"),
    "map as tokens": (["Reshape x maps s", ("Transpose s t", SWAP), "Relu t r"], ["MatMul r dense d"], CUBE, "NLC"),
    "transposed": ([("Transpose x t", SWAP), "Conv t conv c", ("Transpose c u", SWAP), "Relu u r"], [], TOKENS, "NLC"),
    "group norm": (["Reshape x groups g", "InstanceNormalization g two two n", "Reshape n whole w", "Mul w gain m",
        "Relu m r"], [], SIGNAL, "NCL"),
    "group norm without weights": (["Conv x wide2 c", "Reshape c groups g", "InstanceNormalization g two two n",
        "Reshape n whole w", "Relu w r"], [], (3, 11), "NCL"),
    "a slope for each": (["PRelu x slope r"], [], SIGNAL, "NCL"),
    "a bias for each": (["Add x vector a", "Relu a r"], [], TOKENS, "NLC"),
    "places learned": (["Add x tokens a", "Relu a r"], ["MatMul r dense d"], TOKENS, "NLC"),
    "weights on the left": (["MatMul left x m", "Relu m r"], [], SIGNAL, "NCL"),
    "einsum of tokens": ([("Einsum x dense e", {"equation": "nlc,cd->nld"}), "Relu e r"], [], TOKENS, "NLC"),
    "einsum of signals": ([("Einsum x dense e", {"equation": "ncl, cd -> ndl"}), "Relu e r"], [], SIGNAL, "NCL"),
    "einsum behind": (["Relu x r"], [("Einsum r dense e", {"equation": "ncl,cd->nd"})], SIGNAL, "NCL"),
    "heads joined": (["MatMul x dense m", "Reshape m heads h", "Neg h k", "Reshape k joined j", "Relu j r"], [], TOKENS,
        "NLC"),
    "rows without a batch": (["Reshape x batchless b", "MatMul b dense m", "Reshape m again9 a", "Relu a r"], [],
        TOKENS, "NLC"),
    "attention": ([("Transpose x t", SWAP), "MatMul x t s", ("Softmax s p", {"axis": -1}), "MatMul p x a", "Relu a r"],
        ["MatMul r dense d"], TOKENS, "NLC"),
    "softmax over channels": ([("Softmax x s", {"axis": 1}), "Relu s r"], [], SIGNAL, "NCL"),
    "lstm": ([("Transpose x t", STEPS_FIRST), ("LSTM t gates again l", {"hidden_size": 6}), "Squeeze l axis1 s",
        ("Transpose s b", BATCH_FIRST), "Relu b r"], [], TOKENS, "NLC"),
    "lstm of both directions": ([("Transpose x t", STEPS_FIRST),
        ("LSTM t both bothagain l", {"hidden_size": 6, "direction": "bidirectional"}),
        ("Transpose l m", {"perm": [0, 2, 1, 3]}), "Reshape m joined j", ("Transpose j b", BATCH_FIRST), "Relu b r"],
        [], TOKENS, "NLC"),
    "lstm behind": (["Relu x r", ("Transpose r t", STEPS_FIRST)], [("LSTM t gates again l", {"hidden_size": 6})],
        TOKENS, "NLC"),
}  # fmt: skip


def graph_of(chain, before, after, shape):
    nodes = []
    for written in (*before, *after):
        line, attributes = (written, {}) if isinstance(written, str) else written
        op, *tensors = line.split()
        nodes.append((op, " ".join(tensors[:-1]), tensors[-1], attributes))
    nodes.append(("Neg", nodes[-1][2], "y", {}))
    floats = {**FLOATS, "wide2": (4, 3, 3)}
    constants = [(name, RNG.normal(size=sizes).astype(np.float32)) for name, sizes in floats.items()]
    constants += [(name, np.array(values, np.int64)) for name, values in INTEGERS.items()]
    return chain(*nodes, shape=("n", *shape), constants=constants)


@pytest.mark.parametrize("kind", KINDS)
def test_channels_are_found_where_the_layers_have_them(kind, chain, images, run_bare):
    before, after, shape, layout = KINDS[kind]
    data = graph_of(chain, before, after, shape)
    network = OnnxNetwork(data, taps="r", classes=None, exact=True)
    assert network.taps[0].layout == layout
    batch = images(3, shape)
    (value,) = run_bare(data, batch, ["r"])
    expected = value.mean(2 if layout == "NCL" else 1)
    np.testing.assert_allclose(network.observe(batch).activations[0], expected, rtol=1e-4, atol=1e-5)


UNKNOWN = {
    "nothing tells": (["Relu x r"], []),
    "an affine map of one number": (["Mul x one m", "Relu m r"], []),
    "all numbers of a frame": (["Relu x r"], ["Reshape r flat f", "MatMul f all d"]),
    "a weight for every place": (["Mul x places m", "Relu m r"], []),
    "mixed by a reshape": (["Conv x conv c", "Reshape c apart a", "Relu a r"], []),
}


@pytest.mark.parametrize("kind", UNKNOWN)
def test_where_the_graph_does_not_tell_the_user_is_asked(kind, chain, images, run_bare):
    before, after = UNKNOWN[kind]
    own = [("one", (1,)), ("all", (36, 5)), ("places", (4, 9))]
    nodes = []
    for written in (*before, *after):
        op, *tensors = written.split()
        nodes.append((op, " ".join(tensors[:-1]), tensors[-1], {}))
    nodes += [("Neg", nodes[-1][2], "y", {})]
    constants = [(name, np.ones(sizes, np.float32)) for name, sizes in [*own, ("conv", FLOATS["conv"])]]
    constants += [("flat", np.array([0, -1])), ("apart", np.array([0, 14, 3]))]
    data = chain(*nodes, shape=("n", 4, 9), constants=constants)
    asked = r"its channel axis cannot be told: say layouts=\{'r': 'NCL'\} or 'NLC'"
    with pytest.raises(ValueError, match=rf"'r' cannot be tapped: {asked}"):
        OnnxNetwork(data, taps="r")
    with (
        pytest.warns(NetworkWarning, match="left out r: the channel axis cannot be told"),
        pytest.raises(ValueError, match=rf"expected activations to tap, got none; .*{asked}"),
    ):
        OnnxNetwork(data)
    batch = images(2, (4, 9))
    (value,) = run_bare(data, batch, ["r"])
    for layout, axis in (("NCL", 2), ("NLC", 1)):
        network = OnnxNetwork(data, taps="auto", classes=None, layouts={"@relu": layout})
        assert network.taps[0].layout == layout
        expected = value.mean(axis)
        np.testing.assert_allclose(network.observe(batch).activations[0], expected, rtol=1e-5, atol=1e-6)


def test_what_is_known_without_shapes_stays(chain):
    """The shapes of the tensors are needed to read reshapes, and change nothing that was known before."""
    graph = OnnxGraph(graph_of(chain, *KINDS["transposed"][:3]))
    shapes = {"x": (2, 9, 4), "t": (2, 4, 9), "c": (2, 6, 7), "u": (2, 7, 6), "r": (2, 7, 6), "y": (2, 7, 6)}
    known = {name: graph.channel_axis(name) for name in shapes}
    assert known == {"x": -1, "t": 1, "c": 1, "u": -1, "r": -1, "y": -1}
    assert carried_axes(graph.nodes, known, shapes) == {"x": 2, "t": 1, "c": 1, "u": 2, "r": 2, "y": 2}
    assert carried_axes(graph.nodes, known, {}) == known
