"""What a network says: one logit, scores as maps of one place, probabilities, several outputs, no batch axis."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import torch
from torch import nn

from outrider.networks import OnnxNetwork, TorchNetwork, check_network

F = nn.functional
SHAPE = (3, 8, 8)


class Body(nn.Module):
    """A convolution, a ReLU and scores of `width`."""

    width = 5

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Conv2d(4, self.width, 1)

    def hidden(self, x):
        return F.relu(self.conv(x)).mean((2, 3), keepdim=True)

    def forward(self, x):
        return self.head(self.hidden(x)).flatten(1)


class Binary(Body):
    width = 1


class BinaryProbability(Binary):
    def forward(self, x):
        return torch.sigmoid(super().forward(x))


class OnePlace(Body):
    def forward(self, x):
        return self.head(self.hidden(x))


class Probable(Body):
    def forward(self, x):
        return torch.softmax(super().forward(x), 1)


class Several(Body):
    def forward(self, x):
        h = self.hidden(x)
        return h.flatten(1), self.head(h).flatten(1)


class Detections(Body):
    """Boxes of all frames together, as after suppression; with a number of its own, without any axis of frames."""

    def forward(self, x):
        h = F.relu(self.conv(x)).permute(0, 2, 3, 1)
        return h[h[..., 0] > 0.4]


KINDS = {
    "plain": (Body, {}, 5, "logits", lambda y: y),
    "binary": (Binary, {"classes": 2}, 2, "logits", lambda z: np.concatenate([0 * z, z], 1)),
    "binary probability": (
        BinaryProbability, {"classes": 2}, 2, "probabilities", lambda p: np.concatenate([1 - p, p], 1),
    ),
    "one place": (OnePlace, {}, 5, "logits", lambda y: y[:, :, 0, 0]),
    "probable": (Probable, {}, 5, "probabilities", lambda y: y),
    "one logit unasked": (Binary, {}, None, "logits", None),
}  # fmt: skip


def made(kind):
    torch.manual_seed(0)
    return kind().eval()


def frames(n=3):
    return np.random.default_rng(0).normal(size=(n, *SHAPE)).astype(np.float32)


def exported(module):
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (torch.from_numpy(frames()),), file, dynamo=False, verbose=False, input_names=["x"],
            dynamic_axes={"x": {0: "n"}},
        )  # fmt: skip
    return file.getvalue()


def open_as(engine, module, **options):
    options = {"taps": "auto", **options}
    return TorchNetwork(module, SHAPE, **options) if engine == "torch" else OnnxNetwork(exported(module), **options)


@pytest.mark.parametrize("engine", ["torch", "onnx"])
@pytest.mark.parametrize("name", KINDS)
def test_class_scores_of_every_form(name, engine):
    kind, options, classes, scores, read = KINDS[name]
    module = made(kind)
    network = open_as(engine, module, **options)
    assert (network.classes, network.scores) == (classes, scores)
    with torch.no_grad():
        own = module(torch.from_numpy(frames())).numpy()
    seen = network.observe(frames())
    np.testing.assert_allclose(np.asarray(seen.output), own, rtol=1e-5, atol=1e-6)
    if read is None:
        assert seen.logits is None
    else:
        np.testing.assert_allclose(seen.logits, read(own), rtol=1e-5, atol=1e-6)
    check_network(network)


@pytest.mark.parametrize("engine", ["torch", "onnx"])
def test_several_outputs_have_no_classes_unless_one_is_named(engine):
    module = made(Several)
    assert open_as(engine, module).classes is None
    network = open_as(engine, module, scores_output=1)
    assert network.classes == 5
    np.testing.assert_array_equal(network.observe(frames()).logits, np.asarray(network.run(frames())[1]))
    check_network(network)


@pytest.mark.parametrize("engine", ["torch", "onnx"])
def test_an_output_without_a_batch_axis_keeps_all_axes(engine):
    module = made(Detections)
    network = open_as(engine, module, classes=None)
    counts = {}
    for seed in range(40):
        frame = np.random.default_rng(seed).normal(0, 0.35, (1, *SHAPE)).astype(np.float32)
        output = network.run(frame)
        counts[len(output)] = seed
        assert tuple(network.unbatched(output).shape) == (len(output), 4)
    assert 1 in counts, counts  # the one detection whose axis would be lost


def test_rows_of_codes_that_sum_to_less_than_one_are_probabilities_all_the_same():
    """A softmax inside an int8 classifier: 0.996 must not become 0.23."""
    from onnx import TensorProto, helper, numpy_helper

    constants = {"scale": np.float32(1 / 256), "zero": np.uint8(0), "w": np.eye(4, dtype=np.float32) * 3}
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]), helper.make_node("MatMul", ["r", "w"], ["z"]),
        helper.make_node("Softmax", ["z"], ["p"], axis=1),
        helper.make_node("QuantizeLinear", ["p", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ("n", 4))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ("n", 4))],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    network = OnnxNetwork(made.SerializeToString(), taps="r")
    batch = np.array([[4, 0, 0, 0], [0, 2, 0.5, 0]], np.float32)
    seen = network.observe(batch)
    assert network.scores == "probabilities"
    assert seen.logits[0, 0] == np.float32(255 / 256)
    np.testing.assert_array_equal(seen.logits, seen.output)
    check_network(network)
