"""Ratios, intervals and shares of times that are known."""

from __future__ import annotations

import json

import numpy as np
import pytest

from outrider.networks import Tap
from outrider.runtime.bench.figures import CostFigures, CostRow, TappedSize, with_times

RELU = Tap("r", "relu", (6, 8, 8), "NCHW", "float32", "channel")
UNITS = Tap("r", "relu", (6, 8, 8), "NCHW", "float32", "unit")
SCORES = Tap("y", "output", (10,), "NC", "float32", "unit")
PLACES = Tap("m", "output", (5, 4, 4), "NCHW", "float32", "pixel")


def test_class_scores_of_a_frame_are_left_out_of_what_is_tapped():
    assert TappedSize.of([RELU, UNITS, SCORES]) == TappedSize(2, 6 + 6 * 64, 4 * 6 * 64)
    assert TappedSize.of([PLACES]) == TappedSize(1, 5, 4 * 5 * 16)


def test_a_row_has_the_ratio_its_interval_and_the_share_of_a_read():
    times = {"bare": np.array([1.0, 2.0, 4.0]), "m, outside": np.array([3.0, 3.0, 8.0])}
    row = with_times(CostRow("m", "outside", size=TappedSize(1, 6, 1536)), times, {1536: 0.5})
    assert (row.ratio, row.interval) == (2.0, (1.5, 3.0))
    assert (row.read_ms, row.read_share) == (500.0, 0.25)


def test_what_was_not_timed_has_no_figures_but_keeps_its_reason():
    row = CostRow("m", "in the graph", size=TappedSize(1, 6, None), note="no")
    assert with_times(row, {"bare": np.ones(3)}, {1536: 0.5}) == row
    assert row.key == "m, in the graph"
    assert CostRow("bare again").key == "bare again"


def test_figures_are_json():
    row = CostRow("m", "outside", 1.5, (1.0, 2.0), TappedSize(1, 6, 1536), 0.5, 0.25)
    found = CostFigures("n.onnx", None, "a processor", "1.0", 2, 1, 20, 3.5, (row,))
    facts = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert facts["rows"][0]["interval"] == [1.0, 2.0]
    assert facts["rows"][0]["size"] == {"taps": 1, "neurons": 6, "nbytes": 1536}
    assert facts["bare_ms"] == pytest.approx(3.5)
