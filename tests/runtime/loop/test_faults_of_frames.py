"""Frames that are broken, and their times. See `injection`."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from outrider.runtime import Heartbeat

from ..small_network import CLEAN, STRANGE, frames
from .injection import ALARM, FAULT, OK, SOON, STALE, Failures, raising

FAILURES = Failures()


def odd(value):
    frame = CLEAN.copy()
    frame[0, 1, 2] = value
    return frame


FRAMES = {
    "a frame with NaN": (odd(np.nan), FAULT, "the frame holds NaN or Inf", True),
    "a frame with infinity": (odd(-np.inf), FAULT, "the frame holds NaN or Inf", True),
    "a black frame": (np.zeros_like(CLEAN), FAULT, "of one colour throughout, beginning with 0.0", True),
    "a white frame": (np.ones_like(CLEAN), FAULT, "of one colour throughout, beginning with 1.0", True),
    "a frame of numbers next to nothing": (CLEAN * np.float32(1e-42), ALARM, "above the threshold", True),
    "a frame of huge numbers": (CLEAN * np.float32(3e38), ALARM, "", True),
    "a frame with its bytes swapped": (CLEAN.astype(">f4"), FAULT, "expected a frame of dtype float32, got >f4", False),
    "bytes swapped, and called by the old name": (CLEAN.byteswap(), None, "", True),
    "a frame that is not contiguous": (np.repeat(CLEAN, 2, axis=2)[:, :, ::2], OK, "", True),
    "a frame that may not be written to": (np.frombuffer(CLEAN.tobytes(), np.float32).reshape(1, 4, 4), OK, "", True),
    "a frame in float64": (CLEAN.astype(np.float64), FAULT, "expected a frame of dtype float32, got float64", False),
    "a frame in bytes": ((CLEAN * 255).astype(np.uint8), FAULT, "dtype float32, got uint8", False),
    "a frame cut short": (CLEAN[:, :3], FAULT, "expected a frame of shape (1, 4, 4), got (1, 3, 4)", False),
    "a frame without an axis": (CLEAN[0], FAULT, "expected a frame of shape (1, 4, 4), got (4, 4)", False),
    "an empty frame": (CLEAN[:, :0], FAULT, "expected a frame of shape (1, 4, 4), got (1, 0, 4)", False),
    "no frame": (None, FAULT, "expected a numpy array or a torch tensor, got NoneType", False),
    "a list": (CLEAN.tolist(), FAULT, "expected a numpy array or a torch tensor, got list", False),
    "an array of objects": (CLEAN.astype(object), FAULT, "expected a frame of dtype float32, got object", False),
}


def frame_failure(name):
    frame, status, reason, runs = FRAMES[name]

    @FAILURES(name)
    def _(scene):
        guard = scene.start()
        output, verdict = guard(frame)
        assert verdict.status == status if status is not None else verdict.status >= ALARM
        assert reason in verdict.reason
        if runs:
            np.testing.assert_array_equal(output, scene.own(np.ascontiguousarray(frame)))
        else:
            assert output is None
        if status == FAULT:
            assert verdict.confidence < 0.5
            assert guard.metrics.counters.faults == 1
        scene.expect(OK)


for each in FRAMES:
    frame_failure(each)


@FAILURES("a frozen picture")
def _(scene):
    scene.start(frozen=3)
    scene.expect(OK)
    scene.expect(OK)
    scene.expect(STALE, "the same bytes 3 frames in a row")
    assert scene.guard.metrics.counters.stale == 1
    assert scene.guard(frames(1, 8)[0])[1].status == OK


@FAILURES("a late frame")
def _(scene):
    scene.start(deadline=5.0)
    scene.expect(STALE, "ms old, expected 5000.0 ms at most", captured=time.monotonic() - 30)
    assert scene.guard.metrics.counters.deadline_misses == 1
    scene.expect(OK)


@FAILURES("a slow network")
def _(scene):
    scene.start(deadline=1.0)
    scene.observing(lambda seen: [time.sleep(1.2), seen][1])
    scene.expect(STALE, "ms old, expected 1000.0 ms at most")
    scene.heal()


@FAILURES("a frame from the future")
def _(scene):
    scene.start(deadline=5.0)
    for moment in (time.monotonic() + 100, time.time(), time.monotonic_ns(), 1e290, -1e290):
        scene.expect(FAULT, "expected `captured` by time.monotonic(), got a time ", captured=moment)
    scene.expect(OK, captured=time.monotonic() + 0.1)
    assert 0 <= scene.guard.metrics.latency.sum < 1e8


@FAILURES("a logic over time that answers with an array")
def _(scene):
    scene.start()
    scene.patch.setattr(type(scene.guard._default.temporal), "update", lambda *_: np.zeros(2))
    scene.expect(FAULT, "the logic over time raised ValueError")
    scene.heal()


@FAILURES("a frame taken at no time")
def _(scene):
    scene.start(deadline=5.0)
    for moment in (float("nan"), float("inf"), "noon"):
        scene.expect(FAULT, "expected `captured` in seconds, got no number", captured=moment)
    scene.expect(OK)


@FAILURES("a wall clock that steps back to 1970")
def _(scene):
    scene.start()
    scene.patch.setattr(time, "time_ns", lambda: 0)
    scene.expect(ALARM, frame=STRANGE, output=scene.own(STRANGE))
    scene.flush()
    assert scene.events()[-1].wall_ns == 0
    scene.heal()


@FAILURES("a monotonic clock that stands still")
def _(scene):
    scene.start(deadline=5.0)
    now = time.monotonic_ns()
    scene.patch.setattr(time, "monotonic_ns", lambda: now)
    scene.expect(ALARM, frame=STRANGE, output=scene.own(STRANGE))
    scene.expect(OK)
    scene.heal()


@FAILURES("no frame any more")
def _(scene):
    scene.start(silence=0.1)
    end = time.monotonic() + SOON
    while scene.guard.status != STALE and time.monotonic() < end:
        time.sleep(0.01)
    assert scene.guard.status == STALE
    scene.flush()
    assert any(event.kind == "silence" and event.status == STALE for event in scene.events())
    scene.guard.close()


@FAILURES("a watchdog thread that dies")
def _(scene):
    scene.start(silence=0.2)
    thread = scene.guard.watchdog.thread
    scene.patch.setattr(type(scene.guard.heartbeat), "count", property(raising(SystemExit)))
    thread.join(SOON)
    assert not thread.is_alive()
    scene.patch.undo()
    scene.expect(FAULT, "the watchdog is dead")


@FAILURES("a watchdog process that is killed")
def _(scene):
    heartbeat = Heartbeat(scene.folder / "beat")
    scene.start(heartbeat=heartbeat)
    code = (
        "import sys, time; from outrider.runtime import Heartbeat, Watchdog;"
        " w = Watchdog(Heartbeat(sys.argv[1]), 60).start(); print(w.heartbeat.count, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(heartbeat.path)], stdout=subprocess.PIPE) as process:
        assert int(process.stdout.readline()) == heartbeat.count
        process.kill()
        process.wait(SOON)
    before = heartbeat.count
    scene.expect(OK)
    assert Heartbeat(heartbeat.path).count == before + 1


@FAILURES("a heartbeat file cut short")
def _(scene):
    heartbeat = Heartbeat(scene.folder / "beat")
    scene.start(heartbeat=heartbeat)
    before = heartbeat.count
    os.truncate(heartbeat.path, 0)
    assert heartbeat.count == before
    scene.expect(OK)
    assert Heartbeat(heartbeat.path).count == before + 1


@FAILURES("a heartbeat file on a full disk")
def _(scene):
    scene.start(heartbeat=Heartbeat(scene.folder / "beat"))
    scene.patch.setattr(os, "pwrite", raising(OSError(errno.ENOSPC, "No space left on device")))
    scene.expect(FAULT, "No space left on device")
    scene.heal()


@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # one kills the watchdog
def test_failure(scene, name):
    FAILURES[name](scene)
    scene.finish()
