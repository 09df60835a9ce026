"""`outrider compare`: two forms of one network, two that differ, and a profile that moves from one to the other."""

from __future__ import annotations

import json

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import helper, numpy_helper  # noqa: E402

FACTORY = """
from torch import nn

def digits():
    return nn.Sequential(nn.Conv2d(1, 6, 3, padding=1, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(384, 10))

def broken():
    raise KeyError("weights")
"""


@pytest.fixture
def module(model, tmp_path):
    """The digits' network in PyTorch: arguments that name its file and its weights."""
    pytest.importorskip("torch")
    from safetensors.numpy import save_file

    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(model).graph.initializer}
    names = {"0.weight": "kernels", "3.weight": "weight", "3.bias": "bias"}
    save_file({name: weights[there].copy() for name, there in names.items()}, tmp_path / "digits.safetensors")
    (tmp_path / "digits.py").write_text(FACTORY)
    return "digits.py:digits", "--weights", "digits.safetensors"


def edited(model, path, change):
    """The model with one of its weights changed."""
    copy = onnx.load(model)
    tensor = next(tensor for tensor in copy.graph.initializer if tensor.name == "weight")
    tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor)), "weight"))
    onnx.save(copy, path)
    return path


def test_a_network_agrees_with_itself(outrider, model):
    result = outrider("compare", model, model)
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert [line.split()[-2:] for line in lines if "relu:" in line] == [["name", "0"], ["name", "0"]]
    assert lines[-1] == "8 random frames, 0 predictions differ; all agree within 0.001"


def test_a_module_agrees_with_its_onnx_form(outrider, model, module):
    network, *weights = module
    for pair in ((network, model), (model, network)):
        result = outrider("compare", *pair, *weights, "--json")
        assert result.code == 0
        facts = json.loads(result.out)
        names = ("relu:channel", "relu:unit", "logits:unit"), ("1:channel", "1:unit", "output:unit")
        mine, theirs = names[pair[0] == network], names[pair[1] == network]
        assert [(tap["a"], tap["b"], tap["how"]) for tap in facts["taps"]] == [
            (a, b, "position") for a, b in zip(mine, theirs, strict=True)
        ]
        assert max(tap["difference"] for tap in facts["taps"]) < 1e-5
        assert facts["frames"] == 8
        assert facts["agree"]


def test_a_network_that_differs_is_told_by_the_exit_status(outrider, model, tmp_path):
    other = edited(model, tmp_path / "other.onnx", lambda weight: weight * np.float32(1.1))
    result = outrider("compare", model, other, "--frames", "digits:test", "--rows", ":100", "--json")
    facts = json.loads(result.out)
    assert result.code == 1
    assert not facts["agree"]
    assert facts["frames"] == 100
    assert [tap["difference"] > 0.01 for tap in facts["taps"]] == [False, False, True]
    assert facts["output"] == facts["taps"][-1]["difference"] < 0.2
    assert outrider("compare", model, other, "--tolerance", "0.2").code == 0
    result = outrider("compare", model, other)
    assert result.out.splitlines()[-1].endswith("they do not agree within 0.001")


def test_predictions_that_differ_are_counted(outrider, model, tmp_path):
    turned = edited(model, tmp_path / "turned.onnx", lambda weight: weight[::-1].copy())
    arguments = ("--frames", "digits:test", "--rows", ":50", "--json")
    facts = json.loads(outrider("compare", model, turned, *arguments).out)
    assert facts["predictions_differ"] > 25


def test_taps_are_chosen_as_for_a_profile(outrider, model, module):
    network, *weights = module
    facts = json.loads(outrider("compare", model, network, *weights, "--taps", "conv,@relu:grid2", "--json").out)
    assert [tap["a"] for tap in facts["taps"]] == ["relu:grid2", "logits:unit"]  # a module has no tensor `conv`
    assert [(unbound["side"], unbound["tap"]) for unbound in facts["unbound"]] == [
        ("a", "conv:channel"),
        ("b", "1:channel"),
    ]
    assert not facts["agree"]
    result = outrider("compare", model, model, "--taps", "conv", "--neurons", "unit,channel-max", "--json")
    assert [tap["a"] for tap in json.loads(result.out)["taps"]] == ["conv:unit", "conv:channel-max", "logits:unit"]


def test_what_is_not_bound_is_printed(outrider, model, module):
    network, *weights = module
    result = outrider("compare", model, network, *weights, "--taps", "conv")
    assert result.code == 1
    text = "".join(result.out.split())
    assert f"notbound:conv:channelof{model}:itcouldbe1:channel,ofwhichnonefitsclearly:thenearestdiffersby" in text
    assert "notbound:1:channelofdigits.py:digits:" in text


def learned(outrider, network, weights, output="torch.outrider"):
    assert outrider("profile", network, "digits:train", "--rows", ":1000", "-o", output, *weights).code == 0
    calibrate = ("calibrate", output, "digits:train", "--rows", "1000:", "--network", network, *weights)
    assert outrider(*calibrate, "--false-alarm-rate", "0.05").code == 0


def test_a_profile_learned_in_torch_is_deployed_on_onnx(outrider, model, module, tmp_path):
    network, *weights = module
    learned(outrider, network, weights)
    given = ("--profile", "torch.outrider", "--frames", "digits:test", *weights)
    result = outrider("compare", network, model, *given, "-o", "onnx.outrider")
    assert result.code == 0
    text = " ".join(result.out.split())
    assert "360 frames, 0 predictions differ, 0 verdicts differ; all agree within 0.001" in text
    assert "onnx.outrider: written. Its threshold was set on the scores of the first network" in text
    assert "not bound" not in text

    def verdicts(profile, there, *more):
        lines = outrider("check", profile, "digits:test", "--network", there, *more, "--json").out.splitlines()
        return [json.loads(line) for line in lines]

    mine, theirs = verdicts("torch.outrider", network, *weights), verdicts("onnx.outrider", model)
    assert [line["alarm"] for line in mine] == [line["alarm"] for line in theirs]
    assert 0 < sum(line["alarm"] for line in mine) < 100
    np.testing.assert_allclose([v["score"] for v in mine], [v["score"] for v in theirs], rtol=1e-2)
    assert outrider("compare", network, model, *given, "--json").code == 0


def test_a_profile_is_not_moved_to_a_network_that_differs(outrider, model, module, tmp_path):
    network, *weights = module
    learned(outrider, network, weights)
    other = edited(model, tmp_path / "other.onnx", lambda weight: weight * np.float32(1.1))
    result = outrider("compare", network, other, "--profile", "torch.outrider", "-o", "onnx.outrider", *weights)
    assert result.code == 1
    assert "onnx.outrider: not written, as the networks do not agree" in result.out
    assert not (tmp_path / "onnx.outrider").exists()


def test_a_profile_of_explicit_taps_is_moved_too(outrider, model, tmp_path):
    taps = ("--taps", "flat,@relu:grid2", "--criterion", "single_range")
    outrider("profile", model, "digits:train", "--rows", ":1000", "-o", "flat.outrider", *taps)
    copy = onnx.load(model)
    copy.graph.name = "the same under another name"
    onnx.save(copy, tmp_path / "copy.onnx")
    result = outrider("compare", model, "copy.onnx", "--profile", "flat.outrider", "-o", "moved.outrider", "--json")
    assert [tap["a"] for tap in json.loads(result.out)["taps"]] == ["relu:grid2", "flat:unit", "logits:unit"]
    assert json.loads(result.out)["verdicts_differ"] is None
    assert outrider("inspect", "moved.outrider").code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("{model}",), "the following arguments are required: OTHER"),
        (("{model}", "none.onnx"), "none.onnx: expected an ONNX model, got no such file"),
        (("none.onnx", "{model}"), "none.onnx: expected an ONNX model, got no such file"),
        (("{model}", "lenet"), "expected NETWORK as model.onnx, zoo:NAME, torchvision:NAME or file.py:factory, got"),
        (("{model}", "{model}", "--tolerance", "-1"), "argument --tolerance: expected a number from 0, got '-1'"),
        (("{model}", "{model}", "--tolerance", "much"), "argument --tolerance: expected a number from 0, got 'much'"),
        (("{model}", "{model}", "--input-shape", "1,a"), "argument --input-shape: expected a whole number"),
        (("{model}", "{model}", "--input-shape", "1,9,9"), "expected input_shape to fit input 'image' of shape"),
        (("{model}", "{model}", "--taps", "conv9"), "'conv9'"),
        (("{model}", "{model}", "--frames", "photos"), "photos: no such file or folder"),
        (("{model}", "{model}", "--frames", "digits:test", "--rows", "900:"), "--rows 900: leaves none of 360 samples"),
        (("{model}", "{model}", "-o", "x"), "expected --profile too, the one to be moved to the other network, got"),
        (("{model}", "{model}", "--profile", "{profiled}", "-o", "no/x"), "no/x: expected a folder to write to, got"),
        (("{model}", "{model}", "--profile", "none"), "none: expected a profile, got no such file"),
    ],
)  # fmt: skip
def test_errors(outrider, model, profiled, arguments, message):
    result = outrider("compare", *(argument.format(model=model, profiled=profiled) for argument in arguments))
    assert result.code == 2
    assert result.out == ""
    assert message in result.err


def test_the_profile_of_another_network_is_refused(outrider, model, profiled, tmp_path):
    other = edited(model, tmp_path / "other.onnx", lambda weight: weight + 1)
    result = outrider("compare", other, model, "--profile", profiled)
    assert result.code == 2
    assert "expected the network it was learned from, got another: SHA-256: expected" in result.err


@pytest.mark.usefixtures("module")
def test_modules_alone_need_a_shape(outrider):
    result = outrider("compare", "digits.py:digits", "digits.py:digits")
    assert result.code == 2
    assert "expected --input-shape C,H,W or --frames DATA: no ONNX model says" in result.err
    result = outrider("compare", "digits.py:digits", "digits.py:digits", "--input-shape", "1,8,8")
    assert result.code == 1  # each has its own random weights
    result = outrider("compare", "digits.py:broken", "digits.py:digits", "--input-shape", "1,8,8")
    assert "digits.py:broken raised KeyError" in result.err


def test_open_sizes_need_a_shape(outrider, tmp_path):
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "kernels"], ["conv"]),
            helper.make_node("Relu", ["conv"], ["relu"]),
            helper.make_node("GlobalAveragePool", ["relu"], ["pool"]),
            helper.make_node("Flatten", ["pool"], ["logits"]),
        ],
        "open",
        [helper.make_tensor_value_info("image", 1, ["batch", 1, "height", "width"])],
        [helper.make_tensor_value_info("logits", 1, ["batch", 4])],
        [numpy_helper.from_array(np.ones((4, 1, 3, 3), np.float32), "kernels")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), "open.onnx")
    assert outrider("compare", "open.onnx", "open.onnx", "--input-shape", "1,8,8").code == 0
    result = outrider("compare", "open.onnx", "open.onnx")
    assert result.code == 2
    assert "expected --input-shape, as open.onnx leaves sizes open: (1, None, None)" in result.err
