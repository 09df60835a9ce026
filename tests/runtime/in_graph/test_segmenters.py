"""The commands on a network whose class scores are a map."""

from __future__ import annotations

import json
import runpy
from contextlib import closing

import numpy as np
import pytest

from outrider.coverage import SingleRange
from outrider.monitor import Monitor, read_facts
from outrider.monitor.profile import NetworkFacts
from outrider.networks import TorchNetwork
from outrider.runtime.inputs.networks import reopen_network

FACTORY = """
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


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory):
    """One channel of 8 x 8 pixels, bright or dark as two classes, from two features."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper, numpy_helper

    weights = {"w": np.array([1, -1, 0.5, -0.5]).reshape(4, 1, 1, 1), "b": np.array([-0.5, 0.5, 0, 1]),
               "v": np.array([[9, -9, 0, 0], [-9, 9, 0, 0]]).reshape(2, 4, 1, 1)}  # fmt: skip
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "w", "b"], ["conv"]),
            helper.make_node("Relu", ["conv"], ["relu"]),
            helper.make_node("Conv", ["relu", "v"], ["scores"]),
        ],
        "segmenter",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 1, 8, 8])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 2, 8, 8])],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()],
    )
    path = tmp_path_factory.mktemp("segmenter") / "segmenter.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


@pytest.mark.parametrize("labelled", [False, True])
def test_a_segmenter_from_profile_to_check(outrider, segmenter, tmp_path, labelled):
    pixels = np.random.default_rng(0).uniform(0, 1, (300, 1, 8, 8)).astype(np.float32)
    given = {"images": pixels, **({"labels": (pixels[:, 0] < 0.5).astype(int)} if labelled else {})}
    np.savez(tmp_path / "frames.npz", **given)
    strange = pixels[:4].copy()
    strange[:, :, :2, :2] = 5
    np.save(tmp_path / "strange.npy", strange)
    taken = "--taps", "relu", "--neurons", "pixel", "--classes", "pixel"
    result = outrider("profile", segmenter, "frames.npz", "-o", "s.outrider", "--rows", ":150", *taken)
    assert (result.code, result.err) == (0, "")
    assert "relu:pixel" in result.out
    (tmp_path / "segmenter.onnx").write_bytes(segmenter.read_bytes())
    result = outrider("calibrate", "s.outrider", "frames.npz", "--rows", "150:", "--false-alarm-rate", "0.05")
    assert (result.code, result.err) == (0, "")
    assert outrider("check", "s.outrider", "strange.npy").code == 1
    facts = json.loads(outrider("inspect", "s.outrider", "--json").out)
    assert (facts["network"]["map_classes"], facts["network"]["logits"]) == (2, "scores")
    assert facts["trusted"]["labelled"] == labelled
    assert facts["trusted"]["per_map_class"] == [150, 150]
    assert "2 classes of places" in outrider("inspect", "s.outrider").out


@pytest.mark.parametrize("text", ["1", "pixels", ""])
def test_a_wrong_number_of_classes_is_refused(outrider, segmenter, text):
    result = outrider("profile", segmenter, "digits:train", "-o", "s.outrider", "--classes", text)
    assert result.code == 2
    assert "expected auto, pixel, none or a number from 2" in result.err


@pytest.mark.parametrize(("logits", "classes"), [("second", "auto"), (1, 3), ("map", "pixel"), ("first", None)])
def test_which_output_of_a_module_holds_the_scores_is_remembered(tmp_path, logits, classes):
    pytest.importorskip("torch")
    path = tmp_path / "heads.py"
    path.write_text(FACTORY)
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
