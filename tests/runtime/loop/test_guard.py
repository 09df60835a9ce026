"""The guard: every frame ends in an output and a verdict. What breaks is in `test_faults_of_…`."""

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
from outrider.networks import OnnxNetwork, as_decoder
from outrider.runtime import EventLog, Guard, Heartbeat, KOfN, hold_last_safe, stop

from ...detectors import DECODER, onnx_detector, scene, scenes
from ..small_network import CLEAN, STRANGE, calibrated, frames, model
from .guards import SOON, guard, stale, statuses

CHILD = """
from outrider.networks import OnnxNetwork
from outrider.runtime import Guard


def judge(folder, frames, pipe):
    network = OnnxNetwork(folder / "m.onnx", taps="auto", neurons="unit", classes=None)
    with Guard.load(folder / "p.outrider", network) as guard:
        pipe.send([guard(frame)[1].status.name for frame in frames])
"""


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
    monkeypatch.setattr(watching.judge, "rate", lambda: 1 / 0)
    monkeypatch.setattr(monitor.network, "run", lambda _: pytest.fail("a second inference"))
    output, verdict = watching(CLEAN)
    assert verdict.status == Status.FAULT
    np.testing.assert_array_equal(output, expected)


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
    with pytest.raises(RuntimeError, match="expected an open guard, got another: the guard is closed"):
        watching.warm_up()


def test_guards_share_a_process_and_threads(monitor):
    guards = [guard(monitor, alarm=(2, 2)) for _ in range(3)]
    batch = [CLEAN, STRANGE] * 20
    with ThreadPoolExecutor(4) as pool:
        verdicts = list(pool.map(lambda i: guards[i % 3](batch[i % 40])[1].status, range(240)))
    assert len(verdicts) == 240
    assert [g.metrics.counters.frames for g in guards] == [80] * 3
    assert Status.FAULT not in verdicts


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
    with pytest.raises(TypeError, match=r"expected a Monitor, got str; Guard\.load\(profile, network\) opens"):
        Guard("profile.outrider")


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


def test_tensors_are_judged_like_arrays(tmp_path):
    torch = pytest.importorskip("torch")
    from outrider.networks import TorchNetwork

    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Conv2d(1, 6, 3, padding=1), torch.nn.ReLU(), torch.nn.Flatten())
    network = TorchNetwork(module.eval(), (1, 4, 4), taps="auto", neurons="unit", classes=None)
    monitor = Monitor(network, SingleRange())
    monitor.profile([frames(400)], minimum_per_class=0)
    monitor.calibrate([frames(200, 1)], 0.05)
    with EventLog(tmp_path / "events.jsonl") as log, guard(monitor, log=log, frozen=2) as watching:
        for frame, status in ((CLEAN, Status.OK), (STRANGE, Status.ALARM), (CLEAN * np.nan, Status.FAULT)):
            expected, verdict = monitor(frame)
            output, seen = watching(torch.from_numpy(frame.copy()))
            np.testing.assert_array_equal(output, expected)
            assert (seen.status, seen.layers) == (status, verdict.layers)
        assert watching(torch.from_numpy(CLEAN))[1].status == Status.OK
        assert watching(torch.from_numpy(CLEAN))[1].status == Status.STALE
        assert log.close(SOON)
    assert len(list((tmp_path / "events.frames").iterdir())) >= 1


def test_detections_come_with_the_verdict_and_a_decoder_that_raises_is_a_fault():
    calls = []

    def decode(output):
        calls.append(output)
        if broken:
            raise ArithmeticError("no boxes today")
        return as_decoder(DECODER)(output)

    broken, known, strange = False, scene((1, 2, 0, 0.3), seed=1), scene((1, 2, 0, 0.9), seed=1)
    network = OnnxNetwork(onnx_detector(), taps="features", neurons="pixel", detections=decode)
    monitor = Monitor(network, "mahalanobis")
    monitor.profile(scenes(100))
    monitor.calibrate(scenes(100, seed=1), 0.05)
    with Guard(monitor) as watching:
        output, verdict = watching(known)
        np.testing.assert_array_equal(output, network.run(known[None])[0])
        assert verdict.boxes == monitor(known)[1].boxes
        assert [box.alarm for box in watching(strange)[1].boxes] == [True]
        broken = True
        output, verdict = watching(known)
        np.testing.assert_array_equal(output, network.run(known[None])[0])
        assert (verdict.status, verdict.reason) == (Status.FAULT, "ArithmeticError: no boxes today")
        assert verdict.boxes == ()
        broken, before = False, len(calls)
        assert watching(known)[1].boxes
        assert len(calls) == before + 1
