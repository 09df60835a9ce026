"""Models whose class scores are a map."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from outrider.networks import OnnxNetwork, Tap, check_network  # noqa: E402
from outrider.networks.neurons import reduce_to_neurons  # noqa: E402
from outrider.networks.selectors import selector_of  # noqa: E402


@pytest.fixture
def batch():
    return np.random.default_rng(0).normal(size=(3, 3, 8, 8)).astype(np.float32)


def onnx_segmenter(channels_last):
    rng = np.random.default_rng(1)
    weights = {"w": rng.normal(size=(5, 3, 1, 1)), "v": rng.normal(size=(4, 5, 1, 1))}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["conv"]),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("ReduceMean", ["relu"], ["aux"], axes=[2, 3], keepdims=0),
        helper.make_node("Conv", ["relu", "v"], ["scores"]),
    ]
    if channels_last:
        nodes.append(helper.make_node("Transpose", ["scores"], ["last"], perm=[0, 2, 3, 1]))
    shape = ["n", 8, 8, 4] if channels_last else ["n", 4, 8, 8]
    graph = helper.make_graph(
        nodes,
        "segmenter",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 8, 8])],
        [
            helper.make_tensor_value_info("aux", TensorProto.FLOAT, ["n", 5]),
            helper.make_tensor_value_info("last" if channels_last else "scores", TensorProto.FLOAT, shape),
        ],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


@pytest.mark.parametrize("channels_last", [False, True])
def test_a_model_gives_the_scores_of_its_places(batch, channels_last):
    name = "last" if channels_last else "scores"
    with OnnxNetwork(onnx_segmenter(channels_last), taps="relu:pixel", classes="pixel", scores_output=name) as network:
        seen = network.observe(batch)
        plain = network.run(batch)
    assert (network.classes, network.map_classes, network.scores_output) == (None, 4, name)
    np.testing.assert_array_equal(seen.output[1], plain[1])
    np.testing.assert_array_equal(seen.score_map, np.moveaxis(plain[1], -1, 1) if channels_last else plain[1])
    assert seen.activations[0].shape == (3 * 64, 5)


def test_a_models_scores_that_are_no_map_are_refused():
    with pytest.raises(ValueError, match=r"expected a map of the scores of 2 classes or more, .* got \(2, 5\)"):
        OnnxNetwork(onnx_segmenter(False), taps="relu", classes="pixel")


@pytest.mark.parametrize("channels_last", [False, True])
def test_class_scores_of_places_are_a_tap(batch, channels_last):
    name = "last" if channels_last else "scores"
    taps = ("relu:pixel", "@output:pixel3", "@output:pixel" if channels_last else "scores:pixel")  # "last" is a word
    model = onnx_segmenter(channels_last)
    options = {"classes": "pixel", "scores_output": name}
    with OnnxNetwork(model, taps=taps, **options) as network:
        shape, layout = ((8, 8, 4), "NHWC") if channels_last else ((4, 8, 8), "NCHW")
        own = [Tap(name, "output", shape, layout, "float32", neurons) for neurons in ("pixel3", "pixel")]
        assert network.taps[1:] == tuple(own)
        assert [tap.of_scores for tap in network.taps] == [False, True, True]
        assert network.taps.select("@output") == (1, 2)
        seen = network.observe(batch)
        for tap, values in zip(own, seen.activations[1:], strict=True):
            np.testing.assert_allclose(values, reduce_to_neurons(tap, network.run(batch)[1]), rtol=1e-5, atol=1e-6)
        for one, other in zip(network.buffered(3).observe(batch).activations, seen.activations, strict=True):
            np.testing.assert_array_equal(one, other)
    assert OnnxNetwork(model, taps=list(map(selector_of, own)), **options).taps == tuple(own)
    check_network(OnnxNetwork(model, taps=taps, **options))


def test_class_scores_of_a_map_are_tapped_where_they_are_asked_for(batch):
    options = {"classes": "pixel", "scores_output": "scores"}
    for taps in ("*", "auto", ("first", "last")):
        with OnnxNetwork(onnx_segmenter(False), taps=taps, **options) as network:
            assert {tap.kind for tap in network.taps} <= {"conv", "relu", "reducemean"}
    with OnnxNetwork(onnx_segmenter(False), taps=("@output", "scores:channel"), **options) as network:
        assert [(tap.neurons, tap.of_scores) for tap in network.taps] == [("pixel", True), ("channel", False)]
        places, channels = network.observe(batch).activations
        np.testing.assert_allclose(places.reshape(3, 64, 4).mean(1), channels, rtol=1e-4, atol=1e-6)
