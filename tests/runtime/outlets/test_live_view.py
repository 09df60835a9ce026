"""What a terminal shows, as text; what a pipe gets."""

from __future__ import annotations

import io
import time
import types

import numpy as np
import pytest
from rich.console import Console

from outrider.monitor import Status, Verdict
from outrider.runtime.inputs.streams import Frame
from outrider.runtime.loop.drift import DriftTest
from outrider.runtime.loop.metrics import Metrics
from outrider.runtime.loop.watch import WatchedFrame
from outrider.runtime.outlets.live_view import LiveView, StatusLines, clock

NOTHING = np.zeros(1, np.float32)


def seen(number, status=Status.OK, score=0.5, threshold=1.0, latency=0.002, **parts):
    layers, reason = parts.get("layers", ()), parts.get("reason", "")
    verdict = Verdict(status, score, threshold, 0.75, parts.get("prediction", -1), NOTHING, layers, reason)
    return WatchedFrame(number, number / 10, Frame(0.0, None, "frame"), verdict, latency, parts.get("drift", ""))


@pytest.fixture
def guard():
    return types.SimpleNamespace(
        status=Status.OK,
        metrics=Metrics(),
        monitor=types.SimpleNamespace(calibration=types.SimpleNamespace(warning_rate=None)),
    )


def show(view, width=100):
    console = Console(width=width, record=True, file=io.StringIO(), highlight=False)
    console.print(view)
    return console.export_text()


@pytest.mark.parametrize("width", [80, 140])
def test_long_names_of_layers_do_not_hide_when_it_was(guard, width):
    view = LiveView("drive", guard, Console(file=io.StringIO()))
    layers = tuple(f"/backbone/stage{i}/block/activation/Relu_output_0:channel mahalanobis" for i in range(3))
    view.seen(seen(1))
    view.seen(seen(1234, Status.ALARM, layers=layers))
    row = next(line for line in show(view, width).splitlines() if "frame 1,234" in line and "ALARM" in line)
    assert "02:03.4" in row
    assert "1 frame " in row
    assert "/backbone" in row


def test_eighty_columns_hold_the_reason(guard):
    view = LiveView("drive", guard, Console(file=io.StringIO()))
    reason = "score 9.409 is above the threshold 6.64; most in relu_1:channel mahalanobis"
    view.seen(seen(1, Status.ALARM, score=9.409, threshold=6.64, prediction=3, reason=reason))
    assert reason in show(view, 80)


def test_a_view_without_a_frame(guard):
    text = show(LiveView("road.mp4", guard))
    assert "OK" in text
    assert "no frame yet" in text
    assert "road.mp4" in text


def test_a_view_says_what_the_guard_says(guard):
    view = LiveView("road.mp4", guard)
    guard.status = Status.ALARM
    for number in range(1, 101):
        status, score = (Status.ALARM, 1.5) if number > 90 else (Status.OK, 0.5)
        guard.metrics.record(status, score, 1.0, 2000.0)
        view.seen(seen(number, status, score, latency=0.001 * number, prediction=7, layers=("relu:unit single_range",)))
    text = show(view, 120)
    assert " ALARM " in text
    assert "frame 100   00:10.0" in text
    assert "score 1.5   threshold 1   monitor's confidence 0.750   class 7" in text
    assert "latency 50.50 ms median, 99.01 ms p99" in text
    assert "above threshold 10 (10.00%)" in text
    assert "frame 91  00:09.1  ALARM  10 frames  relu:unit single_range" in text


def test_the_warning_level_is_shown_where_there_is_one(guard):
    view = LiveView("road.mp4", guard)
    assert "above warning level" not in show(view)
    guard.monitor.calibration.warning_rate = 0.1
    assert "above warning level 0" in show(view)


def test_the_frame_rate_counts_arrivals_and_falls_while_none_come(guard, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    view = LiveView("road.mp4", guard)
    for number in range(1, 61):
        now[0] += 0.05
        view.seen(seen(number))
    assert "20.0 frames/s" in show(view)
    now[0] += 59 * 0.05
    assert "10.0 frames/s" in show(view)


def test_the_last_alarms_are_runs_of_one_status(guard):
    view = LiveView("road.mp4", guard)
    statuses = [Status.OK, Status.ALARM, Status.ALARM, Status.OK, Status.FAULT, Status.ALARM, Status.WARN]
    for number, status in enumerate(statuses):
        view.seen(seen(number, status, reason=f"why {number}"))
    view.idle(Status.STALE)
    view.idle(Status.STALE)
    lines = show(view).split("last alarms")[1].splitlines()[1:]
    assert [line.split() for line in lines] == [
        ["frame", "6", "00:00.6", "STALE", "0", "frames", "no", "frame"],
        ["frame", "5", "00:00.5", "ALARM", "1", "frame", "why", "5"],
        ["frame", "4", "00:00.4", "FAULT", "1", "frame", "why", "4"],
        ["frame", "1", "00:00.1", "ALARM", "2", "frames", "why", "1"],
    ]


def test_only_the_newest_alarms_stand_there(guard):
    view = LiveView("road.mp4", guard)
    for number in range(40):
        view.seen(seen(number, Status.ALARM if number % 2 else Status.OK))
    assert show(view).count("ALARM") == 5


@pytest.mark.parametrize("width", [20, 60, 200])
def test_a_view_fits_its_terminal(guard, width):
    view = LiveView("a/long/way/to/road.mp4, perception.outrider", guard)
    for number in range(600):
        view.seen(
            seen(number, Status.ALARM, number % 40 / 20, layers=("relu:unit single_range",), reason="score " * 30)
        )
    lines = show(view, width).splitlines()
    assert max(map(len, lines)) <= width
    assert len([line for line in lines if any(0x2800 <= ord(sign) < 0x2900 for sign in line)]) >= 3


def test_brackets_in_names_are_no_markup(guard):
    view = LiveView("[red]folder", guard)
    view.seen(seen(1, Status.ALARM, reason="frame[3]: [bold]x", layers=("conv[0]:unit",)))
    text = show(view, 200)
    assert "[red]folder" in text
    assert "frame[3]: [bold]x" in text
    assert "conv[0]:unit" in text


BELL = "\x1b]0;pwned\x07\x1b[31m\u202ered\n\udce4"
HARMLESS = r"\x1b]0;pwned\x07\x1b[31m\u202ered\n\udce4"


def test_no_terminal_obeys_a_name(guard):
    file = io.StringIO()
    view = LiveView(BELL, guard, Console(file=io.StringIO()))
    view.seen(seen(1, Status.ALARM, reason=f"why {BELL}"))
    view.seen(seen(2, Status.FAULT, layers=(f"layer {BELL}",)))
    text = show(view, 200)
    StatusLines(Console(file=file, width=40)).seen(seen(1, Status.ALARM, reason=f"lines {BELL}"))
    for part in (HARMLESS, f"why {HARMLESS}", f"layer {HARMLESS}", f"lines {HARMLESS}"):
        assert part in text + file.getvalue()
    assert not set(text + file.getvalue()) & {"\x1b", "\x07", "\u202e"}
    assert file.getvalue().count("\n") == 1


def test_a_view_says_how_the_calibration_does(guard):
    view = LiveView("road.mp4", guard)
    assert "calibration" not in show(view)
    drift = guard.metrics.drift = DriftTest(0.01, stride=1)
    assert "the calibration is not tested yet" in show(view)
    drift.update(False)
    assert "too few frames tested to tell (1 tested, one in 1," in show(view)
    drift.update(False)
    drift.update(False)
    assert "no sign against the calibration: 0 of 3 tested frames alarmed (0 %)" in show(view)
    while not drift.update(True):
        pass
    (line,) = (line for line in show(view, 60).splitlines() if "calibration" in line)
    assert line.startswith("calibration no longer holds: ")
    assert line.endswith("…")


def test_scores_without_a_threshold(guard):
    view = LiveView("road.mp4", guard)
    view.seen(seen(1, Status.FAULT, np.inf, np.nan))
    view.seen(seen(2, Status.OK, 0.0, 0.0))
    view.seen(seen(3, Status.ALARM, 1.0, 0.0))
    assert "score 1   threshold 0" in show(view)


def test_a_terminal_shows_it_live(guard):
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=80, height=24)
    with LiveView("road.mp4", guard, console) as view:
        view.seen(seen(1))
        deadline = time.monotonic() + 20
        while "frame 1 " not in file.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert "frame 1 " in file.getvalue()
        view.seen(seen(2))
    assert "frame 2 " in file.getvalue()


def test_lines_for_changes_of_status_only():
    file = io.StringIO()
    view = StatusLines(Console(file=file, width=40))
    view.seen(seen(1))
    view.idle(Status.OK)
    view.seen(seen(2, Status.ALARM, reason="score 2 is above the threshold 1; most in [layer]"))
    view.seen(seen(3, Status.ALARM, reason="another"))
    view.idle(Status.STALE)
    view.seen(seen(40, drift="calibration no longer holds: 9 of 10"))
    assert file.getvalue().splitlines() == [
        "frame 2  00:00.2  OK -> ALARM  score 2 is above the threshold 1; most in [layer]",
        "frame 3  00:00.3  ALARM -> STALE  no frame",
        "frame 40  00:04.0  STALE -> OK",
        "frame 40  00:04.0  calibration no longer holds: 9 of 10",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "00:00.0"),
        (59.96, "01:00.0"),
        (754.25, "12:34.2"),
        (3600, "1:00:00.0"),
        (90061.5, "25:01:01.5"),
        (-1, "00:00.0"),
    ],
)
def test_clock(seconds, text):
    assert clock(seconds) == text
