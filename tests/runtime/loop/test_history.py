"""Several streams behind one guard: what outlasts a frame is kept apart."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from outrider.monitor import Monitor, Status
from outrider.networks import Network, Observation, Tap, Taps
from outrider.runtime import (
    Cusum,
    DriftTest,
    EventLog,
    Guard,
    Heartbeat,
    KOfN,
    hold_last_safe,
)
from outrider.runtime.log.reader import read_events, read_records
from outrider.runtime.outlets.prometheus import metrics_text
from outrider.runtime.report import drive_statistics, read_drive

from ..small_network import CLEAN, STRANGE, frames
from .guards import SOON, guard, stale

OK, WARN, ALARM, FAULT, STALE = Status
OTHER = frames(1, 8)[0]


def sequence(watching, *pairs):
    return [watching(frame, stream=stream)[1].status.name for stream, frame in pairs]


def test_each_stream_alarms_and_clears_on_its_own(monitor):
    watching = guard(monitor, alarm=(2, 2), clear=(2, 2))
    assert sequence(
        watching, ("left", STRANGE), ("right", STRANGE), ("right", STRANGE), ("left", CLEAN), ("right", CLEAN),
        ("left", STRANGE), ("right", CLEAN),
    ) == ["WARN", "WARN", "ALARM", "OK", "ALARM", "WARN", "OK"]  # fmt: skip
    assert watching.statuses == {"left": WARN, "right": OK}
    assert watching.status == WARN


def test_one_stream_is_as_a_guard_of_its_own(monitor):
    """Against two guards that never heard of streams."""
    rng, options = np.random.default_rng(3), {"alarm": (2, 3), "clear": (2, 2), "frozen": 3, "fallback": hold_last_safe}
    alone = {name: guard(monitor, **options) for name in ("left", "right")}
    shared = guard(monitor, **options)
    pool = [CLEAN, STRANGE, OTHER, np.full_like(CLEAN, np.nan), CLEAN[:, 1:]]
    for name, which in zip(
        rng.choice(["left", "right"], 200), rng.choice(len(pool), 200, p=[0.5, 0.2, 0.2, 0.05, 0.05]), strict=True
    ):
        expected, verdict = alone[name](pool[which])
        output, seen = shared(pool[which], stream=name)
        assert (seen.status, seen.reason) == (verdict.status, verdict.reason)
        np.testing.assert_equal(output, expected)
    for name, one in alone.items():
        assert shared.metrics.streams[name].counters.snapshot() == one.metrics.counters.snapshot()
    assert shared.metrics.counters.frames == 0


def test_latches_end_and_histories_are_forgotten_by_stream(monitor):
    watching = guard(monitor, latch=True)
    alarmed = ("left", STRANGE), ("right", STRANGE)
    assert sequence(watching, *alarmed, ("left", CLEAN), ("right", CLEAN)) == ["ALARM"] * 4
    watching.acknowledge("left")
    assert sequence(watching, ("left", CLEAN), ("right", CLEAN)) == ["OK", "ALARM"]
    watching.acknowledge()
    assert sequence(watching, ("right", CLEAN), *alarmed) == ["OK", "ALARM", "ALARM"]
    watching.reset("right")
    assert watching.statuses == {"left": ALARM, "right": OK}
    watching.reset()
    assert watching.status == OK
    for call in (watching.reset, watching.acknowledge):
        with pytest.raises(ValueError, match="expected a stream among 'left', 'right', got 'rear'"):
            call("rear")


def test_given_logic_and_drift_test_are_copied_at_their_start(monitor):
    logic, drift = Cusum(limit=0.6), DriftTest(0.01, stride=1)
    watching = guard(monitor, temporal=logic, drift=drift)
    watching(STRANGE)
    assert (logic.sum > 0, drift.tested) == (True, 1)
    assert sequence(watching, ("left", CLEAN), ("left", STRANGE)) == ["OK", "WARN"]
    assert watching.metrics.streams["left"].drift.tested == 2
    assert drift.tested == 1


def test_the_silent_stream_is_named(monitor, tmp_path):
    with EventLog(tmp_path / "events.jsonl") as log:
        watching = guard(monitor, silence=0.2, log=log, streams=("left", "right"))
        end = time.monotonic() + SOON
        while watching.statuses != {"left": OK, "right": STALE} and time.monotonic() < end:
            watching(CLEAN, stream="left")
            time.sleep(0.01)
        assert (watching.statuses, watching.status) == ({"left": OK, "right": STALE}, STALE)
        watching.close()
    silent = [event for event in read_events(tmp_path / "events.jsonl") if event.kind == "silence"]
    assert [event.stream for event in silent] == ["right"]
    assert silent[0].reason.startswith("no frame of right for 0.")


def test_deadline_and_silence_may_differ_by_stream(monitor):
    with pytest.raises(ValueError, match=r"^expected settings of streams among left, right, got some of middle$"):
        Guard(monitor, streams=("left", "right"), silence={"middle": 1.0})
    with pytest.raises(ValueError, match=r"^expected a deadline above 0 seconds, got 0$"):
        Guard(monitor, streams=("left", "right"), deadline={"left": 0})
    watching = guard(monitor, streams=("left", "right"), deadline={"left": 1e-9}, silence={"right": 0.1})
    results = watching.many({"left": CLEAN, "right": CLEAN})
    assert [results[name][1].status for name in ("left", "right")] == [STALE, OK]
    assert watching.metrics.streams["right"].deadline_us is None
    watching(CLEAN, stream="right")
    end = time.monotonic() + SOON
    while watching.statuses["right"] is not STALE and time.monotonic() < end:
        time.sleep(0.01)
    assert watching.metrics.streams["right"].counters.silences == 1
    assert watching.metrics.streams["left"].counters.silences == 0
    watching(CLEAN, stream="right")
    watching.pause("right")
    assert watching.history("right").watchdog.thread is None
    watching.close()


def test_the_guard_is_silent_until_a_stream_begins_and_then_only_streams_are(monitor):
    watching = guard(monitor, silence=0.1)
    assert stale(watching)
    watching(CLEAN, stream="left")
    assert watching.statuses == {"left": OK}
    assert watching.watchdog.thread is None
    watching(CLEAN)
    assert sorted(watching.statuses) == ["", "left"]
    watching.close()
    assert watching.statuses == {"": FAULT, "left": FAULT}


def test_a_frame_of_another_stream_is_no_frame_of_the_first(monitor):
    watching = guard(monitor, silence=0.2)
    watching(CLEAN)
    end = time.monotonic() + SOON
    while watching.statuses[""] != STALE and time.monotonic() < end:
        watching(CLEAN, stream="left")
        time.sleep(0.01)
    assert watching.statuses == {"": STALE, "left": OK}
    watching.close()


def test_the_heartbeat_counts_the_frames_of_all_streams(monitor, tmp_path):
    heartbeat = Heartbeat(tmp_path / "beat")
    watching = guard(monitor, heartbeat=heartbeat)
    before = heartbeat.count
    sequence(watching, ("", CLEAN), ("left", CLEAN), ("right", CLEAN), ("left", CLEAN))
    assert Heartbeat(tmp_path / "beat").count == before + 4


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (3, "expected the name of a stream as text, got int"),
        ([], "unhashable"),
        ("x" * 201, "1 to 200 characters, got 201"),
    ],
)
def test_what_is_no_name_is_a_fault_with_the_networks_output(monitor, name, reason):
    watching = guard(monitor)
    output, verdict = watching(CLEAN, stream=name)
    assert verdict.status == FAULT
    assert reason in verdict.reason
    np.testing.assert_array_equal(output, monitor(CLEAN)[0])
    assert watching.statuses == {"": FAULT}


def test_streams_that_were_named_are_all_there_are(monitor):
    watching = guard(monitor, streams=["left", "right"])
    assert watching.statuses == {"left": OK, "right": OK}
    assert watching(CLEAN, stream="lefft")[1].reason == "expected a stream among left, right, got 'lefft'"
    assert watching(CLEAN)[1].reason == "expected a stream among left, right"
    assert watching(CLEAN, stream="left")[1].status == OK
    for streams, error in (("left", TypeError), ([3], TypeError), ([""], ValueError)):
        with pytest.raises(error, match=r"expected (a list of the names|a name|the name) of (streams|a stream)"):
            Guard(monitor, streams=streams)


def test_streams_do_not_grow_without_end(monitor):
    watching = guard(monitor)
    for i in range(200):
        watching(CLEAN, stream=f"frame {i}")
    assert (
        watching(CLEAN, stream="frame 200")[1].reason
        == "ValueError: expected at most 200 streams, got one more: 'frame 200'"
    )
    assert len(watching.statuses) == 201


def test_log_report_and_metrics_tell_streams_apart(monitor, tmp_path):
    path = tmp_path / "events.jsonl"
    with EventLog(path, thumbnail_seconds=0.0, source="cameras") as log, guard(monitor, log=log) as watching:
        for _ in range(3):
            sequence(watching, ("left", STRANGE), ("right", CLEAN))
        watching(STRANGE, stream="right")
        text = metrics_text({"truck": watching.metrics})
    assert 'outrider_alarms_total{guard="truck",stream="left"} 3.0' in text
    assert 'stream=""' not in text
    assert [(e.stream, e.frame, e.kind) for e in read_events(path)] == [
        ("left", 1, "status"), ("left", 2, "alarm"), ("left", 3, "alarm"), ("right", 4, "status"),
    ]  # fmt: skip
    drive = read_drive([path])
    assert [(run.header.source, run.last.values["counters"]["frames"]) for run in drive.runs] == [
        ("cameras: left", 3), ("cameras: right", 4),
    ]  # fmt: skip
    left, right = drive.runs
    assert [status for *_, status in left.spans()] == [OK, ALARM]
    assert sorted(drive.pictures) == sorted([(left.header.run, i) for i in (1, 2, 3)] + [(right.header.run, 4)])
    counts = drive_statistics(drive)["counts"]
    assert (counts["frames"], counts["alarms"], counts["episodes"]) == (7, 4, 2)


def test_lines_of_the_default_stream_are_as_before(monitor, tmp_path):
    path = tmp_path / "events.jsonl"
    with EventLog(path) as log, guard(monitor, log=log) as watching:
        watching(STRANGE)
        text = metrics_text(watching.metrics)
    assert "stream" not in path.read_text()
    assert "stream" not in text
    assert all("streams" not in r.values for _, r in read_records(path) if hasattr(r, "values"))


class Integrator(Network):
    """Adds up its frames: a network that remembers. (n, 2) in, the sum so far out; one tap, the sum."""

    engine, fingerprint, classes, input_shape = "test", "0" * 64, None, (2,)
    taps = Taps([Tap("sum", "add", (2,), "NC", "float32", "unit")])

    def __init__(self):
        self.memory = np.zeros(2, np.float32)

    def run(self, batch):
        rows = []
        for frame in batch:
            self.memory = self.memory + frame
            rows.append(self.memory)
        return np.float32(rows)

    def observe(self, batch):
        output = self.run(batch)
        return Observation(output, None, (output.copy(),))

    def reset(self):
        self.memory = np.zeros(2, np.float32)

    def close(self):
        pass


@pytest.fixture
def remembering():
    network = Integrator()
    monitor = Monitor(network, "single_range")
    monitor.profile([np.random.default_rng(0).random((100, 2), np.float32)], minimum_per_class=0)
    monitor.calibrate([np.random.default_rng(1).random((100, 2), np.float32)], 0.05)
    network.reset()
    return monitor


def ones(factor=1.0):
    return np.float32([1, 2]) * np.float32(factor)


@pytest.mark.parametrize("warm", [True, False])
def test_what_a_network_remembers_is_kept_apart(remembering, warm):
    watching = Guard(remembering)
    if warm:
        watching.warm_up()
    other = Guard(remembering)
    for n in range(1, 4):
        np.testing.assert_array_equal(watching(ones(), stream="left")[0], n * ones())
        np.testing.assert_array_equal(watching(ones(10), stream="right")[0], n * ones(10))
        np.testing.assert_array_equal(other(ones(100))[0], n * ones(100))
        found = watching.many({"left 2": ones(3), "right 2": ones(4)})
        np.testing.assert_array_equal(found["left 2"][0], n * ones(3))
        np.testing.assert_array_equal(found["right 2"][0], n * ones(4))
    watching.reset("left")
    np.testing.assert_array_equal(watching(ones(), stream="left")[0], ones())
    np.testing.assert_array_equal(watching(ones(10), stream="right")[0], 4 * ones(10))


def test_a_frame_that_is_not_finite_leaves_no_trace_in_memory(remembering):
    watching = guard(remembering)
    watching(ones())
    for frame in (ones(np.nan), ones()[:1], "no frame"):
        assert watching(frame)[1].status == FAULT
    np.testing.assert_array_equal(watching(ones())[0], 2 * ones())


def test_warming_up_leaves_no_trace_in_memory(remembering):
    before = guard(remembering)
    before(ones(7))
    guard(remembering)
    np.testing.assert_array_equal(remembering.network.memory, np.zeros(2))
    np.testing.assert_array_equal(before(ones(7))[0], 2 * ones(7))


def test_memory_that_cannot_be_set_is_a_fault(remembering):
    class Stubborn(Integrator):
        memory = property(lambda _: np.zeros(2), lambda *_: 1 / 0)

        def __init__(self):
            pass

        def run(self, batch):
            return np.float32(batch)

    remembering.network.__class__ = Stubborn
    watching = Guard(remembering)
    watching(ones())
    output, verdict = watching(ones(2))
    assert (verdict.status, verdict.reason) == (FAULT, "ZeroDivisionError: division by zero")
    np.testing.assert_array_equal(output, ones(2))


def test_two_guards_of_one_network_in_two_threads_keep_their_histories_apart(remembering):
    watching = [Guard(remembering) for _ in range(2)]
    start = threading.Barrier(2)

    def drive(which):
        start.wait(SOON)
        for n in range(1, 200):
            output, _ = watching[which](ones(which + 1))
            np.testing.assert_array_equal(output, n * ones(which + 1))
        return True

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(drive, range(2))) == [True, True]


def test_a_logic_over_time_that_cannot_be_copied_is_a_fault_of_its_new_streams(monitor):
    class Locked(KOfN):
        def __deepcopy__(self, _):
            raise RuntimeError("no copy")

    watching = guard(monitor, temporal=Locked())
    assert watching(CLEAN, stream="left")[1].reason == "RuntimeError: no copy"
    assert watching(CLEAN)[1].status == OK
