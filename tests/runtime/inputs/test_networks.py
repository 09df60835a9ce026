"""A NETWORK argument, in every form it can take."""

from __future__ import annotations

import runpy
from contextlib import closing
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from outrider.coverage import SingleRange
from outrider.monitor import MismatchError, Monitor, read_facts
from outrider.monitor.facts.network import NetworkFacts
from outrider.networks import Input, Preprocessing, TorchNetwork
from outrider.runtime.cli.comparing import empty_source
from outrider.runtime.inputs.joint import JointSource
from outrider.runtime.inputs.networks import inputs_of, open_network, picture_defaults, reopen_network
from outrider.runtime.inputs.samples import open_source
from outrider.runtime.inputs.sources import Source

needs_torchvision = pytest.mark.skipif(find_spec("torchvision") is None, reason="needs torchvision")
FACTORY = """
import torch

def make():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 2))

def tokens():
    return torch.nn.Sequential(torch.nn.Embedding(9, 4), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(12, 2))

def nothing():
    return None

def exported():
    return torch.export.export(make().eval(), (torch.zeros(2, 3, 8, 8),))

def fail():
    raise KeyError("weights")
"""

TWO_HEADS = """
import torch

class TwoHeads(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.relu = torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.ReLU()
        self.first, self.second = torch.nn.Conv2d(4, 2, 1), torch.nn.Conv2d(4, 3, 1)

    def forward(self, x):
        hidden = self.relu(self.conv(x))
        return {"first": self.first(hidden).mean((2, 3)), "second": self.second(hidden).mean((2, 3)),
                "map": self.second(hidden)}
"""

TWO_INPUTS = """
import torch

class Two(torch.nn.Module):
    def forward(self, camera, speed, scale=1.0, *, more=None):
        return camera, speed
"""


@pytest.fixture
def source():
    pixels = np.zeros((3, 8, 8), np.uint8)
    return Source(lambda _index: pixels, ["picture"])


@pytest.fixture
def factory(tmp_path):
    pytest.importorskip("torch")
    path = tmp_path / "factory.py"
    path.write_text(FACTORY)
    return path


def test_an_onnx_model_says_size_layout_and_channels(model, source):
    with closing(open_network(str(model), source, {})) as network:
        assert (network.engine, network.input_shape) == ("onnx", (1, 8, 8))
        assert (network.preprocessing.size, network.preprocessing.order) == ((8, 8), "L")


def test_what_the_user_says_of_pictures_wins(model, source):
    with closing(open_network(str(model), source, {"scale": 1.0, "mean": (127.0,)})) as network:
        assert (network.preprocessing.scale, network.preprocessing.size) == (1.0, (8, 8))


def test_ready_samples_need_no_preprocessing(model):
    ready = Source(lambda _index: np.zeros((1, 8, 8), np.float32), ["sample"], ready=True)
    with closing(open_network(str(model), ready, {})) as network:
        assert network.preprocessing is None


def test_a_function_in_a_file(factory, source):
    with closing(open_network(f"{factory}:make", source, {})) as network:
        assert (network.engine, network.input_shape, network.classes) == ("torch", (3, 8, 8), 2)


def test_integers_tell_the_shape_of_a_module_that_takes_them(factory, tmp_path):
    np.save(tmp_path / "tokens.npy", np.arange(6).reshape(2, 3))
    source = open_source(str(tmp_path / "tokens.npy"))
    with closing(open_network(f"{factory}:tokens", source, {})) as network:
        assert (network.input_shape, network.dtype, network.preprocessing) == ((3,), "int64", None)


def test_weights_for_it(factory, source, tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    save_file({"1.weight": torch.zeros(2)}, tmp_path / "wrong.safetensors")
    with pytest.raises(ValueError, match=r"wrong\.safetensors: expected the weights of .*factory\.py:make, got Error"):
        open_network(f"{factory}:make", source, {}, weights=tmp_path / "wrong.safetensors")


def test_weights_that_are_pickled_are_refused(factory, source, tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"0.bias": torch.zeros(4)}, tmp_path / "net.pt")
    message = r"net\.pt: expected a \.safetensors file, got .*; pickled weights are never loaded: save them with safe"
    for spec in (f"{factory}:make", "torchvision:resnet18"):
        with pytest.raises(ValueError, match=message):
            open_network(spec, source, {}, weights=tmp_path / "net.pt")
    with pytest.raises(FileNotFoundError, match=r"none\.pt: expected a \.safetensors file, got no such file"):
        open_network(f"{factory}:make", source, {}, weights=tmp_path / "none.pt")


def test_the_profile_of_another_module_is_told_before_its_taps(factory, tmp_path):
    with closing(open_network(f"{factory}:make", Source(lambda _index: np.zeros((3, 8, 8), np.uint8), ["a"]), {})) as a:
        facts = NetworkFacts.of(a, a.taps)
    factory.write_text(
        "import torch\ndef make():\n    net = torch.nn.Sequential()\n    net.add_module('flat', torch.nn.Flatten())\n"
        "    net.add_module('head', torch.nn.Linear(192, 2))\n    return net"
    )
    with pytest.raises(
        MismatchError, match=r"p\.outrider: expected the network it was learned from, got another:\n .*"
    ):
        reopen_network(f"{factory}:make", Path("p.outrider"), facts)


@pytest.mark.parametrize(
    ("name", "message"),
    [("fail", "factory.py:fail raised KeyError: 'weights'"), ("none", "factory.py:none raised AttributeError")],
)
def test_a_function_that_fails(factory, source, name, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the message is checked below)
        open_network(f"{factory}:{name}", source, {})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [("nothing", "expected an nn.Module, got NoneType"), ("exported", "a program of torch.export; give the nn.Module")],
)
def test_a_function_that_returns_no_module(factory, name, message):
    with pytest.raises(ValueError, match=rf"factory.py:{name}: .*{message}"):
        inputs_of(f"{factory}:{name}")


@needs_torchvision
def test_a_classifier_of_torchvision(source):
    with closing(open_network("torchvision:squeezenet1_1", source, {"size": (32, 32)})) as network:
        assert (network.classes, network.input_shape) == (1000, (3, 32, 32))


@pytest.mark.parametrize(
    ("spec", "message"),
    [("zoo:alexnet", "expected a network among"), ("torchvision:resnet19", "expected a torchvision classifier")],
)
@needs_torchvision
def test_unknown_names(source, spec, message):
    with pytest.raises(ValueError, match=message):
        open_network(spec, source, {})


def test_the_network_beside_a_profile_is_found_by_model_and_weights(outrider, model, tmp_path):
    """A model whose weights lie in another file, beside others of the same model file and of none."""
    onnx = pytest.importorskip("onnx")
    for name, factor in (("a", 2), ("b", 1)):
        copy = onnx.load(model)
        for tensor in copy.graph.initializer:
            values = onnx.numpy_helper.to_array(tensor) * np.float32(factor)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
        (tmp_path / name).mkdir()
        where = {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0}
        onnx.save(copy, tmp_path / name / "net.onnx", **where)
    (tmp_path / "b" / "damaged.onnx").write_bytes(b"no model")
    (tmp_path / "b" / "lost.onnx").write_bytes(
        (tmp_path / "b" / "net.onnx").read_bytes().replace(b"ghts.bin", b"none.bin")
    )
    assert (tmp_path / "a" / "net.onnx").read_bytes() == (tmp_path / "b" / "net.onnx").read_bytes()
    assert outrider("profile", "b/net.onnx", "digits:train", "--rows", ":1000", "-o", "b/net.outrider").code == 0
    calibrate = ("calibrate", "b/net.outrider", "digits:train", "--rows", "1000:")
    assert outrider(*calibrate).code == 0  # found beside it
    (tmp_path / "a" / "net.outrider").write_bytes((tmp_path / "b" / "net.outrider").read_bytes())
    result = outrider("check", "a/net.outrider", "digits:test")
    assert result.code == 2
    assert "got no .onnx file of SHA-256" in result.err


@pytest.mark.parametrize(("logits", "classes"), [("second", "auto"), (1, 3), ("map", "pixel"), ("first", None)])
def test_which_output_of_a_module_holds_the_scores_is_remembered(tmp_path, logits, classes):
    pytest.importorskip("torch")
    path = tmp_path / "heads.py"
    path.write_text(TWO_HEADS)
    module = runpy.run_path(str(path))["TwoHeads"]()
    frames = np.random.default_rng(0).normal(size=(60, 1, 6, 6)).astype(np.float32)
    with TorchNetwork(module.eval(), (1, 6, 6), taps="relu", scores_output=logits, classes=classes) as network:
        monitor = Monitor(network, {"relu": SingleRange()})
        monitor.profile([frames], minimum_per_class=0)
        monitor.save(tmp_path / "m.outrider")
        expected = monitor.deviations(frames[:5])
        facts = NetworkFacts.from_dict(read_facts(tmp_path / "m.outrider")["network"])
    with closing(reopen_network(f"{path}:TwoHeads", tmp_path / "m.outrider", facts)) as again:
        np.testing.assert_array_equal(Monitor.load(tmp_path / "m.outrider", again).deviations(frames[:5]), expected)
        assert (again.scores_output, again.classes, again.map_classes) == (logits, network.classes, network.map_classes)


def test_the_names_of_what_a_network_takes(tmp_path, model):
    assert inputs_of(str(model)) == ["image"]
    assert inputs_of("zoo:lenet-fashion-mnist") == inputs_of("torchvision:resnet18") == []
    from ..several import cell_model

    (tmp_path / "cell.onnx").write_bytes(cell_model())
    assert inputs_of(f"{tmp_path}/cell.onnx") == ["camera", "h_in"]
    assert inputs_of(f"{tmp_path}/cell.onnx", states={"h_in": "h_out"}) == ["camera"]
    with pytest.raises(ValueError, match="expected states among the inputs camera, h_in, got c"):
        inputs_of(f"{tmp_path}/cell.onnx", states={"c": "h_out"})


def test_the_inputs_of_a_module_are_parameters_without_a_default(tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "two.py").write_text(TWO_INPUTS)
    assert inputs_of(f"{tmp_path / 'two.py'}:Two") == ["camera", "speed"]
    with pytest.raises(ValueError, match="expected an ONNX model with states, got a module"):
        open_network(f"{tmp_path / 'two.py'}:Two", empty_source((3,)), {}, states={"speed": 1})


def test_pictures_of_inputs_that_need_other_sizes_are_refused(tmp_path):
    pictures = Source(lambda _index: np.zeros((1, 9, 9), np.uint8), ["a"])
    from ..several import fused_model

    (tmp_path / "fused.onnx").write_bytes(fused_model())
    speed = Source(lambda _: np.zeros(4, np.float32), ["a"], ready=True)
    source = JointSource({"camera": pictures, "speed": speed}, ["a"])
    assert picture_defaults(f"{tmp_path}/fused.onnx", source, {}) == {"size": (6, 5), "layout": "NCHW", "order": "L"}
    assert picture_defaults(f"{tmp_path}/fused.onnx", replace(source, parts={"speed": speed}), {}) == {}
    with pytest.raises(ValueError, match="expected a network that takes pictures"):
        picture_defaults(f"{tmp_path}/fused.onnx", JointSource({"camera": pictures, "speed": pictures}, ["a"]), {})


def pixel_model(path, shape, state=None):
    """A network of uint8 pixels, with a state or a speed beside them."""
    onnx = pytest.importorskip("onnx")
    helper, kinds = onnx.helper, onnx.TensorProto
    other = "speed" if state is None else state
    nodes = [
        helper.make_node("Cast", ["camera"], ["floats"], to=kinds.FLOAT),
        helper.make_node("ReduceMean", ["floats"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("ReduceMean", ["means"], ["mean"], axes=[1], keepdims=1),
        helper.make_node("Add", ["mean", other], ["out"]),
    ]
    graph = helper.make_graph(
        nodes, "pixels",
        [helper.make_tensor_value_info("camera", kinds.UINT8, ["n", *shape]),
         helper.make_tensor_value_info(other, kinds.FLOAT, ["n", 1])],
        [helper.make_tensor_value_info("out", kinds.FLOAT, ["n", 1])],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return str(path)


@pytest.mark.parametrize(
    ("shape", "told", "expected"),
    [
        ((6, 5, 3), {}, {"size": (6, 5), "layout": "NHWC", "order": "RGB", "scale": 1.0}),
        ((3, "h", "w"), {}, {"layout": "NCHW", "order": "RGB", "scale": 1.0}),
        (("h", "w", 3), {"size": (4, 4)}, {"layout": "NHWC", "order": "RGB", "scale": 1.0}),
    ],
)
def test_pixels_beside_another_input_come_as_they_are(tmp_path, shape, told, expected):
    model = pixel_model(tmp_path / "pixels.onnx", shape)
    picture = np.random.default_rng(0).integers(0, 256, (3, 6, 5), np.uint8)
    parts = {
        "camera": Source(lambda _index: picture, ["a"]),
        "speed": Source(lambda _index: np.zeros(1, np.float32), ["a"], ready=True),
    }
    found = picture_defaults(model, JointSource(parts, ["a"]), told)
    assert found == expected
    read = Preprocessing.from_dict({**found, **told})
    taker = Input("camera", tuple(size if isinstance(size, int) else None for size in shape), "uint8")
    sample = JointSource(parts, ["a"]).sample(0, read, (taker, Input("speed", (1,))))["camera"]
    np.testing.assert_array_equal(sample, read(picture, "uint8"))
    assert sample.dtype == np.uint8
    floats = JointSource(parts, ["a"]).sample(0, Preprocessing(), (taker, Input("speed", (1,))))["camera"]
    assert floats.tolist() == (picture if shape[0] == 3 else np.moveaxis(picture, 0, -1)).tolist()


def test_pixels_beside_a_state_come_as_they_are(tmp_path, source):
    model = pixel_model(tmp_path / "pixels.onnx", (8, 8, 3), "h_in")
    expected = {"size": (8, 8), "layout": "NHWC", "order": "RGB", "scale": 1.0}
    assert picture_defaults(model, source, {}, ["h_in"]) == expected
