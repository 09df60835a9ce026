"""`outrider calibrate`: where it writes, and which rate it is given."""

from __future__ import annotations

import json
import shutil

import pytest


def test_calibrate_in_place_or_elsewhere(outrider, model, profiled, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1800000000")  # the history says when
    shutil.copy(profiled, tmp_path / "mine.outrider")
    before = profiled.read_bytes()
    calibrate = ("calibrate", "mine.outrider", "digits:train", "--rows", "1000:", "--network", model)
    outrider(*calibrate, "-o", "other.outrider")
    assert (tmp_path / "mine.outrider").read_bytes() == before
    outrider(*calibrate)
    assert (tmp_path / "mine.outrider").read_bytes() == (tmp_path / "other.outrider").read_bytes()


def test_frames_per_second_and_hours_mean_a_rate(outrider, model, profiled):
    result = outrider(
        "calibrate", profiled, "digits:train", "--rows", "1000:", "--network", model, "-o", "other.outrider",
        "--fps", "0.01", "--hours", "2", "--json",
    )  # fmt: skip
    assert json.loads(result.out)["false_alarm_rate"] == pytest.approx(1 / 72)


def test_a_warning_rate_gives_warn(outrider, model, profiled):
    outrider(
        "calibrate", profiled, "digits:train", "--rows", "1000:", "--network", model, "-o", "other.outrider",
        "--false-alarm-rate", "0.02", "--warning-rate", "0.3",
    )  # fmt: skip
    result = outrider("check", "other.outrider", "digits:test", "--network", model, "--json")
    assert {"ok", "warn"} <= {json.loads(line)["status"] for line in result.out.splitlines()}
