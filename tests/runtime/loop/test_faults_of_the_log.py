"""What breaks in and under the log; it is told by its own `health`. See `injection`."""

from __future__ import annotations

import errno
import os
import threading
import time

import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from outrider.runtime import EventLog
from outrider.runtime.log import file as log_file
from outrider.runtime.log import writer as log_writer

from ..small_network import STRANGE
from .injection import ALARM, FAULT, OK, SOON, Failures, boom, raising

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
    scene.expect(FAULT, "not kept: OSError: the event log takes nothing", STRANGE, scene.own(STRANGE))
    scene.expect(FAULT, "the event log takes nothing")
    assert scene.log.health().dropped == 2


@pytest.mark.parametrize("name", FAILURES)
def test_failure(scene, name):
    FAILURES[name](scene)
    scene.finish()
