"""`outrider inspect` of a heads file."""

from __future__ import annotations

import json

import pytest

from outrider.monitor import ProfileError
from outrider.runtime.cli.heads.describing import describe_heads


def test_inspect_says_what_a_heads_file_holds(outrider, home):
    facts = json.loads(outrider("inspect", home.calibrated, "--json").out, parse_constant=pytest.fail)
    assert (facts["kind"], facts["statistic"]["name"], len(facts["chosen"])) == ("heads", "read_out", 2)
    assert (facts["calibration"]["false_alarm_rate"], facts["calibration"]["n"]) == (0.05, 36)
    assert len(facts["auroc"]) == len(facts["separation"]) == 2
    said = outrider("inspect", home.calibrated).out
    assert "2 layers x 4 heads" in said
    assert f"AUROC of the choice {facts['search']['found']:.3f}" in said
    assert f"{facts['calibration']['threshold']:.4g}, for a false-alarm rate of 0.05" in said
    layer, head = facts["chosen"][0]
    assert [str(layer), str(head), f"{facts['auroc'][0]:.3f}", f"{facts['separation'][0]:.3f}"] in [
        line.split() for line in said.splitlines()
    ]
    assert "none yet: `outrider head calibrate` sets it" in outrider("inspect", home.searched).out


def test_profiles_are_left_to_others(calibrated, tmp_path):
    assert describe_heads(calibrated) is None
    (tmp_path / "x").write_bytes(b"x" * 100)
    with pytest.raises(ProfileError, match="truncated or none"):
        describe_heads(tmp_path / "x")


def test_a_damaged_heads_file_is_an_error(home, tmp_path):
    data = bytearray(home.calibrated.read_bytes())
    data[-1] ^= 1
    (tmp_path / "d.outrider").write_bytes(data)
    with pytest.raises(ProfileError, match="altered"):
        describe_heads(tmp_path / "d.outrider")
