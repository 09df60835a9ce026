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
    """Says what it is told to, and remembers what it is asked. statuses: by stream, or of the one there is."""

    def __init__(self, *statuses, streams=("",)):
        self.statuses = dict.fromkeys(streams, Status.STALE)
        self.asked, self.told, self.batches = [], [], []
        self.all_metrics = {name: Metrics() for name in streams}
        self.metrics = self.all_metrics.get("")
        self._statuses = iter(statuses)

    def history(self, stream):
        evidence = SimpleNamespace(put=lambda *event: self.told.append(event), metrics=self.all_metrics[stream])
        return SimpleNamespace(evidence=evidence)

    def __call__(self, sample, captured, stamp=None, stream=""):
        self.asked.append((sample, captured, stamp))
        status = self.statuses[stream] = next(self._statuses)
        self.all_metrics[stream].record(status, 0.5, 1.0, 1.0)
        return None, Verdict(status, 0.5, 1.0, 0.7, 0, np.float32([0.5]), (), "no frame")

    def many(self, frames, captured, stamp):
        self.batches.append(tuple(frames))
        return {name: self(frame, captured[name], stamp[name], name) for name, frame in frames.items()}


class View:
    def __init__(self):
        self.frames, self.idles = [], []

    def seen(self, seen):
        self.frames.append(seen)

    def idle(self, status, stream=""):
        self.idles.append((stream, status) if stream else status)


def watching(*statuses, **options):
    guard, view = Guard(*statuses, **options), View()
    return guard, view, Watch(guard, lambda picture: picture + 1, [view])


def frame(at=5.0, **options):
    return Frame(at, np.zeros(2), "frame", **options)


def test_frames_are_prepared_judged_and_shown():
    guard, view, watch = watching(Status.OK, Status.WARN)
    for at in (100.0, 100.5):
        watch.step(Frame(at, np.zeros(2), "frame"))
    assert [seen.number for seen in view.frames] == [1, 2]
    assert [seen.seconds for seen in view.frames] == [0, 0.5]
    assert [seen.verdict.status for seen in view.frames] == [Status.OK, Status.WARN]
    assert all(seen.latency > 0 for seen in view.frames)
    assert guard.asked[0][0].tolist() == [1, 1]
    assert all(seen.sample.tolist() == [1, 1] for seen in view.frames)
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
    guard.statuses[""] = status
    watch.step(None)
    assert (view.idles, watch.alarmed, watch.frames) == ([status], alarmed, 0)


def test_a_calibration_that_is_rejected_is_told_once():
    guard, view, watch = watching(*[Status.OK] * 4)
    guard.metrics.drift = SimpleNamespace(rejected=False, message="no longer holds")
    for rejected in (False, True, True, False):
        guard.metrics.drift.rejected = rejected
        watch.step(Frame(5.0, np.zeros(2), "frame"))
    assert [seen.drift for seen in view.frames] == ["", "no longer holds", "", ""]


def test_frames_of_several_streams_are_judged_together():
    statuses = [Status.OK, Status.ALARM, Status.OK]
    guard, view, watch = watching(*statuses, streams=("left", "right"))
    watch.steps({"left": frame(5.0, captured=3.25), "right": frame(100.0)})
    watch.steps({"right": frame(101.5)})
    assert guard.batches == [("left", "right")]
    assert guard.asked[0][1:] == (3.25, None)
    assert [stamp for *_, stamp in guard.asked] == [None, 100.0, 101.5]
    assert [(seen.stream, seen.number, seen.seconds) for seen in view.frames] == [
        ("left", 1, 0.0), ("right", 1, 0.0), ("right", 2, 1.5),
    ]  # fmt: skip
    assert (watch.frames, watch.alarmed, view.idles) == (3, True, [])


def test_each_stream_may_have_its_own_preprocessing():
    guard = Guard(Status.OK, Status.OK, streams=("left", "right"))
    watch = Watch(guard, {"left": lambda picture: picture + 1, "right": lambda picture: picture + 2}, [View()])
    watch.steps({"left": frame()})
    watch.steps({"right": frame()})
    assert [sample.tolist() for sample, *_ in guard.asked] == [[1, 1], [2, 2]]


def test_the_silence_of_one_stream_is_told_once_while_others_go_on():
    guard, view, watch = watching(*[Status.OK] * 5, streams=("left", "right"))
    watch.steps({"left": frame(), "right": frame()})
    watch.steps({"left": frame()})
    assert view.idles == []
    guard.statuses["right"] = Status.STALE
    watch.steps({"left": frame()})
    watch.steps({"left": frame()})
    assert view.idles == [("right", Status.STALE)]
    assert watch.alarmed
    watch.steps({})
    assert view.idles[1:] == [("left", Status.OK), ("right", Status.STALE)]


def test_what_a_source_dropped_is_counted_and_its_return_written_down():
    guard, view = Guard(*[Status.OK] * 3), View()
    source = SimpleNamespace(dropped=0, reconnects=0)
    watch = Watch(guard, lambda picture: picture, [view], {"": source})
    watch.step(frame())
    source.dropped, source.reconnects = 7, 1
    watch.step(frame())
    watch.step(frame())
    assert [seen.dropped for seen in view.frames] == [0, 7, 7]
    assert (guard.metrics.counters.frames_dropped, guard.metrics.counters.reconnects) == (7, 1)
    ((kind, _, status, reason, _),) = guard.told
    assert (kind, status, reason) == (
        "reconnected", Status.OK, "the source was away and is there again, 1 time so far",
    )  # fmt: skip
    source.dropped = 9
    watch.count()
    assert guard.metrics.counters.frames_dropped == 9
