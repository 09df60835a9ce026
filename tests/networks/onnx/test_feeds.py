"""Inputs that are the same for every frame."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper  # noqa: E402

from outrider.networks import OnnxNetwork, onnx_fingerprint  # noqa: E402


@pytest.fixture
def scaled(model):
    """A model whose scores are multiplied by a second input."""
    made = onnx.load_from_string(model(tail=[helper.make_node("Mul", ["logits", "scale"], ["y"])], outputs=("y",)))
    made.graph.input.append(helper.make_tensor_value_info("scale", TensorProto.FLOAT, (10,)))
    return made.SerializeToString()


def test_inputs_but_one_can_be_fed_a_constant(scaled, model, images):
    scale = np.float32([1, -2, 3, 0.5, 7, -1, 0, 9, 2, 4])
    with pytest.raises(
        ValueError, match=r"input 'scale' of shape \(batch, ...\), got \(10,\).*feeds=\{'scale': array\}"
    ):
        OnnxNetwork(scaled)
    network = OnnxNetwork(scaled, feeds={"scale": scale})
    session = ort.InferenceSession(scaled, providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"x": images(3), "scale": scale})
    np.testing.assert_array_equal(network.observe(images(3)).output, expected)
    np.testing.assert_array_equal(network.run(images(3)), expected)
    plain = OnnxNetwork(model(tail=[helper.make_node("Neg", ["logits"], ["y"])], outputs=("y",)))
    assert (network.input_shape, network.classes, network.taps) == (plain.input_shape, plain.classes, plain.taps)


def test_what_is_fed_counts_in_the_fingerprint(scaled, tmp_path):
    path = tmp_path / "scaled.onnx"
    path.write_bytes(scaled)
    scale = np.float32([1, -2, 3, 0.5, 7, -1, 0, 9, 2, 4])
    network = OnnxNetwork(path, feeds={"scale": scale})
    assert network.fingerprint == onnx_fingerprint(path, {"scale": scale.copy()})
    others = {"scale": scale * 2}, {"scale": scale.astype(np.float64)}, {"scale": scale[None]}, {"other": scale}, None
    found = {network.fingerprint, *(onnx_fingerprint(path, feeds) for feeds in others)}
    assert len(found) == 6
    both = {"a": scale, "b": scale * 2}
    assert onnx_fingerprint(path, both) == onnx_fingerprint(path, dict(reversed(both.items())))


def test_inputs_that_are_not_fed_change_with_the_frame(camera_and_state, pairs, run_alone):
    camera, state = pairs(1)
    network = OnnxNetwork(camera_and_state(1), taps="r", feeds={"state": state})
    assert [one.name for one in network.inputs] == ["camera"]
    (expected,) = run_alone(camera_and_state(1), camera=camera, state=state)
    np.testing.assert_array_equal(network.observe(camera).output, expected)
    np.testing.assert_array_equal(network.observe({"camera": camera}).output, expected)


@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        ({"sizes": np.float32([1])}, "expected feeds for inputs among x, scale, got 'sizes'"),
        ({"scale": np.ones(10)}, "expected a feed of dtype float32 for input 'scale', got float64"),
        ({"scale": np.ones(4, np.float32)}, r"expected a feed of shape \(10,\) for input 'scale', got \(4,\)"),
        ({"scale": np.float32(1)}, r"expected a feed of shape \(10,\) for input 'scale', got \(\)"),
        ({"scale": np.ones(10, np.float32), "w1": np.ones(1, np.float32)}, "inputs among x, scale, got 'w1'"),
        ({"scale": np.ones(10, np.float32), "x": np.ones((1, 3, 16, 16), np.float32)}, "with the frame, got none"),
    ],
)  # fmt: skip
def test_feeds_that_do_not_fit_are_refused(scaled, feeds, message):
    with pytest.raises(ValueError, match=message):
        OnnxNetwork(scaled, feeds=feeds)
