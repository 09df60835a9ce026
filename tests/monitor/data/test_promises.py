from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage import SingleRange
from outrider.monitor import Monitor, OutriderWarning, Sum
from outrider.monitor.data.promises import promise_in_words

from ..conftest import batches, frames


@pytest.fixture
def monitor(network):
    monitor = Monitor(network, SingleRange(), logic=Sum())
    monitor.profile(batches(frames(800)))
    return monitor


def test_what_a_calibration_promises_is_said_wherever_it_is_shown(monitor, network, tmp_path):
    data, drives = frames(500, seed=1), np.arange(500) // 20
    asked = [
        ({}, "of new frames drawn like the 500 held-out ones at most 0.05 alarm on average; nothing beyond"),
        (
            {"drives": drives},
            "a new drive drawn like the 25 held-out ones at most 0.05 alarm on average over such drives",
        ),
        (
            {"groups": drives},
            "one whole new drive drawn like the 25 held-out ones at most 0.05 alarm, with a chance of",
        ),
        (
            {"groups": drives, "group_confidence": 0.75},
            "with a chance of at least 0.75; nothing is said of drives unlike these",
        ),
    ]
    for how, said in asked:
        found = monitor.calibrate([data], 0.05, **how)
        assert said in found.promise
        assert f"\npromised: {found.promise}" in str(found)
        assert monitor.describe()["calibration"]["promise"] == found.promise
        monitor.save(tmp_path / "m.outrider")
        assert Monitor.load(tmp_path / "m.outrider", network).calibration.promise == found.promise
    monitor.set_threshold(found.thresholds[0])
    monitor.save(tmp_path / "m.outrider")
    for one in (monitor, Monitor.load(tmp_path / "m.outrider", network)):
        assert one.calibration.promise.startswith("nothing: the threshold was set by hand")


def test_frames_that_always_alarm_are_beside_the_rate(monitor):
    data = frames(400, seed=1)
    data[:7, 0] = np.nan
    with pytest.warns(OutriderWarning, match="7 of 400"):
        found = monitor.calibrate([data], 0.1)
    assert (
        "at most 0.1 alarm on average, beside frames like the 7 left out, which always alarm; nothing" in found.promise
    )


def test_a_log_promises_as_much_as_its_frames_were_clean():
    said = promise_in_words(0.01, 900, 3, None, None, "recalibrated")
    assert said.startswith("of new frames drawn like those of the logs at most 0.01 alarm on average")
    assert "believed clean" in said
