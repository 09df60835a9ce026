"""What breaks in and under the log; it is told by its own `health`. See `injection`."""

from __future__ import annotations

import errno
import os
import threading
import time

import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from outrider.runtime import EventLog, Guard
from outrider.runtime.log import file as log_file
from outrider.runtime.log import writer as log_writer

from ..small_network import STRANGE
from .injection import ALARM, FAULT, OK, SOON, WARN, Failures, boom, raising

FAILURES = Failures()
WRITE = os.write


@FAILURES("a log that raises")
def _(scene):
    scene.start()
    scene.patch.setattr(scene.log, "put", boom)
    scene.expect(FAULT, "the evidence of the frame was not kept", frame=STRANGE, output=scene.own(STRANGE))
    scene.patch.undo()
    scene.expect(OK)


@FAILURES("a full disk under the log")
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


@FAILURES("a slow disk under the log")
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


@FAILURES("the folder of the log removed")
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


@FAILURES("no permission for the file of the log")
def _(scene):
    scene.start()
    scene.patch.setattr(log_file.os, "write", raising(PermissionError(errno.EACCES, "Permission denied")))
    scene.expect(ALARM, frame=STRANGE, output=scene.own(STRANGE))
    assert not scene.log.flush(0.3)
    assert "Permission denied" in scene.log.health().error
    scene.heal()
    scene.flush()


@FAILURES("more events than the queue holds")
def _(scene):
    scene.log.close(SOON)
    scene.log = EventLog(scene.folder / "log" / "events.jsonl", capacity=4)
    scene.start()
    offered, put = [], scene.log.put
    scene.log.put = lambda event: [offered.append(event), put(event)][1]
    scene.patch.setattr(log_file.os, "write", raising(OSError(errno.ENOSPC, "full")))
    for _ in range(30):
        scene.guard(STRANGE)
    verdict = scene.expect(FAULT, "not kept: LogFailure: the event log takes nothing", STRANGE, scene.own(STRANGE))
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


@FAILURES("a full disk under the pictures")
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


@FAILURES("a log that was closed")
def _(scene):
    scene.start()
    assert scene.log.close(SOON)
    scene.expect(OK)
    scene.expect(FAULT, "not kept: LogFailure: the event log takes nothing", STRANGE, scene.own(STRANGE))
    scene.expect(FAULT, "the event log takes nothing")
    assert scene.log.health().dropped == 2


def failing(scene, error, words):
    """Writes fail, and that is a warning: outputs go out, alarms stay alarms, and the log tells of it afterwards."""
    scene.patch.setattr(log_writer, "_RETRY_SECONDS", (0.005, 0.02))
    scene.start(log_failure="warn", fallback=lambda *_: None)
    scene.patch.setattr(log_file.os, "write", raising(error))
    verdict = scene.expect(ALARM, frame=STRANGE, output=None)
    assert "the event log fails" not in verdict.reason  # it was not tried yet
    assert not scene.log.flush(0.3)
    verdict = scene.expect(ALARM, f"; the event log fails: {words}", frame=STRANGE, output=None)
    assert "above the threshold" in verdict.reason
    scene.expect(WARN, f"the event log fails: {words}")
    scene.expect(WARN, f"the event log fails: {words}")
    assert scene.guard.status == scene.guard.metrics.status == WARN
    counted = scene.guard.metrics.counters
    assert (counted.log_failures, counted.faults, counted.warnings, counted.dropped_events) == (3, 0, 0, 0)
    scene.patch.undo()
    scene.flush()
    scene.expect(OK)
    scene.flush()
    assert [(event.before, event.status) for event in scene.events()][-4:] == [
        (OK, ALARM), (ALARM, ALARM), (ALARM, WARN), (WARN, OK),
    ]  # fmt: skip


@FAILURES("a full disk under the log, which is a warning")
def _(scene):
    failing(scene, OSError(errno.ENOSPC, "No space left on device"), "OSError: [Errno 28] No space left on device")


@FAILURES("no permission for the file of the log, which is a warning")
def _(scene):
    failing(scene, PermissionError(errno.EACCES, "Permission denied"), "PermissionError: ")


@FAILURES("more events than the queue holds, which is a warning")
def _(scene):
    scene.log.close(SOON)
    scene.log = EventLog(scene.folder / "log" / "events.jsonl", capacity=4)
    scene.start(log_failure="warn")
    scene.patch.setattr(type(scene.log), "trouble", "")  # as it is until the writer has tried
    scene.patch.setattr(log_file.os, "write", raising(OSError(errno.ENOSPC, "full")))
    for _ in range(30):
        scene.guard(STRANGE)
    scene.expect(ALARM, "above the threshold", STRANGE, scene.own(STRANGE))
    scene.expect(WARN, "the event log fails: the event log takes nothing")
    scene.expect(WARN, "the event log takes nothing")  # that it is OK again is to be written
    counted = scene.guard.metrics.counters
    assert counted.log_failures == counted.dropped_events > 0
    scene.patch.undo()
    scene.flush()


@FAILURES("a log that raises, which is a warning")
def _(scene):
    scene.start(log_failure="warn")
    scene.patch.setattr(scene.log, "put", boom)
    scene.expect(ALARM, "the event log raised Boom: injected", frame=STRANGE, output=scene.own(STRANGE))
    scene.expect(WARN, "the event log raised Boom: injected")
    assert type(scene.guard.raised.__cause__).__name__ == "Boom"
    scene.patch.undo()
    scene.expect(OK)


@FAILURES("a log that was closed, which is a warning")
def _(scene):
    scene.start(log_failure="warn")
    assert scene.log.close(SOON)
    scene.expect(WARN, "the event log fails: it is closed")
    scene.expect(ALARM, "; the event log fails: it is closed", STRANGE, scene.own(STRANGE))
    assert scene.guard.metrics.counters.log_failures == 2


@FAILURES("counters that fail beside a log that may")
def _(scene):
    scene.start(log_failure="warn")
    scene.patch.setattr(scene.guard.metrics, "count", boom)
    scene.expect(FAULT, "the evidence of the frame was not kept: Boom")
    scene.heal()


def test_another_word_for_a_log_that_fails_is_refused(scene):
    with pytest.raises(ValueError, match=r'expected log_failure="fault" or "warn", got \'ignore\''):
        Guard(scene.monitor, log_failure="ignore")


@pytest.mark.parametrize("name", FAILURES)
def test_failure(scene, name):
    FAILURES[name](scene)
    scene.finish()
