"""`outrider inspect` of profiles and guarded models, and of what is not there."""

from __future__ import annotations

import json
import shutil

import pytest

from ..outcomes import error_of


def test_a_guarded_model_and_a_profile_are_still_told_of(outrider, calibrated, tmp_path):
    shutil.copy(calibrated.with_name("digits.onnx"), tmp_path / "digits.onnx")
    assert outrider("export", "digits.onnx", calibrated, "-o", "guarded.onnx").code == 0
    assert "guarded model" in outrider("inspect", "guarded.onnx").out
    for what in (calibrated, "guarded.onnx"):
        said = " ".join(outrider("inspect", what).out.split())
        assert "pictures stretched to 8 x 8 (bilinear, antialiased), luminance, times 1/255, NCHW" in said
        facts = json.loads(outrider("inspect", what, "--json").out)
        told = facts.get("network", facts)["preprocessing"]
        assert (told["fit"], told["interpolation"], told["white"]) == ("stretch", "bilinear", None)
        assert "expected a network with --taps" in error_of(outrider("inspect", what, "--taps", "auto"))


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("none.onnx", "none.onnx: expected an ONNX model, got no such file"),
        ("none.py:make", "none.py: expected a Python file, got no such file"),
        ("zoo:alexnet", "expected a network among"),
    ],
)
def test_networks_that_are_not_there(outrider, what, message):
    assert message in error_of(outrider("inspect", what, "--input-shape", "1,8,8"))
