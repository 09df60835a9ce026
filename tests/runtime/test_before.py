"""What a guard and an export of the first version left behind, kept in tests/data/before, reads and means the same."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

import onnxruntime as ort

from outrider.monitor import Monitor, OutriderWarning
from outrider.runtime import EventLog, Guard, guard_facts
from outrider.runtime.log.reader import read_events
from outrider.runtime.report import drive_statistics, read_drive, render_report

from ..recorded import BEFORE, FRAMES, Recorded

# Then the guard saw the frames at 30 a second, the first one three times more, and a frame of zeros without a stamp.
STAMPED = [*((row, 1000 + row / 30) for row in range(len(FRAMES))), (0, 1002.0), (0, 1002.0), (0, 1002.0)]
SAME = ("kind", "frame", "status", "before", "score", "threshold", "confidence", "prediction", "layers", "neurons",
        "reason", "stamp_ns", "elapsed_ns")  # fmt: skip


@pytest.fixture
def today(tmp_path):
    """The verdicts of a guard of today on the activations of then, and the path of its log."""
    network = Recorded("channels")
    with pytest.warns(OutriderWarning, match="written by an older Outrider"):
        monitor = Monitor.load(BEFORE / "channels.outrider", network)
    path, verdicts = tmp_path / "events.jsonl", []
    with EventLog(path) as log:
        guard = Guard(monitor, alarm=(2, 3), clear=(2, 3), frozen=3, log=log)
        for row, stamp in STAMPED:
            network.next = row
            verdicts.append(guard(FRAMES[row], stamp=stamp)[1])
        guard.close()
    return verdicts, path


def test_a_guard_of_today_gives_the_verdicts_of_then(today):
    then = json.loads((BEFORE / "guard.json").read_text())
    verdicts = today[0][: len(then)]
    expected = [(status, float(score), tuple(layers), reason) for status, score, layers, reason in then]
    assert [(v.status, v.score, v.layers, v.reason) for v in verdicts] == expected


def test_the_log_of_then_is_read_to_the_events_of_today(today):
    then, now = (
        [[getattr(event, name) for name in SAME] for event in read_events(path)]
        for path in (BEFORE / "events.jsonl", today[1])
    )
    assert len(now) == 32
    assert then[: len(now)] == now
    assert [(event[1], event[2].name) for event in then[len(now) :]] == [(44, "FAULT")]


def test_a_report_is_made_of_the_log_of_then():
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    drive = read_drive([BEFORE / "events.jsonl"])
    statistics = drive_statistics(drive)
    counts = {name: statistics["counts"][name] for name in ("frames", "warnings", "alarms", "faults", "stale")}
    assert counts == {"frames": 44, "warnings": 4, "alarms": 20, "faults": 2, "stale": 1}
    assert drive.problems == []
    assert "20 of 44 frames alarmed" in render_report(drive, statistics)


def test_the_guarded_model_of_then_says_what_it_said_and_what_the_monitor_says():
    session = ort.InferenceSession(str(BEFORE / "guarded.onnx"), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, session.run(None, {session.get_inputs()[0].name: FRAMES}), strict=True))
    with np.load(BEFORE / "guarded.npz") as then:
        assert names == list(then)
        for name in names:
            np.testing.assert_allclose(found[name], then[name], rtol=1e-5, atol=1e-6, err_msg=name)
    with pytest.warns(OutriderWarning, match="written by an older Outrider"):
        monitor = Monitor.load(BEFORE / "ranges.outrider", Recorded("ranges"))
    _, verdicts = monitor.check(FRAMES)
    np.testing.assert_array_equal(found["outrider_alarm"], verdicts.alarm)
    whole = np.isfinite(verdicts.score)
    assert whole.sum() == len(FRAMES) - 1
    np.testing.assert_allclose(found["outrider_score"][whole], verdicts.score[whole], rtol=1e-5)
    np.testing.assert_allclose(found["outrider_layers"][whole], verdicts.deviation[whole], rtol=1e-5, atol=1e-9)
    with pytest.warns(OutriderWarning, match="exported by an older Outrider"):
        facts = guard_facts(BEFORE / "guarded.onnx")
    assert facts["outputs"] == names[1:]
    assert facts["columns"] == list(verdicts.columns.names)
