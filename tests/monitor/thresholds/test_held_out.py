from __future__ import annotations

import warnings

import numpy as np
import pytest

from outrider.coverage import SingleRange
from outrider.monitor import CalibrationError, Monitor, OutriderWarning, SmallestP, Sum
from outrider.monitor.thresholds.held_out import HeldOut, judged

from ..conftest import batches, frames


def test_frames_that_are_all_left_out_are_counted_with_the_reason_and_their_classes(network):
    """Eight frames profile no class, so that none of the held-out ones can set a threshold."""
    monitor = Monitor(network, SingleRange(), logic=SmallestP())
    with pytest.warns(OutriderWarning, match="have fewer"):
        monitor.profile([frames(8)], minimum_per_class=8, class_names=["go", "stop", "yield"])
    held_out = frames(61, seed=1)
    held_out[60] = np.nan
    counts = np.bincount(network.run(held_out[:60]).argmax(axis=1), minlength=3)
    assert counts.max() == counts[2]
    with pytest.warns(OutriderWarning, match="left out"), pytest.raises(CalibrationError) as refused:
        monitor.calibrate([held_out], 0.05)
    said = str(refused.value)
    assert "got 0 that count; left out were 6" in said
    assert f"predicted as a class without enough trusted frames (class 2 (yield): {counts[2]}" in said
    assert "with these there would be enough: profile more frames of these classes, or profile with a lower" in said


def test_drives_of_which_every_frame_is_left_out_are_told_from_drives_not_given(network):
    monitor = Monitor(network, SingleRange(), logic=Sum())
    monitor.profile(batches(frames(800)))
    data, drives = frames(500, seed=1), np.arange(500) // 25
    data[:100, 0] = np.nan
    for how, needed in (({"drives": drives}, 19), ({"groups": drives, "group_confidence": 0.95}, 19)):
        with pytest.warns(OutriderWarning, match="100 of 500"), pytest.raises(CalibrationError) as refused:
            monitor.calibrate([data], 0.05, **how)
        assert f"at least {needed} held-out drives" in str(refused.value)
        assert "got 16 that count; left out were 100 NaN or Inf" in str(refused.value)


def test_each_frame_is_kept_or_left_out_for_one_reason(network):
    monitor = Monitor(network, SingleRange(), logic=Sum())
    monitor.profile(batches(frames(800)))
    rng = np.random.default_rng(0)
    n = 200
    deviations = rng.exponential(size=(n, 1)).astype(np.float32)
    deviations[:10] = np.inf
    uncovered = np.full(n, -1)
    uncovered[5:30] = 1
    with_rows = np.ones(n, bool)
    with_rows[3:8] = False
    digests = np.arange(n, dtype=np.uint64)
    digests[-4:], deviations[-4:] = digests[100:104], deviations[100:104]
    given = HeldOut(deviations, np.zeros(n, np.int64), np.ones(n, bool), uncovered, digests, with_rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutriderWarning)
        kept, left_out = judged(monitor.learned, given)
        by_reason = left_out.by_reason()
    assert by_reason == {
        "predicted as a class without enough trusted frames": 25,
        "NaN or Inf": 3,
        "without rows at a tap": 2,
        "the same as one before": 4,
    }
    assert (len(kept.predictions), len(left_out.lost.predictions), len(left_out.uncovered.predictions)) == (166, 30, 25)
