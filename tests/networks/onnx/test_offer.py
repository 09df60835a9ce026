"""What an ONNX model offers to be tapped, held against `OnnxNetwork`."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from outrider.networks import OnnxNetwork
from outrider.networks.onnx.offer import onnx_offer

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import helper, numpy_helper  # noqa: E402


def tapped(network):
    with network:
        return [tap.name for tap in network.taps if tap.kind != "output"]


@pytest.fixture
def model(tmp_path):
    """conv, relu, transposes that move the batch away and back, a mean, scores of 3 classes; frames (1, size, size)."""

    def make(size, outputs=("y",)):
        rng = np.random.default_rng(0)
        kernels, weights = (rng.normal(size=sizes).astype(np.float32) for sizes in ((4, 1, 3, 3), (4, 3)))
        nodes = [
            helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["c"], ["r"]),
            helper.make_node("Transpose", ["r"], ["t"], perm=[1, 0, 2, 3]),
            helper.make_node("Sigmoid", ["t"], ["s"]),
            helper.make_node("Transpose", ["s"], ["b"], perm=[1, 0, 2, 3]),
            helper.make_node("GlobalAveragePool", ["b"], ["p"]),
            helper.make_node("Flatten", ["p"], ["f"]),
            helper.make_node("MatMul", ["f", "d"], ["y"]),
        ]
        graph = helper.make_graph(
            nodes,
            "test",
            [helper.make_tensor_value_info("x", 1, ("n", 1, size, size))],
            [helper.make_tensor_value_info(name, 1, None) for name in outputs],
            [numpy_helper.from_array(value, name) for name, value in (("w", kernels), ("d", weights))],
        )
        path = tmp_path / "model.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
        return path

    return make


def test_every_tensor_of_a_model_is_offered_or_has_an_obstacle(model):
    offer = onnx_offer(model(8))
    assert (offer.engine, offer.input_shape) == ("onnx", (1, 8, 8))
    assert [c.name for c in offer.candidates] == ["c", "r", "t", "s", "b", "p", "f", "y"]
    found = {c.name: (c.kind, c.shape, c.layout, c.dtype) for c in offer.candidates if not c.obstacle}
    assert found["r"] == ("relu", (4, 8, 8), "NCHW", "float32")
    assert found["y"] == ("output", (3,), "NC", "float32")
    obstacle = "expected rows that belong to frames: 2 and 1 frames have as many, got shape (4, 2, 8, 8)"
    assert {c.name: c.obstacle for c in offer.candidates if c.obstacle} == {"t": obstacle, "s": obstacle}


@pytest.mark.parametrize("selector", ["auto", "first", "stages", "widest", "*", "@conv", "c"])
def test_the_taps_stand_where_a_network_has_them(model, selector):
    path = model(8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of taps that moved
        assert list(onnx_offer(path).taken(selector)) == tapped(OnnxNetwork(path, taps=selector))
    assert list(onnx_offer(path).asked(selector)) == tapped(OnnxNetwork(path, taps=selector, exact=True))


def test_a_move_is_told_with_its_reason(model):
    move = onnx_offer(model(8)).moves["c"]
    assert (move.taken, move.why) == ("r", "ONNX Runtime fuses the conv with the relu that reads it")


def test_open_sizes_stay_open_and_have_no_stages(model):
    path = model("size")
    offer = onnx_offer(path)
    assert offer.input_shape == (1, None, None)
    with pytest.raises(ValueError, match="expected known sizes to tell the stages"):
        offer.taken("stages")
    assert onnx_offer(path, (1, 8, 8)).taken("stages") == ("r",)


def test_one_of_several_outputs_is_not_taken_for_class_scores(model):
    path = model(8, ("y", "r"))
    offer = onnx_offer(path)
    assert {c.name: c.kind for c in offer.candidates}["y"] == "matmul"
    assert OnnxNetwork(path).classes is None
