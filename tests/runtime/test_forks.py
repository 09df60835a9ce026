"""What the parent made, in the child of a fork: it says so, and touches nothing of the parent's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .children import FORKS

pytestmark = FORKS
TESTS = Path(__file__).parent

LOCKS = """
import os, sys, threading
from outrider.runtime.forks import in_forks, left_by_forks

class Thing:
    left = 0
    def leave(self): self.left += 1
    def broken(self): raise ValueError

first, second, gone = Thing(), Thing(), Thing()
left_by_forks(first, Thing.broken)
left_by_forks(second, Thing.leave)
left_by_forks(gone, Thing.leave)
del gone
calls = []
in_forks(lambda: calls.append(1))
if not os.fork():
    os._exit(second.left == 1 and calls == [1])
print(os.waitstatus_to_exitcode(os.wait()[1]), second.left, calls)
"""


def test_what_lives_is_left_once_in_the_child_alone():
    said = subprocess.run([sys.executable, "-c", LOCKS], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["1", "0", "[]"]


GUARD = """
import json, multiprocessing, os, sys, threading, time
sys.path.insert(0, sys.argv[2])
import numpy as np
from small_network import CLEAN, STRANGE, calibrated
from outrider.monitor import Monitor
from outrider.runtime import EventLog, Guard
from outrider.runtime.loop.together import lock_of
from outrider.runtime.loop.watchdog import Heartbeat

folder = sys.argv[1]
monitor = calibrated()
log = EventLog(folder + "/events.jsonl")
heartbeat = Heartbeat(folder + "/beat")
guard = Guard(monitor, log=log, heartbeat=heartbeat, silence=60, streams=("left", "right"),
              fallback=lambda output, verdict, last: "fallback").warm_up()
for name in ("left", "right"):
    assert guard(CLEAN, stream=name)[1].status == 0
log.flush()
locks = guard._lock, lock_of(monitor.network)
held = threading.Thread(target=lambda: [lock.acquire() for lock in locks])
held.start()
held.join()  # for ever held in the child: nobody there lets go of them

def raised(call):
    try:
        return str(call())
    except Exception as error:
        return f"{type(error).__name__}: {error}"

def child(pipe):
    beats = heartbeat.count
    output, verdict = guard(STRANGE, stream="left")
    several = guard.many({"left": CLEAN, "right": CLEAN, "new": CLEAN})
    said = {
        "output": output, "status": verdict.status.name, "reason": verdict.reason,
        "many": [[one[0], one[1].status.name, one[1].reason] for one in several.values()],
        "guard": guard.status.name, "statuses": [status.name for status in guard.statuses.values()],
        "beats": heartbeat.count - beats, "watchdog": guard._streams.named("left")[0].watchdog.alive,
        "again": raised(guard.warm_up), "check": raised(lambda: monitor.check(CLEAN[None])),
        "run": raised(lambda: monitor.network.run(CLEAN[None])),
        "judge": raised(lambda: guard.judge(CLEAN)),
    }
    guard.acknowledge()
    guard.reset()
    guard.pause()
    guard.close()
    log.close()
    own = Guard(calibrated())
    said["own"] = own(CLEAN)[1].status.name
    pipe.send(said)

here, there = multiprocessing.Pipe()
if sys.argv[3] == "multiprocessing":
    process = multiprocessing.get_context("fork").Process(target=child, args=(there,))
    process.start()
else:
    process = None
    if not os.fork():
        child(there)
        os._exit(0)
said = here.recv() if here.poll(60) else None
sys.stdout.write(json.dumps(said))
sys.stdout.flush()
os._exit(0)  # a lock is held
"""


@pytest.mark.parametrize("way", ["multiprocessing", "os"])
def test_a_guard_in_a_child_is_a_fault_that_says_so_at_once(way, tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    code = [sys.executable, "-W", "ignore", "-c", GUARD, str(tmp_path), str(TESTS), way]
    result = subprocess.run(code, capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 0, result.stderr
    said = json.loads(result.stdout)
    why = (
        "expected the process that made the guard, got a fork of it; open the network, the monitor and the guard in the"
        " child, or start it by spawn"
    )
    assert (said["output"], said["status"], said["reason"]) == ("fallback", "FAULT", why)
    assert said["many"] == [["fallback", "FAULT", why]] * 3
    assert said["guard"] == "FAULT"
    assert set(said["statuses"]) == {"FAULT"}
    assert (said["beats"], said["watchdog"]) == (0, False)
    assert why in said["again"]
    network = "RuntimeError: expected the process that opened the network, got a fork of it; make an OnnxNetwork in"
    assert all(said[name].startswith(network) for name in ("check", "run", "judge"))
    assert said["own"] == "OK"
    log = (tmp_path / "events.jsonl").read_text()
    assert "fork" not in log
    assert '"fault"' not in log
