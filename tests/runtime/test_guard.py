"""The guard: every frame ends in an output and a verdict, whatever breaks. Failures are injected one by one."""

from __future__ import annotations

import importlib
import multiprocessing
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

from onnx import helper, numpy_helper  # noqa: E402

from outrider.coverage import SingleRange  # noqa: E402
from outrider.monitor import Monitor, NotReadyError, ProfileError, Status  # noqa: E402
from outrider.networks import OnnxNetwork  # noqa: E402
from outrider.runtime import Guard, Heartbeat  # noqa: E402
from outrider.runtime.event_log import EventLog  # noqa: E402
from outrider.runtime.event_reader import read_events  # noqa: E402
from outrider.runtime.fallback import hold_last_safe, stop  # noqa: E402

SOON = 20.0  # seconds: far more than anything here takes


def model():
    """Scores (n, 2) of frames (n, 1, 4, 4), behind one ReLU."""
    rng = np.random.default_rng(0)
    weights = {
        "w": rng.normal(size=(6, 1, 3, 3)),
        "d": rng.normal(size=(6, 2)),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("MatMul", ["f", "d"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "test", [helper.make_tensor_value_info("x", 1, ("n", 1, 4, 4))],
        [helper.make_tensor_value_info("y", 1, ("n", 2))],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def frames(n, seed=0):
    return np.random.default_rng(seed).random((n, 1, 4, 4), np.float32)


CLEAN, STRANGE = frames(1, 7)[0], 50 * frames(1, 9)[0]


@pytest.fixture
def monitor():
    network = OnnxNetwork(model(), taps="auto", neurons="unit", classes=None)
    monitor = Monitor(network, SingleRange())
    monitor.profile([frames(400)], minimum_per_class=1)
    monitor.calibrate([frames(200, 1)], 0.05)
    assert not monitor(CLEAN)[1].alarm
    assert monitor(STRANGE)[1].status == Status.ALARM
    return monitor


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
        assert verdict.status == Status.ALARM
        assert verdict.layers == ("r:unit single_range",)


def test_single_alarms_warn_until_there_are_enough(monitor):
    watching = guard(monitor, alarm=(2, 3), clear=(2, 2))
    assert statuses(watching, STRANGE, CLEAN, STRANGE, CLEAN, STRANGE, CLEAN, CLEAN, CLEAN) == [
        "WARN", "OK", "ALARM", "ALARM", "ALARM", "ALARM", "OK", "OK",
    ]  # fmt: skip
    watching.reset()
    _, verdict = watching(STRANGE)
    assert verdict.reason.endswith("; not often enough for an alarm")
    watching(STRANGE)
    assert watching(CLEAN)[1].reason == "not clear of the last alarm yet"


def test_a_latched_alarm_waits_to_be_acknowledged(monitor):
    watching = guard(monitor, latch=True)
    assert statuses(watching, STRANGE, CLEAN, CLEAN) == ["ALARM"] * 3
    watching.acknowledge()
    assert statuses(watching, CLEAN, CLEAN) == ["OK", "OK"]


BROKEN = {
    "NaN": (
        np.where(np.arange(16).reshape(1, 4, 4) == 3, np.nan, CLEAN).astype(np.float32),
        "the frame holds NaN or Inf",
    ),
    "infinity": (np.where(np.arange(16).reshape(1, 4, 4) == 3, np.inf, CLEAN).astype(np.float32), "NaN or Inf"),
    "black": (np.zeros((1, 4, 4), np.float32), "of one value throughout, 0.0"),
    "white": (np.ones((1, 4, 4), np.float32), "of one value throughout, 1.0"),
    "shape": (CLEAN[:, :3], r"expected a frame of shape (1, 4, 4), got (1, 3, 4)"),
    "axes": (CLEAN[0], r"expected a frame of shape (1, 4, 4), got (4, 4)"),
    "dtype": (CLEAN.astype(np.float64), "expected a frame of dtype float32, got float64"),
    "list": (CLEAN.tolist(), "expected a numpy array, got list"),
    "nothing": (None, "expected a numpy array, got NoneType"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_frames_are_faults(monitor, name):
    frame, reason = BROKEN[name]
    watching = guard(monitor, clear=(2, 2))
    output, verdict = watching(frame)
    assert verdict.status == Status.FAULT
    assert reason in verdict.reason
    assert (output is None) == (name in ("shape", "axes", "dtype", "list", "nothing"))
    assert verdict.confidence < 0.5
    assert statuses(watching, CLEAN, CLEAN) == ["FAULT", "OK"]
    assert watching.metrics.counters.faults == 1


def test_a_frozen_picture_is_stale(monitor):
    watching = guard(monitor, frozen=3)
    assert statuses(watching, CLEAN, CLEAN, CLEAN, frames(1, 8)[0]) == ["OK", "OK", "STALE", "OK"]
    assert watching.metrics.counters.stale == 1


def test_a_late_frame_is_stale_and_keeps_its_output(monitor):
    watching = guard(monitor, deadline=0.5)
    output, verdict = watching(CLEAN, captured=time.monotonic() - 3)
    assert verdict.status == Status.STALE
    assert verdict.reason.endswith("ms old, expected 500.0 ms at most")
    np.testing.assert_array_equal(output, monitor(CLEAN)[0])
    assert watching(CLEAN)[1].status == Status.OK
    assert watching.metrics.counters.deadline_misses == 1


class Boom(Exception):
    pass


def boom(*_, **__):
    raise Boom("injected")


@pytest.mark.parametrize("place", ["_judge", "logic", "observe"])
def test_whatever_the_monitor_raises_is_a_fault_and_the_output_stays(monitor, monkeypatch, place):
    watching, expected = guard(monitor), monitor(CLEAN)[0]
    if place == "logic":
        monkeypatch.setattr(type(monitor.logic), "_score", boom)
    else:
        monkeypatch.setattr(*((monitor, place) if place == "_judge" else (monitor.network, place)), boom)
    output, verdict = watching(CLEAN)
    assert (verdict.status, verdict.reason) == (Status.FAULT, "Boom: injected")
    np.testing.assert_array_equal(output, expected)
    assert isinstance(watching.raised, Boom)
    monkeypatch.undo()
    assert watching(CLEAN)[1].status == Status.OK


def test_a_network_that_fails_gives_no_output(monitor, monkeypatch):
    watching = guard(monitor)
    for name in ("observe", "run"):
        monkeypatch.setattr(monitor.network, name, boom)
    assert watching(CLEAN)[0] is None
    assert watching(CLEAN)[1].status == Status.FAULT


def test_a_closed_network_is_a_fault(monitor):
    watching = guard(monitor)
    monitor.network.close()
    output, verdict = watching(CLEAN)
    assert output is None
    assert verdict.status == Status.FAULT
    assert "after close()" in verdict.reason


def test_an_activation_that_is_no_number_alarms(monitor, monkeypatch):
    watching, observe = guard(monitor), monitor.network.observe

    def broken(batch):
        seen = observe(batch)
        activations = tuple(np.full_like(values, np.nan) for values in seen.activations)
        return seen._replace(activations=activations)

    monkeypatch.setattr(monitor.network, "observe", broken)
    _, verdict = watching(CLEAN)
    assert verdict.status == Status.ALARM
    assert verdict.score == np.inf


def test_the_fallback_is_applied_while_the_loop_is_not_safe(monitor):
    watching = guard(monitor, fallback=hold_last_safe, clear=(2, 2))
    safe, _ = watching(CLEAN)
    assert watching(STRANGE)[0] is safe
    assert watching(frames(1, 8)[0])[0] is safe
    assert watching(frames(1, 8)[0])[0] is not safe
    assert guard(monitor, fallback=stop)(STRANGE)[0].tolist() == [0, 0]


def test_a_fallback_that_raises_is_a_fault_with_the_last_safe_output(monitor):
    watching = guard(monitor, fallback=boom)
    safe, _ = watching(CLEAN)
    output, verdict = watching(STRANGE)
    assert output is safe
    assert verdict.status == Status.FAULT
    assert verdict.reason.startswith("the fallback raised Boom: injected; score")


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


def test_a_dead_watchdog_is_a_fault(monitor):
    watching = guard(monitor, silence=5.0)
    assert watching(CLEAN)[1].status == Status.OK
    watching._watchdog.stop()
    output, verdict = watching(CLEAN)
    assert (verdict.status, verdict.reason) == (Status.FAULT, "the watchdog is dead")
    np.testing.assert_array_equal(output, monitor(CLEAN)[0])
    watching.close()


def test_a_closed_guard_is_a_fault(monitor):
    watching = guard(monitor, silence=5.0)
    watching.close()
    assert watching(CLEAN)[1].reason == "the guard is closed"


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


def test_a_log_that_fails_takes_nothing_from_the_loop(monitor, tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    watching = guard(monitor, log=log)
    log.close()
    assert statuses(watching, STRANGE, CLEAN) == ["ALARM", "OK"]
    assert log.health().dropped > 0


def test_a_calibration_that_no_longer_holds_is_written_down(monitor, tmp_path):
    from outrider.runtime.drift import DriftTest

    with EventLog(tmp_path / "events.jsonl") as log:
        watching = guard(monitor, log=log, drift=DriftTest(0.05, stride=1))
        for _ in range(40):
            watching(STRANGE)
            watching(CLEAN)
        assert watching.metrics.drift.rejected
        assert log.flush(SOON)
    (event,) = [event for event in read_events(log.path) if event.kind == "drift"]
    assert "calibration no longer holds" in event.reason


def test_clocks_that_step_back_do_no_harm(monitor, monkeypatch):
    watching = guard(monitor, deadline=5.0)
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert watching(CLEAN, captured=time.monotonic() + 100)[1].status == Status.OK


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


def test_a_truncated_profile_leaves_the_running_guard_as_it_is(monitor, tmp_path):
    watching = guard(monitor)
    monitor.save(tmp_path / "p.outrider")
    data = (tmp_path / "p.outrider").read_bytes()
    (tmp_path / "p.outrider").write_bytes(data[: len(data) // 2])
    with pytest.raises(ProfileError, match="truncated or none"):
        Guard.load(tmp_path / "p.outrider", monitor.network)
    assert watching(CLEAN)[1].status == Status.OK


def test_settings_and_monitors_that_make_no_sense_are_refused(monitor):
    with pytest.raises(ValueError, match="expected a deadline above 0 seconds, got 0"):
        Guard(monitor, deadline=0)
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
