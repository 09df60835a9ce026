"""The guard: every frame ends in an output and a verdict. What breaks is in `test_fault_injection`."""

from __future__ import annotations

import importlib
import multiprocessing
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from outrider.coverage import SingleRange
from outrider.monitor import Monitor, NotReadyError, Status
from outrider.monitor.files import file_sha256
from outrider.networks import OnnxNetwork
from outrider.runtime import Guard, Heartbeat
from outrider.runtime.log.events import Event
from outrider.runtime.log.log import EventLog
from outrider.runtime.log.reader import read_events
from outrider.runtime.loop.fallback import hold_last_safe, stop
from outrider.runtime.loop.temporal import KOfN
from outrider.runtime.report import drive_statistics, read_drive

from ..small_network import CLEAN, STRANGE, calibrated, frames, model

SOON = 20.0  # seconds: far more than anything here takes


@pytest.fixture
def monitor():
    return calibrated()


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


def test_a_fallback_or_a_log_that_is_none_is_refused_before_the_loop(monitor, tmp_path):
    with pytest.raises(TypeError, match="expected a fallback that can be called, such as `stop`, got 'stop'"):
        Guard(monitor, fallback="stop")
    with pytest.raises(TypeError, match=r"expected an EventLog, got 'events.jsonl'; open it with EventLog\(path\)"):
        Guard(monitor, log="events.jsonl")
    log = EventLog(tmp_path / "events.jsonl")
    log.close()
    with pytest.raises(ValueError, match=r"expected an open log, got EventLog\(.*\) after close\(\)"):
        Guard(monitor, log=log)


def guard(monitor, **options):
    return Guard(monitor, **options).warm_up()


def statuses(guard, *several):
    return [guard(frame)[1].status.name for frame in several]


def test_the_output_is_the_networks_own_and_the_verdict_the_monitors(monitor):
    with Guard(monitor) as watching:
        output, verdict = watching(CLEAN)
        expected, own = monitor(CLEAN)
        np.testing.assert_array_equal(output, expected)
        assert (verdict.status, verdict.score, verdict.threshold) == (Status.OK, own.score, own.threshold)
        output, verdict = watching.check(STRANGE)
        np.testing.assert_array_equal(output, monitor(STRANGE)[0])
        assert verdict.status == watching.metrics.status == Status.ALARM
        assert verdict.layers == ("r:unit single_range",)


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


def test_single_alarms_warn_until_there_are_enough(monitor):
    watching = guard(monitor, alarm=(2, 3), clear=(2, 2))
    assert statuses(watching, STRANGE, CLEAN, STRANGE, CLEAN, STRANGE, CLEAN, CLEAN, CLEAN) == [
        "WARN", "OK", "ALARM", "ALARM", "ALARM", "ALARM", "OK", "OK",
    ]  # fmt: skip
    watching(STRANGE)
    watching(STRANGE)
    watching.reset()
    assert watching.status == watching.metrics.status == Status.OK
    _, verdict = watching(STRANGE)
    assert verdict.reason.endswith("; not often enough for an alarm")
    watching(STRANGE)
    assert watching(CLEAN)[1].reason == "not clear of the last alarm yet"


def test_a_latched_alarm_waits_to_be_acknowledged(monitor):
    watching = guard(monitor, latch=True)
    assert statuses(watching, STRANGE, CLEAN, CLEAN) == ["ALARM"] * 3
    assert watching(CLEAN)[1].reason == "not clear of the last alarm yet; latched until acknowledge()"
    watching.acknowledge()
    assert statuses(watching, CLEAN, CLEAN) == ["OK", "OK"]


def test_the_fallback_is_applied_while_the_loop_is_not_safe(monitor):
    watching = guard(monitor, fallback=hold_last_safe, clear=(2, 2))
    safe, _ = watching(CLEAN)
    for frame in (STRANGE, frames(1, 8)[0]):
        np.testing.assert_array_equal(watching(frame)[0], safe)
    assert (watching(frames(1, 8)[0])[0] != safe).any()
    assert guard(monitor, fallback=stop)(STRANGE)[0].tolist() == [0, 0]


def test_the_output_of_a_warning_is_no_safe_one(monitor):
    watching = guard(monitor, fallback=hold_last_safe, alarm=(2, 2))
    safe, _ = watching(CLEAN)
    assert watching(STRANGE)[1].status == Status.WARN
    np.testing.assert_array_equal(watching(STRANGE)[0], safe)


@pytest.mark.parametrize("buffers", [None, 1])
def test_outputs_and_verdicts_are_the_callers(buffers):
    network = OnnxNetwork(model(), taps="auto", neurons="unit", classes=None, buffers=buffers)
    watching = guard(calibrated(network), fallback=hold_last_safe)
    output, verdict = watching(CLEAN)
    expected, deviation = output.copy(), verdict.deviation.copy()
    other, _ = watching(frames(1, 8)[0])
    np.testing.assert_array_equal(output, expected)
    np.testing.assert_array_equal(verdict.deviation, deviation)
    safe = other.copy()
    other[:] = 0
    for _ in range(2):
        held, _ = watching(STRANGE)
        np.testing.assert_array_equal(held, safe)
        held *= 0.5


def test_guards_share_a_network_with_buffers_of_its_own():
    monitor = calibrated(OnnxNetwork(model(), taps="auto", neurons="unit", classes=None, buffers=1))
    expected = [monitor(frame)[0].copy() for frame in (CLEAN, STRANGE)]
    guards = [guard(monitor) for _ in range(2)]

    def judge(which):
        for i in range(300):
            output, verdict = guards[which]((CLEAN, STRANGE)[(i + which) % 2])
            assert verdict.status == (Status.OK, Status.ALARM)[(i + which) % 2]
            np.testing.assert_array_equal(output, expected[(i + which) % 2])
        return True

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(judge, range(2))) == [True, True]


def test_a_new_calibration_is_held_to(monitor):
    watching = guard(monitor)
    assert watching(STRANGE)[1].status == Status.ALARM
    before, drift = monitor.calibration.thresholds[0], watching.metrics.drift
    monitor.calibrate([frames(200, 1)], 0.4)
    _, verdict = watching(STRANGE)
    assert verdict.threshold == monitor.calibration.thresholds[0] != before
    assert watching.metrics.false_alarm_rate == 0.4
    assert watching.metrics.drift.rate > drift.rate


def test_of_a_fault_and_an_alarm_the_last_is_what_is_not_clear_yet(monitor):
    watching = guard(monitor, clear=(2, 2))
    broken = np.full_like(CLEAN, np.nan)
    assert statuses(watching, broken, STRANGE, CLEAN, CLEAN) == ["FAULT", "ALARM", "ALARM", "OK"]
    assert statuses(watching, STRANGE, broken, CLEAN, CLEAN) == ["ALARM", "FAULT", "FAULT", "OK"]


def test_the_time_of_the_fallback_counts(monitor):
    def slow(output, *_):
        time.sleep(0.2)
        return output

    watching = guard(monitor, deadline=0.1, fallback=slow)
    watching(STRANGE)
    assert watching.metrics.counters.deadline_misses == 1
    assert watching.metrics.latency.largest > 2e5


def test_acknowledging_what_is_no_alarm_leaves_no_trace(monitor, tmp_path):
    with EventLog(tmp_path / "events.jsonl") as log, guard(monitor, latch=True, log=log) as watching:
        watching._temporal.latched = True  # as a Ctrl-C may leave it, just before the alarm
        watching.acknowledge()
    assert not list(read_events(tmp_path / "events.jsonl"))


def test_waiting_for_the_guard_counts_towards_the_deadline(monitor):
    watching = guard(monitor, deadline=0.1)
    with ThreadPoolExecutor(1) as pool:
        with watching._lock:
            waiting = pool.submit(watching, CLEAN)
            time.sleep(0.3)
        assert waiting.result(SOON)[1].status == Status.STALE
    assert watching.metrics.counters.stale == watching.metrics.counters.deadline_misses == 1


def test_a_logic_of_ones_own_needs_no_more_than_its_methods(monitor):
    class Always:
        active = True

        def update(self, alarmed, confidence):
            return True

        def force(self):
            pass

        acknowledge = reset = force

    watching = guard(monitor, temporal=Always())
    assert f"{watching(CLEAN)[1].status}" == "ALARM"
    watching.acknowledge()


def test_a_slow_logic_over_time_makes_a_frame_late(monitor):
    class Slow(KOfN):
        def update(self, alarmed, confidence):
            time.sleep(0.2)
            return super().update(alarmed, confidence)

    _, verdict = guard(monitor, deadline=0.1, temporal=Slow())(CLEAN)
    assert verdict.status == Status.STALE


def test_after_a_failure_of_the_monitor_the_network_does_not_run_again(monitor, monkeypatch):
    watching = guard(monitor)
    expected, _ = watching(CLEAN)
    monkeypatch.setattr(watching._plan, "_rate", lambda: 1 / 0)
    monkeypatch.setattr(monitor.network, "run", lambda _: pytest.fail("a second inference"))
    output, verdict = watching(CLEAN)
    assert verdict.status == Status.FAULT
    np.testing.assert_array_equal(output, expected)


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


def stale(watching):
    end = time.monotonic() + SOON
    while watching.status != Status.STALE and time.monotonic() < end:
        time.sleep(0.01)
    return watching.status == Status.STALE


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


def test_a_pause_is_no_silence(monitor):
    watching = guard(monitor, silence=0.1)
    watching(CLEAN)
    watching.pause()
    time.sleep(0.3)
    assert watching.status == Status.OK
    assert statuses(watching, CLEAN) == ["OK"]
    assert stale(watching), "a frame begins the watch again"
    watching.close()


def test_silence_is_noticed_without_warming_up(monitor):
    watching = Guard(monitor, silence=0.1)
    watching(CLEAN)
    assert stale(watching)
    watching.close()


def test_a_closed_guard_is_a_fault_and_stays_closed(monitor):
    watching = guard(monitor)
    watching.close()
    assert watching.status == watching.metrics.status == Status.FAULT
    assert watching(CLEAN)[1].reason == "the guard is closed"
    with pytest.raises(RuntimeError, match=r"expected an open guard, got one after close\(\)"):
        watching.warm_up()


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
    assert drive_statistics(read_drive([log.path]))["counts"]["alarms"] == 1


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


def test_guards_share_a_process_and_threads(monitor):
    guards = [guard(monitor, alarm=(2, 2)) for _ in range(3)]
    batch = [CLEAN, STRANGE] * 20
    with ThreadPoolExecutor(4) as pool:
        verdicts = list(pool.map(lambda i: guards[i % 3](batch[i % 40])[1].status, range(240)))
    assert len(verdicts) == 240
    assert [g.metrics.counters.frames for g in guards] == [80] * 3
    assert Status.FAULT not in verdicts


CHILD = """
from outrider.networks import OnnxNetwork
from outrider.runtime import Guard


def judge(folder, frames, pipe):
    network = OnnxNetwork(folder / "m.onnx", taps="auto", neurons="unit", classes=None)
    with Guard.load(folder / "p.outrider", network) as guard:
        pipe.send([guard(frame)[1].status.name for frame in frames])
"""


def test_a_guard_works_in_a_spawned_process(monitor, tmp_path, monkeypatch):
    """Spawned as a user would: from a module that the child can import."""
    monitor.save(tmp_path / "p.outrider")
    (tmp_path / "m.onnx").write_bytes(model())
    (tmp_path / "child_of_guard.py").write_text(CHILD)
    monkeypatch.syspath_prepend(tmp_path)
    judge = importlib.import_module("child_of_guard").judge
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    child = context.Process(target=judge, args=(tmp_path, (CLEAN, STRANGE), there))
    child.start()
    assert here.poll(60)
    assert here.recv() == ["OK", "ALARM"]
    child.join(SOON)
    assert child.exitcode == 0


def test_settings_and_monitors_that_make_no_sense_are_refused(monitor):
    for deadline in (0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=f"expected a deadline above 0 seconds, got {deadline}"):
            Guard(monitor, deadline=deadline)
    with pytest.raises(ValueError, match="expected `temporal` or else `alarm`, `clear` and `latch`, got both"):
        Guard(monitor, latch=True, temporal=KOfN())
    with pytest.raises(ValueError, match="expected frozen as None or a number of frames from 2"):
        Guard(monitor, frozen=1)
    with pytest.raises(NotReadyError, match="expected a calibrated monitor"):
        Guard(Monitor(monitor.network, SingleRange()))


def test_warming_up_a_guard_that_cannot_work_raises(monitor):
    monitor.network.close()
    with pytest.raises(RuntimeError, match="after close"):
        Guard(monitor).warm_up()


def test_a_heartbeat_of_ones_own_counts_frames(monitor, tmp_path):
    heartbeat = Heartbeat(tmp_path / "beat")
    watching = guard(monitor, heartbeat=heartbeat)
    before = heartbeat.count
    statuses(watching, CLEAN, STRANGE)
    assert Heartbeat(tmp_path / "beat").count == before + 2
    assert threading.active_count() >= 1
