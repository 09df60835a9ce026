"""What a network takes: several inputs, video, views, regions, states, any dtype, in PyTorch and as exported."""

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

from outrider.networks import OnnxNetwork, Recurrent, TorchNetwork, check_network

F = nn.functional
RNG = np.random.default_rng(0)


class Fusion(nn.Module):
    """Camera and lidar."""

    def __init__(self):
        super().__init__()
        self.see, self.feel, self.head = nn.Conv2d(3, 4, 3), nn.Linear(6, 4), nn.Linear(8, 5)

    def forward(self, camera, lidar):
        return self.head(torch.cat([F.relu(self.see(camera)).mean((2, 3)), F.relu(self.feel(lidar))], 1))


class Cell(nn.Module):
    """A frame and the state of the last one."""

    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.GRUCell(6, 4), nn.Linear(4, 5)

    def forward(self, x, state):
        state = self.cell(x, state)
        return self.head(F.relu(state)), state


class Video(nn.Module):
    """A clip."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv3d(3, 4, 3), nn.Linear(4, 5)

    def forward(self, clip):
        return self.head(F.relu(self.conv(clip)).mean((2, 3, 4)))


class Views(nn.Module):
    """Six cameras around a car, each a row of the backbone."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 5)

    def forward(self, views):
        features = F.relu(self.conv(views.flatten(0, 1))).mean((2, 3))
        return self.head(features.reshape(-1, 6, 4).mean(1))


class Regions(nn.Module):
    """A detector: places above a threshold go through a head of their own."""

    def __init__(self):
        super().__init__()
        self.conv, self.dense = nn.Conv2d(3, 4, 3), nn.Linear(4, 6)

    def forward(self, x):
        h = F.relu(self.conv(x))
        places = h.permute(0, 2, 3, 1)
        found = places[places[..., 0] > 0.4]
        return F.gelu(self.dense(found))


class Tokens(nn.Module):
    """Words: whole numbers."""

    def __init__(self):
        super().__init__()
        self.table, self.dense, self.head = nn.Embedding(8, 6), nn.Linear(6, 4), nn.Linear(4, 5)

    def forward(self, words):
        return self.head(F.relu(self.dense(self.table(words))).mean(1))


class Bytes(nn.Module):
    """Pictures as cameras give them."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 5)

    def forward(self, x):
        return self.head(F.relu(self.conv(x.float() / 255)).mean((2, 3)))


KINDS = {
    "fusion": (Fusion, {"camera": (3, 8, 8), "lidar": (6,)}, "float32"),
    "cell": (Cell, {"x": (6,), "state": (4,)}, "float32"),
    "video": (Video, {"clip": (3, 4, 8, 8)}, "float32"),
    "views": (Views, {"views": (6, 3, 8, 8)}, "float32"),
    "regions": (Regions, {"x": (3, 8, 8)}, "float32"),
    "tokens": (Tokens, {"words": (7,)}, "int64"),
    "bytes": (Bytes, {"x": (3, 8, 8)}, "uint8"),
}


def made(kind):
    torch.manual_seed(0)
    return kind().eval()


def batch_of(shapes, dtype, n=3):
    if dtype == "float32":
        arrays = [RNG.normal(size=(n, *shape)).astype(dtype) for shape in shapes.values()]
    else:
        arrays = [RNG.integers(0, 8, (n, *shape)).astype(dtype) for shape in shapes.values()]
    return arrays[0] if len(arrays) == 1 else tuple(arrays)


def exported(module, shapes, dtype):
    file = io.BytesIO()
    parts = parts_in(batch_of(shapes, dtype))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, tuple(map(torch.from_numpy, parts)), file, dynamo=False, verbose=False, input_names=list(shapes),
            dynamic_axes={name: {0: "n"} for name in shapes},
        )  # fmt: skip
    return file.getvalue()


def parts_in(batch):
    return batch if isinstance(batch, tuple) else (batch,)


def open_as(engine, module, shapes, dtype, **options):
    options = {"taps": "auto", "classes": None, **options}
    if engine == "onnx":
        return OnnxNetwork(exported(module, shapes, dtype), **options)
    return TorchNetwork(module, shapes if len(shapes) > 1 else next(iter(shapes.values())), dtype=dtype, **options)


def bare(engine, module, data=None):
    if engine == "torch":
        return lambda batch: module(*map(torch.from_numpy, parts_in(batch)))
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    return lambda batch: session.run(None, dict(zip(names, parts_in(batch), strict=True)))


@pytest.mark.parametrize("engine", ["torch", "onnx"])
@pytest.mark.parametrize("name", KINDS)
def test_every_input_keeps_the_rules(name, engine):
    kind, shapes, dtype = KINDS[name]
    module = made(kind)
    network = open_as(engine, module, shapes, dtype)
    assert [(one.name, tuple(one.shape), one.dtype) for one in network.inputs] == [
        (own if len(shapes) > 1 or engine == "onnx" else network.inputs[0].name, shape, dtype)
        for own, shape in shapes.items()
    ]
    data = exported(module, shapes, dtype) if engine == "onnx" else None
    check_network(network, batch_of(shapes, dtype), bare=bare(engine, module, data))


@pytest.mark.parametrize("engine", ["torch", "onnx"])
def test_several_inputs_come_as_a_tuple_or_by_name(engine):
    kind, shapes, dtype = KINDS["fusion"]
    module = made(kind)
    network = open_as(engine, module, shapes, dtype)
    camera, lidar = batch_of(shapes, dtype)
    one, other = network.observe((camera, lidar)), network.observe({"lidar": lidar, "camera": camera})
    with torch.no_grad():
        expected = [
            F.relu(module.see(torch.from_numpy(camera))).mean((2, 3)),
            F.relu(module.feel(torch.from_numpy(lidar))),
        ]
    for a, b, c in zip(one.activations, other.activations, expected, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(a, c.numpy(), rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="expected the inputs camera, lidar, got camera"):
        network.observe({"camera": camera})


@pytest.mark.parametrize("engine", ["torch", "onnx"])
def test_a_state_goes_from_frame_to_frame(engine):
    kind, shapes, dtype = KINDS["cell"]
    module = made(kind)
    network = open_as(engine, module, shapes, dtype)
    state, own = np.zeros((1, 4), np.float32), torch.zeros(1, 4)
    for _ in range(3):
        frame = RNG.normal(size=(1, 6)).astype(np.float32)
        seen = network.observe((frame, state))
        with torch.no_grad():
            _, own = module(torch.from_numpy(frame), own)
        state = np.asarray(seen.output[1])
        np.testing.assert_allclose(state, own.numpy(), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(seen.activations[0], F.relu(own).numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("engine", ["torch", "onnx"])
def test_a_clip_has_its_channels_pooled_over_time_and_place(engine):
    kind, shapes, dtype = KINDS["video"]
    module = made(kind)
    network = open_as(engine, module, shapes, dtype)
    assert network.taps[0].layout == "NCDHW"
    batch = batch_of(shapes, dtype)
    with torch.no_grad():
        expected = F.relu(module.conv(torch.from_numpy(batch))).mean((2, 3, 4)).numpy()
    np.testing.assert_allclose(network.observe(batch).activations[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("engine", ["torch", "onnx"])
def test_each_view_is_a_row_of_its_frame(engine):
    kind, shapes, dtype = KINDS["views"]
    module = made(kind)
    network = open_as(engine, module, shapes, dtype)
    assert (network.taps[0].rows, network.taps[0].shape[0]) == (6, 4)
    batch = batch_of(shapes, dtype, 2)
    with torch.no_grad():
        expected = F.relu(module.conv(torch.from_numpy(batch.reshape(12, 3, 8, 8)))).mean((2, 3)).numpy()
    np.testing.assert_allclose(network.observe(batch).activations[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("engine", ["torch", "onnx"])
def test_regions_belong_to_their_frames(engine):
    kind, shapes, dtype = KINDS["regions"]
    module = made(kind)
    network = open_as(engine, module, shapes, dtype)
    assert [tap.rows for tap in network.taps] == [1, None]
    batch = np.concatenate([batch_of(shapes, dtype, 3), np.zeros((1, 3, 8, 8), np.float32)])
    seen = network.observe(batch)
    with torch.no_grad():
        alone = [module(torch.from_numpy(frame[None])).numpy() for frame in batch]
    np.testing.assert_array_equal(seen.rows[1], [len(found) for found in alone])
    np.testing.assert_allclose(seen.activations[1], np.concatenate(alone), rtol=1e-4, atol=1e-5)


def test_a_graph_without_a_batch_axis_takes_frames():
    """As a mobile converter writes it: (3, 8, 8) in, (5,) out."""
    from onnx import TensorProto, helper, numpy_helper

    weights = {"w": RNG.normal(size=(4, 3)).astype(np.float32), "five": RNG.normal(size=(4, 5)).astype(np.float32)}
    nodes = [
        helper.make_node("MatMul", ["w", "x"], ["m"]), helper.make_node("Relu", ["m"], ["r"]),
        helper.make_node("ReduceMean", ["r"], ["p"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["p", "five"], ["y"]),
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, (3, 9))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (5,))],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    network = OnnxNetwork(made.SerializeToString(), taps="r", batch_axis=False)
    assert (network.input_shape, network.classes) == ((3, 9), 5)
    batch = RNG.normal(size=(2, 3, 9)).astype(np.float32)
    hidden = np.maximum(np.einsum("dc,ncl->ndl", weights["w"], batch), 0)
    np.testing.assert_allclose(network.observe(batch).activations[0], hidden.mean(2), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(network.observe(batch).logits, hidden.mean(2) @ weights["five"], rtol=1e-4, atol=1e-5)
    check_network(network)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_other_floats_are_fed_as_they_take_it(dtype):
    module = made(Bytes).to(dtype)
    module.forward = lambda x: module.head(F.relu(module.conv(x)).mean((2, 3)))
    network = TorchNetwork(module, (3, 8, 8), taps="auto")
    batch = batch_of({"x": (3, 8, 8)}, "float32")
    seen = network.observe(batch)
    with torch.inference_mode():
        own = module(torch.from_numpy(batch).to(dtype))
    assert torch.equal(seen.output, own)
    assert seen.activations[0].dtype == np.float32


@pytest.mark.parametrize("engine", ["torch", "onnx"])
def test_a_network_that_carries_its_state_keeps_the_rules(engine):
    kind, shapes, dtype = KINDS["cell"]
    module = made(kind)
    network = Recurrent(open_as(engine, module, shapes, dtype), {"state": 1})
    assert [one.name for one in network.inputs] == ["x"]
    check_network(network, RNG.normal(size=(3, 6)).astype(np.float32))
