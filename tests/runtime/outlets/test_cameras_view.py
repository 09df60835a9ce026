"""What a terminal shows of several streams."""

from __future__ import annotations

import io
import types

import numpy as np
import pytest
from rich.console import Console

from outrider.monitor import Status, Verdict
from outrider.runtime.inputs.streams import Frame
from outrider.runtime.loop.metrics import Metrics
from outrider.runtime.loop.watch import WatchedFrame
from outrider.runtime.outlets.cameras_view import CamerasView


@pytest.fixture
def guard():
    metrics = Metrics()
    metrics.streams = {"left": Metrics(), "right\x1b": Metrics()}
    return types.SimpleNamespace(
        status=Status.STALE, statuses={"left": Status.ALARM, "right\x1b": Status.STALE}, metrics=metrics
    )


def seen(stream, number, status=Status.OK, score=0.5, reason=""):
    verdict = Verdict(status, score, 1.0, 0.75, -1, np.zeros(1, np.float32), (), reason)
    return WatchedFrame(number, number / 10, Frame(0.0, None, "frame"), verdict, 0.004, "", stream)


def show(view, width=140):
    console = Console(width=width, record=True, file=io.StringIO(), highlight=False)
    console.print(view)
    return console.export_text().splitlines()


def test_each_stream_has_a_line_and_the_worst_status_stands_above(guard):
    view = CamerasView("cameras.yaml", guard, ["left", "right\x1b"])
    head, _, left, right = show(view)
    assert head.startswith(" STALE   00:00.0   2 streams   cameras.yaml")
    assert "no frame yet" in left
    for number in range(1, 21):
        view.seen(seen("left", number, Status.ALARM, 1.5, "score 1.5 is above \x07"))
        guard.metrics.streams["left"].record(Status.ALARM, 1.5, 1.0, 4000.0)
    view.seen(seen("right\x1b", 1, score=0.25))
    guard.metrics.streams["right\x1b"].counters.frames_dropped = 1234
    head, columns, left, right = show(view)
    assert head.startswith(" STALE   00:02.0 ")
    assert columns.split() == ["frames/s", "frame", "ms", "alarms", "dropped"]
    assert left.split()[:2] == ["left", "ALARM"]
    assert left.split()[4:8] == ["20", "4.0", "20", "0"]
    assert left.rstrip().endswith(r"score 1.5 is above \x07")
    assert right.split()[:2] == [r"right\x1b", "STALE"]
    assert "1,234" in right
    assert right.rstrip().endswith("no frame")


def test_a_narrow_terminal_loses_the_end_of_the_reason(guard):
    view = CamerasView("cameras.yaml", guard, ["left", "right\x1b"])
    view.seen(seen("left", 1, Status.ALARM, 1.5, "because " * 20))
    lines = show(view, 90)
    assert len(lines) == 4
    assert max(map(len, lines)) <= 90
    assert lines[2].rstrip().endswith("…")
    assert "because" in show(view, 80)[2]


def test_it_is_drawn_while_it_is_entered(guard):
    console = Console(file=io.StringIO(), force_terminal=True, width=140)
    with CamerasView("cameras.yaml", guard, ["left", "right\x1b"], console) as view:
        view.seen(seen("left", 3, Status.ALARM, 1.5, "unusual"))
        view.idle(Status.STALE, "right\x1b")
    assert "unusual" in console.file.getvalue()
