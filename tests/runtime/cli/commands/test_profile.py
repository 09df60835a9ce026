"""`outrider profile`, from the first profile to an alarm, and after Ctrl-C."""

from __future__ import annotations

import json
import signal

import pytest

from outrider.runtime.inputs import samples as sources

from ..outcomes import PROFILE, error_of, profile_of


def test_profile_calibrate_check_inspect(outrider, model):
    result = outrider("profile", model, "digits:train", *PROFILE)
    assert (result.code, result.err) == (0, "")
    assert "of 1,000 frames" in result.out
    result = outrider(
        "calibrate", "new.outrider", "digits:train", "--rows", "1000:", "--network", model, "--false-alarm-rate", "0.05"
    )
    assert result.code == 0
    assert result.out.startswith("437 held-out frames: 219 set the scales, 218 the threshold\nfalse-alarm rate 0.05")
    result = outrider("inspect", "new.outrider")
    assert result.code == 0
    assert "for a false-alarm rate of 0.05" in result.out


def test_a_tap_that_moves_is_told(outrider, model):
    result = outrider("profile", model, "digits:train", *PROFILE, "--taps", "conv")
    assert result.code == 0
    assert result.err.startswith("outrider: warning: tapped 'conv' at 'relu', as ")


@pytest.mark.parametrize("command", ["profile", "calibrate", "inspect"])
def test_json_of_the_other_commands(outrider, model, profiled, command):
    arguments = {
        "profile": (model, "digits:train", *PROFILE),
        "calibrate": (profiled, "digits:train", "--rows", "1000:", "--network", model, "-o", "other.outrider"),
        "inspect": (profiled,),
    }[command]
    facts = json.loads(outrider(command, *arguments, "--json").out)
    assert facts["false_alarm_rate"] == 0.01 if command == "calibrate" else facts["trusted"]["frames"] == 1000


def test_criteria_taps_and_neurons(outrider, model):
    result = outrider(
        "profile", model, "digits:train", *PROFILE, "--taps", "@relu", "--neurons", "unit,grid2",
        "--criterion", "*:unit=single_range", "--criterion", "relu:grid2=multi_range(sections=8, cost=log)",
        "--criterion", "softmax", "--json",
    )  # fmt: skip
    columns = [(column["tap"], column["criterion"]["name"]) for column in json.loads(result.out)["columns"]]
    assert columns == [("relu:unit", "single_range"), ("relu:grid2", "multi_range"), ("logits:unit", "softmax")]


def test_too_few_classes_in_the_folders(outrider, model, tmp_path):
    image = pytest.importorskip("PIL.Image")
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        image.new("L", (8, 8)).save(tmp_path / "photos" / name / "0.png")
    command = ("profile", model, "photos", "-o", "x.outrider")
    assert "expected labels of 10 classes, as the network has, got 2" in error_of(outrider(*command))


def test_a_thin_class_is_a_warning_line(outrider, model):
    result = outrider("profile", model, "digits:train", "-o", "new.outrider", "--rows", ":60")
    assert result.code == 0
    assert result.err.startswith("outrider: warning: ")
    assert "fewer than 5 trusted frames" in result.err


@pytest.fixture
def ctrl_c(monkeypatch):
    """Ctrl-C in the middle of the third batch."""
    read = sources.Source.sample

    def interrupted(self, index, preprocessing):
        if index == 150:
            signal.raise_signal(signal.SIGINT)
        return read(self, index, preprocessing)

    monkeypatch.setattr(sources.Source, "sample", interrupted)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_and_resume_equal_a_run_without(outrider, model, monkeypatch, tmp_path):
    result = outrider(*profile_of(model, "halves.outrider"))
    assert result.code == 130
    assert result.err == (
        "outrider: interrupted; the same command with --resume goes on from halves.outrider.partial\n"
    )
    assert not (tmp_path / "halves.outrider").exists()
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    message = error_of(outrider(*profile_of(model, "halves.outrider")))
    assert message == (
        "halves.outrider.partial holds an interrupted run; go on with --resume, or delete it to begin anew"
    )
    assert outrider(*profile_of(model, "halves.outrider"), "--resume").code == 0
    assert outrider(*profile_of(model, "whole.outrider")).code == 0
    assert (tmp_path / "halves.outrider").read_bytes() == (tmp_path / "whole.outrider").read_bytes()
    assert not (tmp_path / "halves.outrider.partial").exists()
