"""Frames of a stream through a guard, and those who look on."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from outrider.monitor import Status, Verdict
from outrider.networks import Preprocessing
from outrider.runtime.inputs.streams import Frame
from outrider.runtime.loop.metrics import Metrics
from outrider.runtime.loop.watch import Watch


class Guard:
    """Says what it is told to, and remembers what it is asked."""

    def __init__(self, *statuses):
        self.metrics, self.status, self.asked, self.told = Metrics(), Status.STALE, [], []
        self._statuses = iter(statuses)
        self.evidence = SimpleNamespace(put=lambda *event: self.told.append(event))

    def __call__(self, sample, captured, stamp=None):
        self.asked.append((sample, captured, stamp))
        status = next(self._statuses)
        self.metrics.record(status, 0.5, 1.0, 1.0)
        return None, Verdict(status, 0.5, 1.0, 0.7, 0, np.float32([0.5]), (), "no frame")


class View:
    def __init__(self):
        self.frames, self.idles = [], []

    def seen(self, seen):
        self.frames.append(seen)

    def idle(self, status):
        self.idles.append(status)


def watching(*statuses):
    guard, view = Guard(*statuses), View()
    return guard, view, Watch(guard, lambda picture: picture + 1, [view])


def test_frames_are_prepared_judged_and_shown():
    guard, view, watch = watching(Status.OK, Status.WARN)
    for at in (100.0, 100.5):
        watch.step(Frame(at, np.zeros(2), "frame"))
    assert [seen.number for seen in view.frames] == [1, 2]
    assert [seen.seconds for seen in view.frames] == [0, 0.5]
    assert [seen.verdict.status for seen in view.frames] == [Status.OK, Status.WARN]
    assert all(seen.latency > 0 for seen in view.frames)
    assert guard.asked[0][0].tolist() == [1, 1]
    assert [stamp for *_, stamp in guard.asked] == [100.0, 100.5]
    assert (watch.frames, watch.alarmed) == (2, False)


def test_a_live_frame_is_judged_by_when_it_was_captured():
    guard, _, watch = watching(Status.OK)
    watch.step(Frame(5.0, np.zeros(2), "frame", captured=3.25))
    assert guard.asked[0][1:] == (3.25, None)


def test_a_frame_without_a_picture_is_told_why():
    guard, view, watch = watching(Status.FAULT)
    watch.step(Frame(5.0, None, "frame", problem="cannot be read"))
    assert guard.asked[0][0] is None
    assert view.frames[0].verdict.reason == "cannot be read"
    ((kind, verdict, before, reason, _),) = guard.told
    assert (kind, verdict.status, before, reason) == ("unreadable", Status.FAULT, Status.FAULT, "cannot be read")
    assert watch.alarmed


def test_a_picture_that_the_preprocessing_refuses_is_no_frame():
    guard, view = Guard(Status.FAULT, Status.OK), View()
    watch = Watch(guard, Preprocessing(scale=1, white=100), [view])
    for largest in (101, 100):
        watch.step(Frame(5.0, np.full((1, 2, 2), largest, np.uint8), "frame"))
    assert guard.asked[0][0] is None
    assert view.frames[0].verdict.reason.startswith("expected a picture of numbers from 0 to 100")
    assert guard.asked[1][0].max() == 255


@pytest.mark.parametrize(("status", "alarmed"), [(Status.OK, False), (Status.WARN, False), (Status.STALE, True)])
def test_a_calm_is_shown_and_a_silence_is_an_alarm(status, alarmed):
    guard, view, watch = watching()
    guard.status = status
    watch.step(None)
    assert (view.idles, watch.alarmed, watch.frames) == ([status], alarmed, 0)


def test_a_calibration_that_is_rejected_is_told_once():
    guard, view, watch = watching(*[Status.OK] * 4)
    guard.metrics.drift = SimpleNamespace(rejected=False, message="no longer holds")
    for rejected in (False, True, True, False):
        guard.metrics.drift.rejected = rejected
        watch.step(Frame(5.0, np.zeros(2), "frame"))
    assert [seen.drift for seen in view.frames] == ["", "no longer holds", "", ""]
