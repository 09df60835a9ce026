"""What breaks in what the user hands in, and how the user calls. See `injection`."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from outrider.runtime import Guard, hold_last_safe

from ..children import in_child
from ..small_network import CLEAN, STRANGE, frames
from .injection import ALARM, FAULT, OK, Boom, Failures, boom

FAILURES = Failures()


@FAILURES("a fallback that raises")
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


@FAILURES("a fallback that returns nothing")
def _(scene):
    scene.start(fallback=lambda output, verdict, last_safe: None)
    scene.expect(ALARM, frame=STRANGE, output=None)
    scene.expect(OK)


@FAILURES("a fallback that calls the guard")
def _(scene):
    scene.start(fallback=lambda output, verdict, last_safe: (scene.guard.reset(), output)[1])
    scene.expect(ALARM, frame=STRANGE, output=scene.own(STRANGE))
    scene.expect(OK)


@FAILURES("a logic over time that raises")
def _(scene):
    scene.start()
    scene.patch.setattr(type(scene.guard._default.temporal), "update", boom)
    scene.expect(FAULT, "the logic over time raised Boom: injected")
    scene.heal()


@FAILURES("metrics that raise")
def _(scene):
    scene.start(fallback=hold_last_safe)
    safe = scene.guard._default.safe.last
    scene.patch.setattr(scene.guard.metrics, "count", boom)
    scene.expect(FAULT, "the evidence of the frame was not kept: Boom: injected", output=safe)
    assert scene.guard.metrics.counters.faults == 1
    scene.heal()


@FAILURES("metrics that are gone")
def _(scene):
    scene.start()
    scene.patch.setattr(scene.guard.evidence, "metrics", None)
    scene.expect(FAULT, "the evidence of the frame was not kept: AttributeError")
    scene.heal()


@FAILURES("a drift test that raises")
def _(scene):
    scene.start()
    scene.patch.setattr(type(scene.guard.metrics.drift), "update", boom)
    scene.expect(FAULT, "Boom: injected")
    scene.heal()


@FAILURES("a guard used after close")
def _(scene):
    scene.start(silence=5.0)
    scene.guard.close()
    scene.expect(FAULT, "the guard is closed", output=None)


@FAILURES("a guard called from two threads")
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


if hasattr(os, "fork"):

    @FAILURES("a guard used in a forked child")
    def _(scene):
        scene.start(silence=60.0, fallback=hold_last_safe)

        def child():
            output, verdict = scene.guard(STRANGE)
            counted = scene.guard.metrics.counters
            return output.tolist(), verdict.status.name, verdict.reason, counted.faults, scene.guard.status.name

        output, status, reason, faults, loop = in_child(child)
        assert output == scene.own(frames(1, 8)[0]).tolist()  # the last safe one
        assert (status, faults, loop) == ("FAULT", 1, "FAULT")
        assert reason.startswith("expected the process that made the guard, got a fork of it")
        scene.flush()
        assert [event.status for event in scene.events()] == [ALARM, OK]  # nothing of the child's
        assert scene.guard.watchdog.alive
        scene.expect(ALARM, frame=STRANGE, output=scene.own(frames(1, 8)[0]))
        scene.expect(OK)


@pytest.mark.parametrize("name", FAILURES)
def test_failure(scene, name):
    FAILURES[name](scene)
    scene.finish()
