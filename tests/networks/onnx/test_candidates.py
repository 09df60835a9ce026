"""What may be tapped of a graph, and what is taken for class scores."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from onnx import helper  # noqa: E402

from outrider.networks import OnnxNetwork  # noqa: E402


def test_a_network_without_classes(model, images):
    tail = [helper.make_node("ReduceSum", ["logits"], ["steer"], keepdims=1)]
    for options in ({"scores_output": "r3"}, {"classes": None}):
        network = OnnxNetwork(model(outputs=("r3", "logits"), tail=tail), taps="auto", **options)
        observation = network.observe(images())
        assert network.classes is None
        assert observation.logits is None
        assert [tap.name for tap in network.taps] == ["r1", "r2", "r3"]
        assert len(observation.activations) == 3


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (4, r"expected class scores of shape \(2, 4\) for a batch of 2, got \(2, 10\)"),
        (1, "expected classes 'auto', 'pixel', None or a number from 2, got 1"),
        ("ten", "got 'ten'"),
    ],
)
def test_classes_that_do_not_fit_are_refused(model, classes, message):
    with pytest.raises(ValueError, match=message):
        OnnxNetwork(model(), classes=classes)


def test_sequences_and_channels_last(chain, images):
    dense = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    nodes = [("MatMul", "x w", "m", {}), ("Relu", "m", "r", {}), ("Neg", "r", "y", {})]
    for shape, layout in (((6, 4), "NLC"), ((2, 3, 4), "NHWC")):
        network = OnnxNetwork(chain(*nodes, shape=("n", *shape), constants=[("w", dense)]), taps="auto")
        batch = images(2, shape)
        assert network.taps[0].layout == layout
        expected = np.maximum(batch @ dense, 0).mean(tuple(range(1, len(shape))))
        np.testing.assert_allclose(network.observe(batch).activations[0], expected, rtol=1e-5, atol=1e-6)


def test_tensors_that_cannot_be_tapped_say_why(chain):
    shape = [("s", np.array([2, 1, 1, 2, 1, 2], np.int64)), ("f", np.array([-1, 1], np.int64))]
    data = chain(
        ("Relu", "x", "r", {}),
        ("Reshape", "r s", "deep", {}),
        ("Reshape", "r f", "flat", {}),
        ("Shape", "r", "size", {}),
        ("Neg", "r", "y", {}),
        constants=shape,
    )
    for name, message in (
        ("deep", r"'deep' cannot be tapped: .* got 6 axes: \(2, 1, 1, 2, 1, 2\)"),
        ("flat", r"'flat' cannot be tapped: expected 2 rows for a batch of 2, got shape \(8, 1\)"),
        ("size", "'size' cannot be tapped: expected a tensor of floats or of quantised codes, got int64"),
    ):
        with pytest.raises(ValueError, match=message):
            OnnxNetwork(data, taps=name)
    assert [tap.name for tap in OnnxNetwork(data, taps="*").taps] == ["r", "y"]


@pytest.mark.parametrize(("nodes", "names"), [("y", "none"), ("ny", "n")])
def test_graphs_without_activations_are_refused_with_the_names_there_are(chain, nodes, names):
    data = chain(*(("Neg", before, name, {}) for before, name in zip("x" + nodes, nodes, strict=False)))
    with pytest.raises(ValueError, match=f"expected activations to tap, got none; name tensors among: {names}$"):
        OnnxNetwork(data)


def test_the_channel_axis_counts_from_the_batch_that_a_tensor_was_given(graph):
    """Both have channels that a convolution tells: before it the axis of the batch is there, behind it no more."""
    nodes = [("Transpose", "x", "first", {"perm": [2, 0, 1]}), ("Unsqueeze", "first zero", "u", {}),
             ("Conv", "u w", "c", {}), ("Squeeze", "c zero", "r", {}), ("Relu", "r", "a", {}),
             ("Neg", "a", "y", {})]  # fmt: skip
    weights = np.random.default_rng(0).normal(size=(5, 3, 3, 3)).astype(np.float32)
    data = graph(nodes, {"x": (np.float32, (9, 12, 3))}, {"y": None}, {"w": weights, "zero": np.array([0])})
    network = OnnxNetwork(data, taps=("c", "a"), exact=True, batch_axis=False, classes=None)
    assert [(tap.name, tap.shape, tap.layout, tap.size) for tap in network.taps] == [
        ("c", (5, 7, 10), "NCHW", 5), ("a", (5, 7, 10), "NCHW", 5)
    ]  # fmt: skip
