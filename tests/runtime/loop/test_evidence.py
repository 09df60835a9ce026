"""What is counted and written down of a frame, against a log that only remembers."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from outrider.monitor import Status, Verdict
from outrider.runtime import DriftTest
from outrider.runtime.loop.evidence import Evidence
from outrider.runtime.loop.metrics import Metrics

OK, WARN, ALARM, FAULT, STALE = Status


def verdict(status):
    return Verdict(status, 1.5, 1.0, 0.35, 3, np.float32([1.5]), ("relu:unit",), "high")


def remembering(metrics=None, takes=True):
    """Evidence whose log keeps `events` and `pictures` in lists."""
    log = SimpleNamespace(events=[], pictures=[])
    log.put = lambda event: (log.events.append(event), takes)[1]
    log.thumbnail = lambda *picture: log.pictures.append(picture)
    return Evidence(metrics or Metrics(), log), log


def test_a_frame_counts_by_its_own_status_and_the_loop_by_its_own():
    evidence, log = remembering()
    for own, loop, before in (
        (OK, OK, OK),
        (ALARM, WARN, OK),
        (ALARM, ALARM, WARN),
        (OK, ALARM, ALARM),
        (OK, OK, ALARM),
    ):
        evidence.count(verdict(own), verdict(loop), before, 10.0)
        assert evidence.metrics.status is loop
    counters = evidence.metrics.counters
    assert (counters.frames, counters.alarms, counters.episodes) == (5, 2, 1)
    assert not log.events


@pytest.mark.parametrize(("own", "tested"), [(OK, 1), (ALARM, 1), (FAULT, 0), (STALE, 0)])
def test_frames_with_a_verdict_on_their_content_are_tested_for_drift(own, tested):
    evidence, _ = remembering(Metrics(drift=DriftTest(0.01, stride=1)))
    evidence.count(verdict(own), verdict(own), OK, 10.0)
    assert evidence.metrics.drift.tested == tested


def test_a_rejected_calibration_is_an_event_once():
    evidence, log = remembering(Metrics(drift=DriftTest(0.01, stride=1)))
    for _ in range(30):
        evidence.count(verdict(ALARM), verdict(WARN), OK, 10.0)
    (event,) = log.events
    assert event.kind == "drift"
    assert event.reason.startswith("calibration no longer holds: ")


@pytest.mark.parametrize(
    ("own", "loop", "before", "kind", "pictures"),
    [
        (ALARM, ALARM, OK, "status", [True]),
        (ALARM, ALARM, ALARM, "alarm", [False]),
        (ALARM, WARN, OK, "status", [False]),
        (STALE, STALE, STALE, "stale", [False]),
        (OK, OK, ALARM, "status", []),
    ],
)
def test_an_event_has_the_kind_of_what_happened_and_alarms_a_picture(own, loop, before, kind, pictures):
    evidence, log = remembering()
    evidence.write_down(own, verdict(loop), before, 7.0, ("relu:unit[3]",), np.zeros((2, 2)))
    (event,) = log.events
    assert (event.kind, event.status, event.before, event.latency_us) == (kind, loop, before, 7.0)
    assert (event.layers, event.neurons, event.reason) == (("relu:unit",), ("relu:unit[3]",), "high")
    assert [always for *_, always, _, places in log.pictures if places is None] == pictures


def test_a_silence_is_as_long_after_the_last_frame_as_it_lasted():
    evidence, log = remembering()
    evidence.put("silence", verdict(STALE), OK, "none", 1.0, since_frame=1.5)
    evidence.metrics.stamped(10**10)
    evidence.put("silence", verdict(STALE), OK, "none", 1.0, since_frame=1.5)
    assert [(event.stamp_ns, event.elapsed_ns) for event in log.events] == [
        (None, None),
        (11_500_000_000, 1_500_000_000),
    ]


def test_a_log_that_takes_nothing_is_told():
    evidence, _ = remembering(takes=False)
    with pytest.raises(OSError, match="the event log takes nothing: its queue is full, or it is closed"):
        evidence.put("mine", verdict(OK), OK, "", 1.0)
    Evidence(Metrics(), None).put("mine", verdict(OK), OK, "", 1.0)


def test_kinds_of_alarms_are_counted_and_written_down():
    evidence, log = remembering()
    for kind in ("sensor", "unknown", "sensor", ""):
        own = verdict(ALARM)._replace(kind=kind)
        evidence.count(own, own, OK, 10.0)
        evidence.put("alarm", own, OK, "high", 10.0)
    assert evidence.metrics.by_kind == {"sensor": 2, "adversarial": 0, "unfamiliar": 0, "unsure": 0, "unknown": 1}
    assert evidence.metrics.snapshot()["kinds"]["sensor"] == 2
    assert [event.alarm_kind for event in log.events] == ["sensor", "unknown", "sensor", ""]
    assert Metrics().by_kind == {}
    assert "kinds" not in Metrics().snapshot()
