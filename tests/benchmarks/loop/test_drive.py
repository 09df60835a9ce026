from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("gymnasium")
pytest.importorskip("torch")
from benchmarks.loop import drive


def record(**fields: object) -> SimpleNamespace:
    still = {"delay": None, "left_at": None, "stopped_at": None, "travelled": 10.04, "false_alarm": False}
    return SimpleNamespace(**still | fields)


def test_a_fault_is_flagged_soon_up_to_the_tenth_frame(monkeypatch):
    monkeypatch.setattr(drive, "changes", lambda clean, bare: bare.left_at is not None)
    bare = [record(left_at=5), record(left_at=6), record(), record(left_at=7)]
    guarded = [record(delay=10, stopped_at=20), record(delay=11), record(delay=1, false_alarm=True), record()]
    row = drive.judge("fog", [record()] * 4, bare, guarded)
    assert (row["drives"], row["changed"], row["flagged soon"], row["changed and flagged soon"]) == (4, 3, 2, 1)
    assert (row["left without"], row["left with"], row["stopped"], row["false alarm before"]) == (3, 0, 1, 1)
    assert row["delays"] == [10, 11, 1, None]
    assert row["metres with"] == [10.0] * 4


def test_a_frame_on_the_threshold_is_not_above_it():
    drives = [record(ratio=np.array([0.5, 1.0])), record(ratio=np.array([1.01, 0.2, 3.0]), false_alarm=True)]
    figures = drive.clean_figures(drives)
    assert (figures["drives"], figures["alarms"], figures["frames"], figures["frames above"]) == (2, 1, 5, 2)
    assert (figures["highest"], figures["metres"]) == ([1.0, 3.0], 20)
