"""Processes that are killed, interrupted and forked: nothing acknowledged is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from outrider.runtime.log.log import EventLog

from .logs import frames

EVENTS = """
import sys
from outrider.monitor import Status
from outrider.runtime.log.log import EventLog
from outrider.runtime.log.events import Event

event = Event("alarm", 0, 10**18, 10**9, Status.ALARM, Status.OK, 1.5, 1.0, .35, 3, ("relu1",), "r" * 300, 812.5)
"""
WRITER = """
log = EventLog(sys.argv[1], max_bytes=20_000, keep=1000)
frame = int(sys.argv[2])
while True:
    if log.put(event._replace(frame=frame)):
        frame += 1
    if frame % 7 == 0:
        log.flush(0.05)
        print(int(sys.argv[2]) + log.health().written, flush=True)
"""
LIMITED = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, resource.RLIM_INFINITY))
log = EventLog(sys.argv[1])
taken = 0
while not log.health().failures:
    taken += log.put(event._replace(frame=taken))
print(log.health().error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(taken)
"""
INTERRUPTED = """
import os, signal, threading, time
from outrider.runtime.log import file, writer as log_writer

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it otherwise
write = os.write
file.os.write = lambda file, data: (time.sleep(0.02), write(file, data))[1]
log_writer._LINES_AT_ONCE = 2  # a hundred writes, two seconds: the interrupt is well within
log = EventLog(sys.argv[1])
EventLog.close.__defaults__ = (1.0,)  # less than the writes take, more than a disk hesitates
taken = sum(log.put(event._replace(frame=frame)) for frame in range(200))
threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    with log:
        pass
except KeyboardInterrupt:
    sys.stdout.write(f"{taken} {log.health().written}")
"""
FORKED = """
import os, threading
from outrider.runtime.loop.metrics import Metrics

metrics = Metrics()
log = EventLog(sys.argv[1], thumbnail_seconds=0)
log.attach(metrics)
log.put(event)
log.flush()
writer = log._writer
locks = writer._dropping, writer.attaching, writer.wake._cond
held = threading.Thread(target=lambda: [lock.acquire() for lock in locks])
held.start()
held.join()
child = os.fork()
if not child:
    log.put(event)
    health = log.health()
    log.detach(metrics)
    said = log.put(event), log.thumbnail(0, [[1]]), log.flush(), log.close()
    sys.stdout.write(f"{said} {health.ok} {health.dropped} {health.queued} {metrics.counters.dropped_events}")
    sys.stdout.flush()
    os._exit(0)
os.waitpid(child, 0)
os._exit(0)
"""
ORPHAN = """
import os, signal, time

log = EventLog(sys.argv[1])
if not os.fork():
    sys.stdout.write("forked\\n")
    sys.stdout.flush()
    time.sleep(60)
    os._exit(0)
time.sleep(60)
"""
FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked there")


def test_an_interrupted_close_is_ended_with_the_interpreter(path):
    code = [sys.executable, "-c", EVENTS + INTERRUPTED, str(path)]
    said = subprocess.run(code, capture_output=True, text=True, check=True).stdout
    taken, written = map(int, said.split())
    assert written < taken == 200
    assert frames(path) == list(range(200))


@FORKS
def test_a_forked_child_takes_nothing_and_says_so(path):
    code = [sys.executable, "-W", "ignore", "-c", EVENTS + FORKED, str(path)]
    said = subprocess.run(code, capture_output=True, text=True, check=True, timeout=60).stdout
    assert said == "(False, False, False, False) False 1 0 1"
    assert frames(path) == [0]


@FORKS
def test_a_forked_child_that_outlives_the_writer_does_not_hold_its_log(path):
    code = [sys.executable, "-W", "ignore", "-c", EVENTS + ORPHAN, str(path)]
    with subprocess.Popen(code, stdout=subprocess.PIPE, text=True, start_new_session=True) as writer:
        try:
            assert writer.stdout.readline() == "forked\n"
            with pytest.raises(BlockingIOError, match="expected to be the only writer"):
                EventLog(path)
            writer.send_signal(signal.SIGKILL)
            writer.wait()
            EventLog(path).close()
        finally:
            os.killpg(writer.pid, signal.SIGKILL)


def test_nothing_acknowledged_is_lost_to_kill_9(path):
    start = 0
    for round_ in range(2):
        writer = subprocess.Popen(
            [sys.executable, "-c", EVENTS + WRITER, str(path), str(start)], stdout=subprocess.PIPE, text=True
        )
        with writer:
            lines, acknowledged = 0, start
            while lines < 5 + 60 * round_ or acknowledged <= start:
                lines, acknowledged = lines + 1, int(writer.stdout.readline())
            with pytest.raises(BlockingIOError, match="expected to be the only writer"):
                EventLog(path)
            writer.send_signal(signal.SIGKILL)
            for line in writer.stdout.read().splitlines(keepends=True):
                if line.endswith("\n"):
                    acknowledged = int(line)
        EventLog(path).close()
        found = frames(path)
        assert found == list(range(len(found)))
        assert len(found) >= acknowledged > start
        start = len(found)


def test_the_kernel_refuses_and_the_interpreter_ends_without_a_close(path):
    """A limit on the size of files stands for a full disk; when it is lifted, what was accepted is still there."""
    code = [sys.executable, "-c", EVENTS + LIMITED, str(path)]
    error, taken = subprocess.run(code, capture_output=True, text=True, check=True).stdout.splitlines()
    assert error == "OSError: [Errno 27] File too large"
    assert int(taken) > 10
    assert frames(path) == list(range(int(taken)))


def test_in_the_loop_nothing_is_imported(path):
    """What Pillow and others load on first use would hold up the frame of the first alarm."""
    code = f"""
import sys, time
import numpy as np
from outrider.monitor import Status
from outrider.runtime import EventLog
from outrider.runtime.log.events import Event
from outrider.runtime.loop.metrics import Metrics
metrics = Metrics()
with EventLog({str(path)!r}) as log:
    log.attach(metrics, 0.2)
    assert log.flush()
    before = set(sys.modules)
    assert log.thumbnail(1, np.zeros((100, 100, 3), np.float32))
    assert log.put(Event("alarm", 1, 1, 1, Status.ALARM, Status.OK, 2.0, 1.0, 0.2, 3, ("a",), "why", 5.0, ("a[1]",)))
    end = time.monotonic() + 60
    while not list(log.path.with_name("events.frames").glob("*.*")) or log.health().written < 1:
        assert time.monotonic() < end
        time.sleep(0.01)
    time.sleep(0.5)  # a summary too
print(sorted(set(sys.modules) - before))
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
