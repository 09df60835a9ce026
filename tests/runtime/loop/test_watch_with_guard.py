"""A watch with a guard of a real network: ages of frames, and a log that takes nothing."""

from __future__ import annotations

import time
from types import SimpleNamespace

from outrider.monitor import Monitor, Status
from outrider.networks import OnnxNetwork, Preprocessing
from outrider.runtime import Guard
from outrider.runtime.inputs.streams import Frame
from outrider.runtime.log.log import EventLog
from outrider.runtime.loop.watch import Watch

DIGITS = Preprocessing(size=(8, 8), order="L")


def test_the_age_of_a_frame_counts_from_when_it_was_captured(calibrated, clean):
    network = OnnxNetwork(calibrated.with_name("digits.onnx"), preprocessing=DIGITS)
    seen = []

    class Looking:
        def seen(self, one):
            seen.append(one)

        def idle(self, status, stream):
            assert not stream
            seen.append(status)

    guard = Guard(Monitor.load(calibrated, network), deadline=5.0)
    watch = Watch(guard, DIGITS, [Looking(), Looking()])
    watch.step(Frame(7.0, clean[0][None], "now", captured=time.monotonic()))
    watch.step(Frame(9.5, clean[1][None], "late", captured=time.monotonic() - 10))
    watch.step(None)
    assert [one.verdict.status for one in seen[:4:2]] == [Status.OK, Status.STALE]
    assert [one.seconds for one in seen[:4:2]] == [0.0, 2.5]
    assert seen[4:] == [Status.STALE] * 2
    assert (watch.frames, watch.alarmed) == (2, True)
    network.close()


def test_a_log_that_takes_nothing_ends_no_watch(calibrated, tmp_path):
    network = OnnxNetwork(calibrated.with_name("digits.onnx"), preprocessing=DIGITS)
    log, seen = EventLog(tmp_path / "events.jsonl"), []
    guard = Guard(Monitor.load(calibrated, network), log=log)
    watch = Watch(guard, DIGITS, [SimpleNamespace(seen=seen.append, idle=seen.append)])
    log.close()
    watch.step(Frame(0.0, None, "3.png", problem="3.png: expected a picture"))
    assert [(one.verdict.status, one.verdict.reason) for one in seen] == [(Status.FAULT, "3.png: expected a picture")]
    assert not log.health().ok
    network.close()
