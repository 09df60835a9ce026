"""Failures injected into a running guard one by one, by name.

Each ends in the status that is due, never in OK where one is due; what the network computed comes back; the loop goes
on; and every event that was acknowledged before or during the failure is in the log afterwards.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from outrider.coverage import kernels
from outrider.monitor import MismatchError, Monitor, ProfileError, Status
from outrider.networks import Network, OnnxNetwork
from outrider.runtime import Guard, Heartbeat
from outrider.runtime.log import file as log_file
from outrider.runtime.log import writer as log_writer
from outrider.runtime.log.file import older_files
from outrider.runtime.log.log import EventLog
from outrider.runtime.log.reader import read_events
from outrider.runtime.loop.fallback import hold_last_safe

from ..small_network import CLEAN, STRANGE, calibrated, frames, model

SOON = 60.0
OK, WARN, ALARM, FAULT, STALE = Status
WRITE = os.write
FAILURES = {}


def failure(name):
    """Puts a function that brings one failure about, and says what is due, into the table."""

    def add(inject):
        assert name not in FAILURES
        FAILURES[name] = inject
        return inject

    return add


class Boom(Exception):
    pass


def boom(*_, **__):
    raise Boom("injected")


def raising(error):
    def raise_it(*_, **__):
        raise error

    return raise_it


class Loose:
    """The network without buffers that stay where they are, as an engine of the user's own."""

    def __init__(self, network):
        self._network = network

    buffered = Network.buffered

    def __getattr__(self, name):
        return getattr(self._network, name)


class Scene:
    """A guard at work, its log with one acknowledged alarm, and what may be broken."""

    def __init__(self, folder, patch):
        self.folder, self.patch = folder, patch
        self.monitor = calibrated()
        self.network = self.monitor.network
        self.output = self.monitor(CLEAN)[0]
        self.log = EventLog(folder / "log" / "events.jsonl", thumbnail_seconds=0.0)
        self.acknowledged = 0

    def start(self, *, monitor=None, **options):
        """A guard that has seen a clean frame, an alarm, which is on the disk, and a clean frame again."""
        self.guard = Guard(monitor or self.monitor, log=self.log, **options).warm_up()
        for frame, status in ((CLEAN, OK), (STRANGE, ALARM), (frames(1, 8)[0], OK)):
            assert self.guard(frame)[1].status == status
        self.flush()
        return self.guard

    def flush(self):
        assert self.log.flush(SOON)
        self.acknowledged = self.log.health().synced

    def expect(self, status, reason="", frame=CLEAN, output="own", **options):
        """Hand a frame in: the status and reason due, and the network's own output, or the one given."""
        got, verdict = self.guard(frame, **options)
        assert verdict.status == status
        assert reason in verdict.reason
        if isinstance(output, str):
            output = self.output if np.shape(frame) != CLEAN.shape or (frame == CLEAN).all() else None
            assert output is not None, "say which output"
        if output is None:
            assert got is None
        else:
            np.testing.assert_array_equal(got, output)
        return verdict

    def own(self, frame):
        """What the network says of a frame."""
        return self.network.run(frame[None])[0]

    def heal(self):
        """Undo what was patched: the next clean frame is OK."""
        self.patch.undo()
        self.expect(OK)

    def observing(self, change):
        """Have the guard see what `change` makes of each observation."""
        observe = self.guard._plan._observe
        self.patch.setattr(self.guard._plan, "_observe", lambda batch: change(observe(batch)))

    def events(self):
        files = [*(old for _, old in older_files(self.log.path)), self.log.path]
        return [event for file in files if file.exists() for event in read_events(file)]


@pytest.fixture
def scene(tmp_path, monkeypatch):
    made = Scene(tmp_path, monkeypatch)
    yield made
    made.log.close(SOON)


# In the monitor.


@failure("an exception in a kernel")
def _(scene):
    scene.start()
    wrong = np.zeros((1, 96))
    bounds = wrong.astype(np.float32)
    broken = lambda *_: kernels.range_outside(wrong, np.zeros(1, np.int64), bounds, bounds, bounds[0])  # noqa: E731
    scene.patch.setattr(scene.guard._plan, "_steps", [broken])
    scene.expect(FAULT, "TypeError: No matching definition")
    assert scene.guard.metrics.counters.faults == 1
    scene.heal()


@failure("an exception in the logic")
def _(scene):
    scene.start()
    scene.patch.setattr(scene.guard._plan, "_rate", boom)
    scene.expect(FAULT, "Boom: injected")
    scene.heal()


@failure("NaN in a layer")
def _(scene):
    scene.start()
    scene.observing(lambda seen: [seen.activations[0].__setitem__((0, 17), np.nan), seen][1])
    verdict = scene.expect(ALARM, "NaN or Inf in the network, at r:unit")
    assert verdict.score == np.inf
    scene.flush()
    assert scene.events()[-1].neurons[0] == "r:unit[17]"
    scene.heal()


@failure("Inf in the class scores")
def _(scene):
    scene.monitor = calibrated(OnnxNetwork(model(), taps="auto", neurons="unit"))
    scene.start()
    scene.observing(lambda seen: [seen.logits.__setitem__((0, 0), np.inf), seen][1])
    scene.expect(ALARM, "NaN or Inf in the network", output=[np.inf, scene.output[1]])
    scene.heal()


@failure("an exception in the network, where it is observed")
def _(scene):
    scene.start()
    scene.patch.setattr(scene.guard._plan, "_observe", boom)
    scene.expect(FAULT, "Boom: injected")
    scene.heal()


@failure("an exception in the network itself")
def _(scene):
    scene.start()
    scene.patch.setattr(scene.guard._plan, "_observe", boom)
    scene.patch.setattr(scene.network, "run", boom)
    scene.expect(FAULT, "Boom: injected", output=None)
    scene.heal()


@failure("a network that returns neurons of another shape")
def _(scene):
    scene.monitor.save(scene.folder / "p.outrider")
    scene.start(monitor=Monitor.load(scene.folder / "p.outrider", Loose(scene.network)))
    scene.observing(lambda seen: seen._replace(activations=(seen.activations[0][:, :-1], *seen.activations[1:])))
    scene.expect(FAULT, "expected neurons (1, 96), got (1, 95)")
    scene.heal()


@failure("a network that returns nothing")
def _(scene):
    scene.start()
    scene.observing(lambda seen: None)
    scene.expect(FAULT, "AttributeError")
    scene.heal()


@failure("a network that was closed")
def _(scene):
    scene.start()
    scene.network.close()
    scene.expect(FAULT, "after close()", output=None)


@failure("out of memory")
def _(scene):
    scene.start()
    scene.patch.setattr(scene.guard._plan, "_rate", raising(MemoryError()))
    scene.expect(FAULT, "MemoryError")
    scene.heal()


@failure("an exception with a message of 100 MB")
def _(scene):
    scene.start()
    scene.patch.setattr(scene.guard._plan, "_rate", raising(Boom("x" * 10**8)))
    assert len(scene.expect(FAULT, "Boom: xxx").reason) < 1000
    scene.heal()


@failure("an exception whose message raises")
def _(scene):
    class Mute(Exception):
        def __str__(self):
            raise Boom

    scene.start()
    scene.patch.setattr(scene.guard._plan, "_rate", raising(Mute()))
    scene.expect(FAULT, "Mute, whose message cannot be read")
    scene.heal()


@failure("Ctrl-C in the middle of a frame")
def _(scene):
    scene.start()
    scene.patch.setattr(scene.guard._plan, "_rate", raising(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        scene.guard(CLEAN)
    scene.heal()


# Profiles.


@failure("a truncated profile on reload")
def _(scene):
    scene.start()
    path = scene.folder / "p.outrider"
    scene.monitor.save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ProfileError, match="truncated or none"):
        Guard.load(path, scene.network)
    scene.expect(OK)


@failure("a profile with bytes turned over")
def _(scene):
    scene.start()
    path = scene.folder / "p.outrider"
    scene.monitor.save(path)
    data = bytearray(path.read_bytes())
    data[20:40] = bytes(255 - byte for byte in data[20:40])
    path.write_bytes(data)
    with pytest.raises(ProfileError):
        Guard.load(path, scene.network)
    scene.expect(OK)


@failure("the profile of another network")
def _(scene):
    scene.start()
    scene.monitor.save(scene.folder / "p.outrider")
    other = Loose(scene.network)
    other.fingerprint = "0" * 64
    with pytest.raises(MismatchError, match="SHA-256"):
        Guard.load(scene.folder / "p.outrider", other)
    scene.expect(OK)


# Frames.


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

    @failure(name)
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


@failure("a frozen picture")
def _(scene):
    scene.start(frozen=3)
    scene.expect(OK)
    scene.expect(OK)
    scene.expect(STALE, "the same bytes 3 frames in a row")
    assert scene.guard.metrics.counters.stale == 1
    assert scene.guard(frames(1, 8)[0])[1].status == OK


# Time.


@failure("a late frame")
def _(scene):
    scene.start(deadline=5.0)
    scene.expect(STALE, "ms old, expected 5000.0 ms at most", captured=time.monotonic() - 30)
    assert scene.guard.metrics.counters.deadline_misses == 1
    scene.expect(OK)


@failure("a slow network")
def _(scene):
    scene.start(deadline=1.0)
    scene.observing(lambda seen: [time.sleep(1.2), seen][1])
    scene.expect(STALE, "ms old, expected 1000.0 ms at most")
    scene.heal()


@failure("a frame from the future")
def _(scene):
    scene.start(deadline=5.0)
    for moment in (time.monotonic() + 100, time.time(), time.monotonic_ns(), 1e290, -1e290):
        scene.expect(FAULT, "expected `captured` by time.monotonic(), got a time ", captured=moment)
    scene.expect(OK, captured=time.monotonic() + 0.1)
    assert 0 <= scene.guard.metrics.latency.sum < 1e8


@failure("a logic over time that answers with an array")
def _(scene):
    scene.start()
    scene.patch.setattr(scene.guard._temporal, "update", lambda *_: np.zeros(2))
    scene.expect(FAULT, "the logic over time raised ValueError")
    scene.heal()


@failure("a frame taken at no time")
def _(scene):
    scene.start(deadline=5.0)
    for moment in (float("nan"), float("inf"), "noon"):
        scene.expect(FAULT, "expected `captured` in seconds, got no number", captured=moment)
    scene.expect(OK)


@failure("a wall clock that steps back to 1970")
def _(scene):
    scene.start()
    scene.patch.setattr(time, "time_ns", lambda: 0)
    scene.expect(ALARM, frame=STRANGE, output=scene.own(STRANGE))
    scene.flush()
    assert scene.events()[-1].wall_ns == 0
    scene.heal()


@failure("a monotonic clock that stands still")
def _(scene):
    scene.start(deadline=5.0)
    now = time.monotonic_ns()
    scene.patch.setattr(time, "monotonic_ns", lambda: now)
    scene.expect(ALARM, frame=STRANGE, output=scene.own(STRANGE))
    scene.expect(OK)
    scene.heal()


@failure("no frame any more")
def _(scene):
    scene.start(silence=0.1)
    end = time.monotonic() + SOON
    while scene.guard.status != STALE and time.monotonic() < end:
        time.sleep(0.01)
    assert scene.guard.status == STALE
    scene.flush()
    assert any(event.kind == "silence" and event.status == STALE for event in scene.events())
    scene.guard.close()


@failure("a watchdog thread that dies")
def _(scene):
    scene.start(silence=0.2)
    thread = scene.guard.watchdog.thread
    scene.patch.setattr(type(scene.guard.heartbeat), "count", property(raising(SystemExit)))
    thread.join(SOON)
    assert not thread.is_alive()
    scene.patch.undo()
    scene.expect(FAULT, "the watchdog is dead")


@failure("a watchdog process that is killed")
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


@failure("a heartbeat file cut short")
def _(scene):
    heartbeat = Heartbeat(scene.folder / "beat")
    scene.start(heartbeat=heartbeat)
    before = heartbeat.count
    os.truncate(heartbeat.path, 0)
    assert heartbeat.count == before
    scene.expect(OK)
    assert Heartbeat(heartbeat.path).count == before + 1


@failure("a heartbeat file on a full disk")
def _(scene):
    scene.start(heartbeat=Heartbeat(scene.folder / "beat"))
    scene.patch.setattr(os, "pwrite", raising(OSError(errno.ENOSPC, "No space left on device")))
    scene.expect(FAULT, "No space left on device")
    scene.heal()


# What the user hands in.


@failure("a fallback that raises")
def _(scene):
    def fallback(output, verdict, last_safe):
        if verdict.reason:
            raise Boom("injected")
        return last_safe

    scene.guard = Guard(scene.monitor, log=scene.log, fallback=fallback).warm_up()
    scene.expect(OK)
    scene.expect(FAULT, "the fallback raised Boom: injected; score", frame=STRANGE, output=scene.output)
    assert scene.guard.status == FAULT
    scene.expect(OK)


@failure("a fallback that returns nothing")
def _(scene):
    scene.start(fallback=lambda output, verdict, last_safe: None)
    scene.expect(ALARM, frame=STRANGE, output=None)
    scene.expect(OK)


@failure("a fallback that calls the guard")
def _(scene):
    scene.start(fallback=lambda output, verdict, last_safe: (scene.guard.reset(), output)[1])
    scene.expect(ALARM, frame=STRANGE, output=scene.own(STRANGE))
    scene.expect(OK)


@failure("a logic over time that raises")
def _(scene):
    scene.start()
    scene.patch.setattr(scene.guard._temporal, "update", boom)
    scene.expect(FAULT, "the logic over time raised Boom: injected")
    scene.heal()


@failure("metrics that raise")
def _(scene):
    scene.start(fallback=hold_last_safe)
    safe = scene.guard._safe.last
    scene.patch.setattr(type(scene.guard.metrics), "record", boom)
    scene.expect(FAULT, "the evidence of the frame was not kept: Boom: injected", output=safe)
    assert scene.guard.metrics.counters.faults == 1
    scene.heal()


@failure("metrics that are gone")
def _(scene):
    scene.start()
    scene.patch.setattr(scene.guard.evidence, "metrics", None)
    scene.expect(FAULT, "the evidence of the frame was not kept: AttributeError")
    scene.heal()


@failure("a drift test that raises")
def _(scene):
    scene.start()
    scene.patch.setattr(scene.guard.metrics.drift, "update", boom)
    scene.expect(FAULT, "Boom: injected")
    scene.heal()


# The log. What is due here is that of the frame: a log that fails is told by its own `health`.


@failure("a log that raises")
def _(scene):
    scene.start()
    scene.patch.setattr(scene.log, "put", boom)
    scene.expect(FAULT, "the evidence of the frame was not kept", frame=STRANGE, output=scene.own(STRANGE))
    scene.patch.undo()
    scene.expect(OK)


@failure("a full disk under the log")
def _(scene):
    scene.start()
    scene.patch.setattr(log_file.os, "write", raising(OSError(errno.ENOSPC, "No space left on device")))
    scene.expect(ALARM, frame=STRANGE, output=scene.own(STRANGE))
    assert not scene.log.flush(0.3)
    assert "No space left" in scene.log.health().error
    assert scene.log.health().queued == 1
    scene.heal()
    scene.flush()
    assert scene.acknowledged == 4


@failure("a slow disk under the log")
def _(scene):
    scene.start()
    going, gate = threading.Event(), threading.Event()

    def slow(file, data):
        going.set()
        assert gate.wait(SOON)
        return WRITE(file, data)

    scene.patch.setattr(log_file.os, "write", slow)
    scene.expect(ALARM, frame=STRANGE, output=scene.own(STRANGE))
    assert going.wait(SOON)
    for _ in range(20):
        scene.expect(ALARM, frame=STRANGE, output=scene.own(STRANGE))
        scene.expect(OK)
    gate.set()
    scene.heal()
    scene.flush()
    assert scene.acknowledged == 43


@failure("the folder of the log removed")
def _(scene):
    scene.start()
    scene.patch.setattr(log_writer, "_RETRY_SECONDS", (0.005, 0.02))
    moved = scene.folder / "moved"
    scene.log.path.parent.rename(moved)
    scene.expect(ALARM, frame=STRANGE, output=scene.own(STRANGE))
    assert not scene.log.flush(0.3)
    assert not scene.log.health().ok
    (moved).rename(scene.log.path.parent)
    scene.expect(OK)
    scene.flush()


@failure("no permission for the file of the log")
def _(scene):
    scene.start()
    scene.patch.setattr(log_file.os, "write", raising(PermissionError(errno.EACCES, "Permission denied")))
    scene.expect(ALARM, frame=STRANGE, output=scene.own(STRANGE))
    assert not scene.log.flush(0.3)
    assert "Permission denied" in scene.log.health().error
    scene.heal()
    scene.flush()


@failure("more events than the queue holds")
def _(scene):
    scene.log.close(SOON)
    scene.log = EventLog(scene.folder / "log" / "events.jsonl", capacity=4)
    scene.start()
    offered, put = [], scene.log.put
    scene.log.put = lambda event: [offered.append(event), put(event)][1]
    scene.patch.setattr(log_file.os, "write", raising(OSError(errno.ENOSPC, "full")))
    for _ in range(30):
        scene.guard(STRANGE)
    verdict = scene.expect(FAULT, "not kept: OSError: the event log takes nothing", STRANGE, scene.own(STRANGE))
    assert "above the threshold" in verdict.reason
    scene.expect(FAULT, "the event log takes nothing")
    assert scene.guard.metrics.counters.alarms == 32
    dropped = scene.log.health().dropped
    assert dropped > 0
    scene.patch.undo()
    scene.flush()
    scene.expect(OK)
    scene.flush()
    assert scene.log.health().dropped == dropped
    assert len(scene.events()) == 2 + len(offered) - dropped


@failure("a full disk under the pictures")
def _(scene):
    scene.start()
    scene.patch.setattr(scene.log._pictures, "save", raising(OSError(errno.ENOSPC, "no room for pictures")))
    scene.expect(ALARM, frame=STRANGE, output=scene.own(STRANGE))
    end = time.monotonic() + SOON
    while "no room for pictures" not in scene.log.health().error and time.monotonic() < end:
        time.sleep(0.01)
    assert "no room for pictures" in scene.log.health().error
    scene.flush()
    scene.heal()


@failure("a log that was closed")
def _(scene):
    scene.start()
    assert scene.log.close(SOON)
    scene.expect(OK)
    scene.expect(FAULT, "not kept: OSError: the event log takes nothing", STRANGE, scene.own(STRANGE))
    scene.expect(FAULT, "the event log takes nothing")
    assert scene.log.health().dropped == 2


# The caller.


@failure("a guard used after close")
def _(scene):
    scene.start(silence=5.0)
    scene.guard.close()
    scene.expect(FAULT, "the guard is closed", output=None)


@failure("a guard called from two threads")
def _(scene):
    guard = scene.start()
    batch = [CLEAN, STRANGE, frames(1, 8)[0]]
    expected = [scene.own(frame) for frame in batch]
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda i: guard(batch[i % 3]), range(300)))
    for i, (output, verdict) in enumerate(results):
        np.testing.assert_array_equal(output, expected[i % 3])
        assert verdict.status == (ALARM if i % 3 == 1 else OK)
    assert guard.metrics.counters.frames == 303
    scene.flush()


@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # the watchdog is killed by one
def test_failure(scene, name):
    FAILURES[name](scene)
    scene.patch.undo()
    kept = scene.log.health().synced
    assert kept >= scene.acknowledged
    scene.guard.close()
    scene.log.close(SOON)
    events = scene.events()
    assert len(events) >= kept
    assert [event.frame for event in events if event.kind == "alarm"] == sorted(
        event.frame for event in events if event.kind == "alarm"
    )


def test_there_are_thirty_failures_and_more():
    assert len(FAILURES) >= 30
