"""The endurance run of `benchmarks/bench_soak.py`, short: its log is complete, and nothing is left open."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("psutil")

SOAK = runpy.run_path(str(Path(__file__).parents[3] / "benchmarks" / "bench_soak.py"))


def test_two_thousand_frames_leave_a_complete_log(tmp_path):
    result = SOAK["soak"](2_000, tmp_path)
    assert sum(result["statuses"].values()) == 2_000
    assert all(result["statuses"].values())
    assert result["events_written"] == result["events_expected"] > 40
    assert (result["dropped"], result["failures"], result["sequence_has_holes"]) == (0, 0, False)
    assert result["closed_in_full"]
    assert len(set(result["descriptors"])) == len(set(result["threads"])) == 1
