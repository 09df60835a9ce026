"""What is said of a loop in diagnostics."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.monitor import Status, Verdict
from outrider.runtime.loop.drift import DriftTest
from outrider.runtime.outlets.ros2 import LEVELS
from outrider.runtime.outlets.ros2.statements import Heard, Statement, of_loop, of_streams, of_verdict

from .loops import Loop


@pytest.mark.parametrize(
    ("now", "worst", "expected"),
    [
        (Status.OK, Status.OK, (0, "OK")),
        (Status.WARN, Status.WARN, (1, "WARN")),
        (Status.ALARM, Status.ALARM, (2, "ALARM: why")),
        (Status.FAULT, Status.FAULT, (2, "FAULT")),
        (Status.OK, Status.ALARM, (2, "OK again, ALARM since the last message")),
        (Status.ALARM, Status.FAULT, (2, "ALARM again, FAULT since the last message")),
        (Status.OK, Status.STALE, (3, "OK again, STALE since the last message")),
    ],
)
def test_the_loop_is_as_bad_as_it_was_since_the_last_message(now, worst, expected):
    last = Heard(0, 0, "", Verdict(Status.ALARM, 2.0, 1.0, 0.1, 1, np.zeros(0), (), "why"))
    assert of_loop(Loop(now), last, worst)[:2] == expected


def test_silence_and_a_loop_that_has_not_begun_are_stale():
    assert of_loop(Loop(Status.OK, frames=0), None, Status.OK)[:2] == (3, "no frame yet")
    level, message, _ = of_loop(Loop(Status.STALE), None, Status.OK)
    assert (level, message) == (3, "STALE: no frame for 0.0 s")


def test_a_calibration_that_no_longer_holds_is_a_warning():
    drift = DriftTest(0.01, stride=1)
    while not drift.update(True):
        pass
    level, message, values = of_loop(Loop(drift=drift), None, Status.OK)
    assert level == 1
    assert message.startswith("OK: calibration no longer holds")
    assert dict(values)["calibration_holds"] == "false"


def test_the_values_are_those_of_the_metrics():
    loop = Loop(frames=99, false_alarm_rate=0.01, deadline_us=5000.0, drift=DriftTest(0.01))
    loop.metrics.record(Status.ALARM, 2.0, 1.25, 9000.0)
    values = dict(of_loop(loop, None, Status.OK).values)
    assert (values["frames"], values["alarms"], values["deadline_misses"]) == ("100", "1", "1")
    assert float(values["availability_ratio"]) == 1
    assert float(values["alarms_per_hour"]) > 0
    assert float(values["calibrated_alarms_per_hour"]) > 0
    assert 100 < float(values["latency_median_us"]) <= 125
    assert 100 < float(values["latency_p99_us"]) <= 125
    assert float(values["latency_largest_us"]) == 9000
    assert float(values["deadline_us"]) == 5000
    assert (values["drift_evidence"], values["calibration_holds"]) == ("1.0", "true")
    assert float(values["seconds_since_frame"]) >= 0
    bare = dict(of_loop(Loop(frames=0), None, Status.OK).values)
    assert bare["availability_ratio"] == "nan"
    assert not {"calibrated_alarms_per_hour", "deadline_us", "drift_evidence", "seconds_since_frame"} & set(bare)


def test_every_status_has_a_level():
    assert dict(zip(Status, (0, 1, 2, 2, 3), strict=True)) == LEVELS


def test_a_loop_of_several_streams_is_as_bad_as_the_worst():
    each = {"a": Statement(0, "OK", ()), "b": Statement(2, "FAULT: why", ()), "c": Statement(2, "ALARM", ())}
    level, message, values = of_streams(each)
    assert (level, message) == (2, "b: FAULT: why")
    assert dict(values) == {
        "streams": "3", "streams_ok": "1", "streams_warn": "0", "streams_error": "2", "streams_stale": "0",
    }  # fmt: skip
    assert of_streams({"a": each["a"]})[:2] == (0, "OK")


def test_a_verdict_names_its_stream_where_there_are_several():
    one = Verdict(Status.OK, 0.5, 1.0, 0.1, 1, np.zeros(0), (), "")
    assert dict(of_verdict(Heard(0, 0, "", one, "left")).values)["stream"] == "left"
    assert "stream" not in dict(of_verdict(Heard(0, 0, "", one)).values)


def test_the_kind_of_an_alarm_is_a_value_where_it_has_one():
    verdict = Verdict(Status.ALARM, 2.0, 1.0, 0.1, 1, np.zeros(0), (), "why", None, "adversarial")
    assert dict(of_verdict(Heard(0, 0, "", verdict)).values)["kind"] == "adversarial"
    assert "kind" not in dict(of_verdict(Heard(0, 0, "", verdict._replace(kind=""))).values)
