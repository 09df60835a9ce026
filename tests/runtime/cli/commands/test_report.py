"""`outrider report` of what `outrider watch` logged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from outrider.runtime.log.reader import read_events


def test_the_log_makes_a_report(outrider, calibrated, broken):
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    result = outrider("watch", calibrated, broken, "--log", "events.jsonl", "--alarm", "2/3")
    assert result.out.endswith("`outrider report events.jsonl` makes a page of it\n")
    facts = json.loads(outrider("report", "events.jsonl", "--json").out)
    assert facts["counts"]["frames"] == 26
    assert facts["counts"]["alarms"] == 6
    assert facts["counts"]["episodes"] == 1
    assert facts["log"] | {"events": 0} == {"events": 0, "dropped": 0, "problems": [], "clock_steps": []}
    assert facts["runs"][0]["false_alarm_rate"] == 0.05
    assert len(facts["runs"][0]["network"]) == len(facts["runs"][0]["profile"]) == 64
    assert outrider("report", "events.jsonl").code == 0


def test_a_report_of_a_recording_speaks_of_its_own_time(outrider, calibrated, broken):
    """26 pictures at 2,000 a second are 13 ms of drive, however fast they are judged."""
    outrider("watch", calibrated, broken, "--log", "events.jsonl", "--alarm", "2/3", "--rate", "2000")
    fast = json.loads(outrider("report", "events.jsonl", "--json").out)
    assert fast["hours"] == pytest.approx(26 / 2000 / 3600)
    assert fast["runs"][0]["recorded"]
    alarms = fast["rates"]["alarms"]
    assert alarms["per_hour"] == pytest.approx(alarms["count"] / fast["hours"])
    for event in read_events(Path("events.jsonl")):
        assert event.stamp_ns == round((event.frame - 1) / 2000 * 1e9)
    assert outrider("report", "events.jsonl").code == 0
    page = Path("report.html").read_text()
    assert "of a recording its own" in page
    assert fast["runs"][0]["source"] == str(broken)
    assert f" of {broken}, watched from " in page
