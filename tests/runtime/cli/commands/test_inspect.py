"""`outrider inspect` of profiles and guarded models, and of what is not there."""

from __future__ import annotations

import json
import shutil

import pytest
from rich.console import Console

from outrider.runtime.cli.commands.inspect import _print_thresholds, map_in_words

from ..outcomes import error_of


def test_the_map_of_a_guarded_model_is_told_in_words():
    facts = {"shape": [45, 60], "extent": [360, 480], "level": 2.73177, "smooth": 5}
    told = "45 x 60 places (height x width) over 360 x 480 pixels, averaged over 5 x 5; a place deviates above 2.732"
    assert map_in_words(facts) == told
    assert "averaged" not in map_in_words(facts | {"smooth": 1})


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


def test_classes_that_alarm_more_often_than_asked_are_listed(outrider, calibrated, tmp_path):
    assert "alarms too often" not in outrider("inspect", calibrated).out
    shutil.copy(calibrated, tmp_path / "mine.outrider")
    each = ",".join(["1000000"] * 3 + ["0"] + ["9"] * 6)
    assert outrider("calibrate", "mine.outrider", "--threshold", each).code == 0
    facts = json.loads(outrider("inspect", "mine.outrider", "--json").out)["calibration"]["by_class"]
    assert sum(one["frames"] for one in facts) > 100
    assert {one["class"] for one in facts if one["alarms"] == 0} >= {0, 1, 2}
    loud = [one for one in facts if one["too_often"]]
    assert facts[3] in loud
    lines = outrider("inspect", "mine.outrider").out.splitlines()
    start = next(i for i, line in enumerate(lines) if "class that alarms too often" in line)
    row = next(line.split() for line in lines[start + 1 :] if line.split()[:1] == ["3"])
    assert row[2:4] == [f"{facts[3]['rate']:.4g}", f"{facts[3]['frames']:,}"]


def test_thresholds_of_classes_are_listed_with_what_they_are_raised_by(capsys):
    calibration = {"thresholds": [4.5, 6.25, 4.0], "own": [True, False, False], "raised": [3.0, 2.25, 0.0]}
    _print_thresholds(Console(width=90), calibration, ["go"])
    assert [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()][1:] == [
        ["0", "(go)", "4.5", "its", "own"],
        ["1", "6.25", "shared,", "raised", "by", "2.25"],
        ["2", "4", "shared"],
    ]
    _print_thresholds(Console(width=90), calibration | {"raised": None}, [])  # of an older file
    assert "raised" not in capsys.readouterr().out


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
