"""Module paths in ONNX files, against what hooks on the exported modules see."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

from onnx import helper, numpy_helper  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from outrider.networks import OnnxNetwork  # noqa: E402
from outrider.networks.onnx.reading.paths import module_paths  # noqa: E402

SHAPE = (3, 8, 8)


class Block(nn.Module):
    """Residual; its ReLU runs twice, and the second time gives what the block returns."""

    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.down = nn.Sequential(nn.Conv2d(channels, channels, 1))
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.conv2(self.relu(self.norm(self.conv1(x)))) + self.down(x))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer1 = nn.Sequential(Block(3), Block(3))
        self.act = nn.SiLU()
        self.act_1 = nn.Linear(3, 6)
        self.head = nn.Linear(6, 5)

    def forward(self, x):
        x = self.act(self.layer1(x)).mean((2, 3))
        return self.head(functional.relu(self.act_1(x)))


@pytest.fixture(scope="module")
def module():
    torch.manual_seed(0)
    return Net().eval()


@pytest.fixture(scope="module", params=[False, True], ids=["torchscript", "dynamo"])
def path(request, module, tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "net.onnx"
    axes = {"dynamic_shapes": {"x": {0: "n"}}} if request.param else {"dynamic_axes": {"x": {0: "n"}}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (torch.zeros(2, *SHAPE),), str(path), input_names=["x"], dynamo=request.param, verbose=False, **axes
        )
    return path


def seen_by_hooks(module, batch):
    """What every module returns, the second time as ``name#2``."""
    seen = {}

    def hook(name):
        def keep(_module, _inputs, output):
            runs = sum(key.partition("#")[0] == name for key in seen)
            seen[f"{name}#{runs + 1}" if runs else name] = output.clone()

        return keep

    handles = [part.register_forward_hook(hook(name)) for name, part in module.named_modules() if name]
    with torch.no_grad():
        module(torch.from_numpy(batch))
    for handle in handles:
        handle.remove()
    return seen


FOLDED = {"layer1.0.conv1", "layer1.0.norm", "layer1.1.conv1", "layer1.1.norm"}  # the exporters make one of the two


def test_a_path_means_what_the_module_returns(module, path):
    batch = np.random.default_rng(0).normal(size=(3, *SHAPE)).astype(np.float32)
    seen = seen_by_hooks(module, batch)
    named = [name for name in seen if name not in FOLDED]
    assert {"layer1.0.relu", "layer1.0.relu#2", "layer1.0", "layer1", "layer1.1.down.0", "act", "act_1"} < {*named}
    for name in named:
        network = OnnxNetwork(path, taps=name, neurons="unit", exact=True)
        assert len(network.taps) == (1 if name == "head" else 2)
        np.testing.assert_allclose(
            network.observe(batch).activations[0], seen[name].flatten(1), rtol=1e-4, atol=1e-5, err_msg=name
        )


def test_a_folded_module_bears_one_of_the_two_names(module, path):
    batch = np.random.default_rng(0).normal(size=(3, *SHAPE)).astype(np.float32)
    paths = {name for tap in OnnxNetwork(path, taps="@conv", exact=True).taps for name in tap.paths}
    (folded,) = paths & {"layer1.0.conv1", "layer1.0.norm"}
    found = OnnxNetwork(path, taps=folded, neurons="unit", exact=True).observe(batch).activations[0]
    np.testing.assert_allclose(found, seen_by_hooks(module, batch)["layer1.0.norm"].flatten(1), rtol=1e-4, atol=1e-5)


def test_globs_over_paths_and_the_table(path):
    network = OnnxNetwork(path, taps="layer1.1.*", exact=True)
    inner = [tap.paths[0] for tap in network.taps if tap.paths]
    assert inner[-1] == "head"
    assert {name.partition("#")[0] for name in inner[:-1]} <= {
        f"layer1.1.{name}" for name in ("conv1", "norm", "conv2", "relu", "down.0")
    }
    assert len(inner) == 6
    table = str(OnnxNetwork(path, taps=("layer1.0.relu", "act")).taps).splitlines()
    assert table[0].split() == ["tap", "kind", "shape", "neurons", "taken", "by", "module"]
    assert [line.split()[-1] for line in table[1:]] == ["layer1.0.relu", "act", "head"]


def test_names_of_taps_stay_those_of_tensors(path):
    names = {name for node in onnx.load(path).graph.node for name in node.output}
    taps = OnnxNetwork(path, taps="layer1.*").taps
    assert {tap.name for tap in taps} <= names
    assert taps.select("layer1.0.relu") == taps.select(taps[taps.select("layer1.0.relu")[0]].name)


def test_a_path_that_is_not_there_is_refused_with_those_that_are_close(path):
    with pytest.raises(ValueError, match=r"got 'layer1\.0\.rleu' \(did you mean 'layer1\.0\.relu'"):
        OnnxNetwork(path, taps="layer1.0.rleu")
    with pytest.raises(ValueError, match=r"got 'layer1\.0\.rleu' \(did you mean .*'layer1\.0\.relu'"):
        OnnxNetwork(path).taps.select("layer1.0.rleu")


def graph(*nodes, weights=(), outputs=("y",)):
    """A graph of nodes (name or scopes, input, output)."""
    made = [helper.make_node("Relu", inputs.split(), [output]) for _, inputs, output in nodes]
    for node, (where, _, _) in zip(made, nodes, strict=True):
        if where.startswith("["):
            node.metadata_props.add(key="pkg.torch.onnx.name_scopes", value=where)
        else:
            node.name = where
    return helper.make_graph(
        made,
        "test",
        [],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(np.zeros(1, np.float32), name) for name in weights],
    )


def paths_of(*nodes, **options):
    made = graph(*nodes, **options)
    return module_paths(made, {name for node in made.node for name in node.output})


def test_a_suffix_is_a_second_run_unless_a_weight_bears_it():
    nodes = ("/a/conv/Conv", "x", "one"), ("/a/conv_1/Conv", "one", "two"), ("/head/Gemm", "two", "y")
    assert paths_of(*nodes) == {"one": ("a.conv",), "two": ("a.conv#2", "a.conv_1", "a"), "y": ("head",)}
    assert paths_of(*nodes, weights=["a.conv_1.weight"])["two"] == ("a.conv_1", "a")
    assert paths_of(("/conv_1/Conv", "x", "y")) == {"y": ("conv_1",)}


def test_a_block_that_runs_twice():
    nodes = (
        ("/block/conv/Conv", "x", "a"),
        ("/block/relu/Relu", "a", "b"),
        ("/pool/Pool", "b", "c"),
        ("/block_1/conv/Conv", "c", "d"),
        ("/block_1/relu/Relu", "d", "y"),
    )
    assert paths_of(*nodes) == {
        "a": ("block.conv",),
        "b": ("block.relu", "block"),
        "c": ("pool",),
        "d": ("block.conv#2", "block_1.conv"),
        "y": ("block.relu#2", "block_1.relu", "block#2", "block_1"),
    }


def test_other_names_and_metadata_say_nothing():
    for where in ("", "Relu_3", "model/layer/Relu", "/Relu", "//", "[", "['']", "['', 'relu']", "[" * 5000):
        assert paths_of((where, "x", "y")) == {}, where
