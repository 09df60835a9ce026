"""`outrider export`: what it says of the model that it wrote."""

from __future__ import annotations

import json

import numpy as np

from outrider.runtime import guard_facts

from ....detectors import DECODER, onnx_detector, scenes
from ..outcomes import error_of


def test_a_model_is_exported_and_told_of(calibrated, outrider):
    model = calibrated.with_name("digits.onnx")
    made = outrider("export", model, calibrated, "-o", "guarded.onnx", "--json")
    assert made.code == 0, made.err
    shown = outrider("inspect", "guarded.onnx", "--json")
    assert json.loads(shown.out) == json.loads(made.out) == guard_facts("guarded.onnx")
    told = outrider("inspect", "guarded.onnx")
    assert "false-alarm rate of 0.05" in told.out
    assert "relu:channel mahalanobis" in told.out
    again = outrider("export", "guarded.onnx", calibrated, "-o", "again.onnx")
    assert "carries a monitor" in error_of(again)


def test_the_new_name_of_an_output_is_told(calibrated, outrider):
    told = outrider("export", calibrated.with_name("digits.onnx"), calibrated, "-o", "guarded.onnx")
    *_, outputs = (line for line in told.out.splitlines() if line.startswith("outputs"))
    assert (
        outputs.split(maxsplit=1)[1].rstrip()
        == "outrider_score, outrider_confidence, outrider_alarm, outrider_deviation"
    )
    assert (
        "\nONNX Runtime warns at each load that outrider_threshold will not be treated as constant value." in told.out
    )
    assert told.out.endswith(
        "\nthe output outrider_deviation was called outrider_layers before; read it by its new name\n"
    )


def test_a_decoder_beside_a_profile_is_refused(calibrated, outrider):
    made = outrider(
        "export", calibrated.with_name("digits.onnx"), calibrated, "-o", "guarded.onnx", "--decoder", "folder"
    )
    assert "expected --decoder with a guard of attention heads, got a profile" in error_of(made)


def test_a_decoder_that_no_profile_holds_is_given_again(outrider, tmp_path):
    (tmp_path / "squares.onnx").write_bytes(onnx_detector())
    (tmp_path / "own.py").write_text(
        f"from outrider.networks import as_decoder\ndef own(output):\n    return as_decoder({DECODER!r})(output)\n"
    )
    for seed, name in enumerate(("trusted", "held_out")):
        np.save(tmp_path / f"{name}.npy", scenes(120, seed=seed))
    told = ("--detections", "own.py:own")
    taps = ("--taps", "features", "--neurons", "pixel", "--criterion", "mahalanobis")
    made = outrider("profile", "squares.onnx", "trusted.npy", "-o", "m.outrider", *taps, *told)
    assert (made.code, made.err) == (0, "")
    assert outrider("calibrate", "m.outrider", "held_out.npy", "--false-alarm-rate", "0.05", *told).code == 0
    assert outrider("check", "m.outrider", "held_out.npy", *told).code in (0, 1)
    missing = "own.own, a program, which no file holds; give it as --detections"
    for command in (("check", "m.outrider", "held_out.npy"), ("export", "squares.onnx", "m.outrider", "-o", "g.onnx")):
        assert missing in " ".join(outrider(*command).err.split())
        assert missing not in " ".join(outrider(*command, *told).err.split())
