"""`outrider compare`: two forms of one network, two that differ, and a profile that moves from one to the other."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from onnx import numpy_helper


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
    assert [line.split()[-2:] for line in lines if "relu:" in line] == 3 * [["name", "0"]]
    assert lines[-1] == "8 random frames, 0 predictions differ; all agree within 0.001"


def test_a_module_agrees_with_its_onnx_form(outrider, model, module):
    network, *weights = module
    for pair in ((network, model), (model, network)):
        result = outrider("compare", *pair, *weights, "--json")
        assert result.code == 0
        facts = json.loads(result.out)
        names = tuple(
            (f"{relu}:channel", f"{relu}:unit", f"{relu}:channel-max", f"{output}:unit")
            for relu, output in (("relu", "logits"), ("1", "output"))
        )
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
    assert [tap["difference"] > 0.01 for tap in facts["taps"]] == [False, False, False, True]
    assert facts["output"] == facts["taps"][-1]["difference"] < 0.2
    assert outrider("compare", model, other, "--tolerance", "0.2").code == 0
    result = outrider("compare", model, other)
    assert result.out.splitlines()[-1].endswith("they do not agree within 0.001")


def test_predictions_that_differ_are_counted(outrider, model, tmp_path):
    turned = edited(model, tmp_path / "turned.onnx", lambda weight: weight[::-1].copy())
    arguments = ("--frames", "digits:test", "--rows", ":50", "--json")
    facts = json.loads(outrider("compare", model, turned, *arguments).out)
    assert facts["predictions_differ"] > 25


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("{model}",), "the following arguments are required: OTHER"),
        (("{model}", "none.onnx"), "none.onnx: expected an ONNX model, got no such file"),
        (("none.onnx", "{model}"), "none.onnx: expected an ONNX model, got no such file"),
        (("{model}", "lenet"), "expected a network as model.onnx, zoo:NAME, torchvision:NAME or file.py:factory, got"),
        (("{model}", "{model}", "--tolerance", "-1"), "argument --tolerance: expected a number from 0, got '-1'"),
        (("{model}", "{model}", "--tolerance", "much"), "argument --tolerance: expected a number from 0, got 'much'"),
        (("{model}", "{model}", "--input-shape", "1,a"), "argument --input-shape: expected a whole number"),
        (("{model}", "{model}", "--input-shape", "1,9,9"), "expected input_shape to fit input 'image' of shape"),
        (("{model}", "{model}", "--taps", "conv9"), "'conv9'"),
        (("{model}", "{model}", "--frames", "photos"), "photos: no such file or folder"),
        (("{model}", "{model}", "--frames", "digits:test", "--rows", "900:"), "within 360 samples, got 900:"),
        (("{model}", "{model}", "-o", "x"), "expected --profile with the profile to move to the other network, got"),
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
