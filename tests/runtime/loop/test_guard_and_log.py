"""What a guard writes into its log."""

from __future__ import annotations

import time

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from outrider.monitor import Status
from outrider.monitor.files import file_sha256
from outrider.networks import OnnxNetwork
from outrider.runtime import EventLog, Guard
from outrider.runtime.log.events import Event
from outrider.runtime.log.reader import read_events
from outrider.runtime.report import drive_statistics, read_drive

from ..small_network import CLEAN, STRANGE, model
from .guards import SOON, guard, stale, statuses


def test_frames_of_a_recording_are_written_down_by_its_own_clock(monitor, tmp_path):
    path = tmp_path / "events.jsonl"
    with EventLog(path) as log, guard(monitor, log=log) as one:
        for second, frame in enumerate([CLEAN, CLEAN, STRANGE, CLEAN]):
            one(frame, stamp=1.7e9 + 60 * second)
        assert one.metrics.snapshot()["elapsed_ns"] == 180 * 10**9
    assert [event.stamp_ns for event in read_events(path)] == [(1_700_000_000 + at) * 10**9 for at in (120, 180)]
    drive = read_drive([path])
    (run,) = drive.runs
    assert run.recorded
    assert run.spans() == [(0, 120, Status.OK), (120, 180, Status.ALARM), (180, 180, Status.OK)]
    assert drive_statistics(drive)["hours"] == pytest.approx(240 / 3600)


@pytest.mark.parametrize("stamp", [np.nan, np.inf, 1e20, "now"])
def test_a_stamp_that_is_no_time_is_a_fault_that_is_counted_and_written_down(monitor, tmp_path, stamp):
    path = tmp_path / "events.jsonl"
    with EventLog(path) as log, guard(monitor, log=log) as one:
        for when in (1.0, stamp, 3.0):
            output, verdict = one(CLEAN, stamp=when)
            assert output is not None
            assert verdict.status is (Status.FAULT if when is stamp else Status.OK)
        assert (one.metrics.counters.frames, one.metrics.counters.faults) == (3, 1)
        assert one.metrics.elapsed_ns == 2 * 10**9
    fault = next(read_events(path))
    assert (fault.frame, fault.reason) == (2, "expected `stamp` in seconds, got no time")


@pytest.mark.parametrize(
    ("stamps", "seconds"),
    [
        ([1000, 1100 - 50, 1100, 500, 550], 150),  # another recording after the first
        ([0, 50, 0, 50], 100),  # the same again
        ([0, 1, 86400, 86401], 62),  # a pause
        ([0, 1, None, 2, 3], None),
        ([None, 0, 1, 2], None),
    ],
)
def test_the_time_of_recordings_is_that_of_their_frames(monitor, tmp_path, stamps, seconds):
    path = tmp_path / "events.jsonl"
    with EventLog(path) as log, guard(monitor, log=log) as one:
        for stamp in stamps:
            one(STRANGE, stamp=stamp)
        log.put(Event("mine", 9, 1, 1, Status.OK, Status.OK, 0.0, 1.0, 1.0, 0, (), "tells no time", 0.0))
    (run,) = (drive := read_drive([path])).runs
    assert run.recorded == (seconds is not None)
    if seconds is not None:
        assert run.seconds == seconds
        hours = seconds / 3600 * len(stamps) / (len(stamps) - 1)
        assert drive_statistics(drive)["hours"] == pytest.approx(hours)


def test_a_fallback_that_cannot_be_called_and_a_log_that_cannot_be_written_are_refused(monitor, tmp_path):
    with pytest.raises(TypeError, match="expected a fallback that can be called, such as `stop`, got 'stop'"):
        Guard(monitor, fallback="stop")
    with pytest.raises(TypeError, match=r"expected an EventLog, got 'events.jsonl'; open it with EventLog\(path\)"):
        Guard(monitor, log="events.jsonl")
    log = EventLog(tmp_path / "events.jsonl")
    log.close()
    with pytest.raises(ValueError, match=r"expected an open log, got EventLog\(.*\) after close\(\)"):
        Guard(monitor, log=log)


def test_the_log_learns_of_the_guard_what_it_was_not_told(monitor, tmp_path):
    monitor.save(tmp_path / "p.outrider")
    network = OnnxNetwork(model(), taps="auto", neurons="unit", classes=None)
    with (
        EventLog(tmp_path / "e.jsonl") as log,
        Guard.load(tmp_path / "p.outrider", network, silence=SOON, log=log) as g,
    ):
        for frame in (CLEAN, CLEAN, STRANGE, STRANGE):
            g(frame)
    (drive,) = read_drive([tmp_path / "e.jsonl"]).runs
    rate = monitor.calibration.false_alarm_rate
    hashes = network.fingerprint, file_sha256(tmp_path / "p.outrider")
    assert (drive.header.network, drive.header.profile, drive.header.false_alarm_rate) == (*hashes, rate)
    assert [event.frame for event in drive.events] == [3, 4]
    assert drive_statistics(read_drive([tmp_path / "e.jsonl"]))["counts"]["frames"] == 4


def test_what_the_log_was_told_stays(monitor, tmp_path):
    with EventLog(tmp_path / "e.jsonl", network="mine", false_alarm_rate=0.5) as log, guard(monitor, log=log):
        pass
    (drive,) = read_drive([tmp_path / "e.jsonl"]).runs
    assert (drive.header.network, drive.header.false_alarm_rate) == ("mine", 0.5)


def test_acknowledging_what_is_no_alarm_leaves_no_trace(monitor, tmp_path):
    with EventLog(tmp_path / "events.jsonl") as log, guard(monitor, latch=True, log=log) as watching:
        watching._default.temporal.latched = True  # as a Ctrl-C may leave it, just before the alarm
        watching.acknowledge()
    assert not list(read_events(tmp_path / "events.jsonl"))


def test_events_name_the_neurons_that_spoke(monitor, tmp_path):
    with EventLog(tmp_path / "events.jsonl") as log:
        watching = guard(monitor, log=log)
        watching(STRANGE)
        watching(CLEAN)
        assert log.flush(SOON)
    alarm, clear = read_events(log.path)
    assert alarm.layers == ("r:unit single_range",)
    assert len(alarm.neurons) == 4
    assert all(name.startswith("r:unit[") for name in alarm.neurons)
    assert clear.neurons == ()


def test_silence_is_stale_and_written_down(monitor, tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    watching = guard(monitor, silence=0.05, log=log)
    watching(CLEAN)
    end = time.monotonic() + SOON
    while watching.status != Status.STALE and time.monotonic() < end:
        time.sleep(0.01)
    assert watching.status == Status.STALE
    watching.close()
    assert log.close()
    silences = [event for event in read_events(log.path) if event.kind == "silence"]
    assert silences
    assert silences[0].reason.startswith("no frame for 0.")


def test_the_return_from_silence_is_written_down_and_has_to_clear(monitor, tmp_path):
    with EventLog(tmp_path / "events.jsonl") as log:
        watching = guard(monitor, silence=0.2, log=log, clear=(2, 2))
        watching(CLEAN)
        assert stale(watching)
        assert watching.metrics.counters.episodes == 1
        assert statuses(watching, CLEAN, CLEAN, CLEAN) == ["STALE", "OK", "OK"]
        assert log.flush(SOON)
        watching.close()
    seen = [(event.kind, event.before.name, event.status.name) for event in read_events(log.path)]
    assert seen[:2] == [("silence", "OK", "STALE"), ("status", "STALE", "OK")]
    assert watching.metrics.counters.silences >= 1
    assert watching.metrics.counters.episodes == 1


def test_an_acknowledgement_is_written_down(monitor, tmp_path):
    with EventLog(tmp_path / "events.jsonl") as log:
        watching = guard(monitor, log=log, latch=True)
        watching.acknowledge()  # there is nothing to end, and nothing to write down
        watching(STRANGE)
        watching.acknowledge()
        assert log.flush(SOON)
    assert [(event.kind, event.status) for event in read_events(log.path)] == [
        ("status", Status.ALARM), ("acknowledged", Status.ALARM),
    ]  # fmt: skip


def test_a_log_is_of_one_guard_at_a_time(monitor, tmp_path):
    with EventLog(tmp_path / "events.jsonl") as log:
        first = guard(monitor, log=log)
        with pytest.raises(ValueError, match="expected a log of its own for each guard"):
            Guard(monitor, log=log)
        first.close()
        second = guard(monitor, log=log)
        second(STRANGE)
        assert log.flush(SOON)
        second.close()
    drive = read_drive([log.path])
    assert drive_statistics(drive)["counts"]["alarms"] == 1
    assert {run.header.promise for run in drive.runs} == {monitor.calibration.promise}


def test_a_guard_that_cannot_be_made_or_warmed_up_leaves_the_log(monitor, tmp_path, monkeypatch):
    with EventLog(tmp_path / "events.jsonl") as log:
        with pytest.raises(ValueError, match="expected frozen"):
            Guard(monitor, log=log, frozen=1)
        with monkeypatch.context() as patch:
            patch.setattr(monitor, "bind", lambda: 1 / 0)
            broken = Guard(monitor, log=log)
            with pytest.raises(ZeroDivisionError):
                broken.__enter__()
        assert not log.attached
        guard(monitor, log=log).close()


def test_a_closed_guard_writes_nothing_into_the_log_of_the_next(monitor, tmp_path):
    with EventLog(tmp_path / "events.jsonl") as log:
        first = guard(monitor, log=log)
        first.close()
        second = guard(monitor, log=log)
        assert first(STRANGE)[1].status == Status.FAULT
        assert log.flush(SOON)
        assert not list(read_events(log.path))
        second.close()


def test_an_alarm_that_begins_with_lost_evidence_is_an_episode(monitor, tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    watching = guard(monitor, log=log, alarm=(2, 3))
    log.close()
    assert statuses(watching, STRANGE) == ["FAULT"]
    assert watching.metrics.counters.episodes == watching.metrics.counters.faults == 1


def test_events_are_changes_of_status_and_alarms(monitor, tmp_path):
    with EventLog(tmp_path / "events.jsonl") as log:
        watching = guard(monitor, log=log, clear=(2, 2))
        for frame in (CLEAN, STRANGE, STRANGE, CLEAN, CLEAN, np.zeros_like(CLEAN)):
            watching(frame)
        assert log.flush(SOON)
    seen = [(event.kind, event.frame, event.before.name, event.status.name) for event in read_events(log.path)]
    first = seen[0][1]
    assert [(kind, frame - first, *rest) for kind, frame, *rest in seen] == [
        ("status", 0, "OK", "ALARM"),
        ("alarm", 1, "ALARM", "ALARM"),
        ("status", 3, "ALARM", "OK"),
        ("status", 4, "OK", "FAULT"),
    ]
    assert watching.metrics.counters.episodes == 2
    assert watching.metrics.counters.alarms == 2


def test_a_calibration_that_no_longer_holds_is_written_down(monitor, tmp_path):
    from outrider.runtime.loop.drift import DriftTest

    with EventLog(tmp_path / "events.jsonl") as log:
        watching = guard(monitor, log=log, drift=DriftTest(0.05, stride=1))
        for _ in range(40):
            watching(STRANGE)
            watching(CLEAN)
        assert watching.metrics.drift.rejected
        assert log.flush(SOON)
    (event,) = [event for event in read_events(log.path) if event.kind == "drift"]
    assert "calibration no longer holds" in event.reason


def test_eight_seconds_of_nothing_count_against_availability(monitor, tmp_path):
    path = tmp_path / "events.jsonl"
    with EventLog(path) as log, guard(monitor, log=log) as one:
        first = time.monotonic() - 30
        for number in range(20):
            one(CLEAN, captured=first + number * 0.1 + 8 * (number >= 10))
        one(STRANGE, captured=first + 10.1)
        metrics = one.metrics
        blind = metrics.seconds_blind  # the gap, and the time since the last frame
        assert blind == pytest.approx(8.1 + time.monotonic() - first - 10.1, abs=0.5)
        assert metrics.availability == pytest.approx(2 / metrics.seconds_watched, abs=0.05)
        one.pause()
        assert metrics.seconds_blind == pytest.approx(blind, abs=0.5)
    drive = read_drive([path])
    (run,) = drive.runs
    gap = next(event for event in run.events if event.kind == "gap")
    assert (gap.frame, gap.reason, gap.before, gap.status) == (11, "no frame for 8.10 s", Status.OK, Status.OK)
    numbers = drive_statistics(drive)
    assert numbers["blind_seconds"] == pytest.approx(blind, abs=0.5)
    assert numbers["availability"] == pytest.approx(2 / metrics.seconds_watched, abs=0.05)


def test_a_gap_in_a_recording_is_one_by_its_own_clock(monitor, tmp_path):
    path = tmp_path / "events.jsonl"
    with EventLog(path) as log, guard(monitor, log=log) as one:
        for stamp in (100.0, 100.1, 100.2, 108.2, 108.3):
            one(CLEAN, stamp=stamp)
        assert (one.metrics.seconds_watched, one.metrics.seconds_blind) == pytest.approx((8.3, 8.0))
        assert one.metrics.availability == pytest.approx(0.3 / 8.3)
    (run,) = read_drive([path]).runs
    assert run.gaps() == [pytest.approx((0.2, 8.2))]
    assert run.sight == pytest.approx((8.3, 8.0))
