"""Two networks tapped alike, and the shape of their frames."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from outrider.runtime.cli.comparing import Comparison


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


@pytest.mark.parametrize(
    ("largest", "missing", "agree"),
    [(0.5, [], True), (math.nextafter(0.5, 1), [], False), (0.5, ["a"], False), (None, [], False)],
)
def test_networks_agree_up_to_the_tolerance_itself(largest, missing, agree):
    binding = SimpleNamespace(largest=largest, missing=lambda: missing)
    assert Comparison(binding, tolerance=0.5).agree is agree
