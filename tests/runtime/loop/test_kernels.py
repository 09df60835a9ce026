"""What is counted of a frame, in plain Python beside the kernel; its facts are tested with `FrameCheck`."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.runtime.loop.kernels import count_frame, frame_facts

UPPER = [1, 2, 3, 4, *(step << shift for shift in range(6) for step in (5, 6, 7, 8)), math.inf]
ON_BOUNDS = st.sampled_from([0.0, 7.0, 8.0, 10.0, 255.0, 256.0, -1.0, math.nan, math.inf]) | st.floats(0, 300)


@given(st.integers(0, 4), st.sampled_from([0.0, 0.5, 1.0, 2.0, math.inf, math.nan]), ON_BOUNDS)
def test_a_frame_is_counted_in_its_places(status, score, microseconds):
    counters, margins, latencies = np.zeros(9, np.int64), np.zeros(33, np.int64), np.zeros(len(UPPER), np.int64)
    spent, scores = np.zeros(2), np.array([7.0, 7.0, 10.0])
    assert count_frame(counters, margins, latencies, spent, scores, 8.0, status, score, 1.0, microseconds) == 1
    expected = [1, *(int(status == level) for level in range(1, 5)), int(microseconds > 8.0), 0, 0, 0]
    assert counters.tolist() == expected
    last = len(margins) - 1
    place = min(int(score * 16), last) if score < math.inf else last
    assert np.flatnonzero(margins).tolist() == ([place] if status < 3 else [])
    taken = microseconds if microseconds > 0 else 0.0
    bucket = next(i for i, upper in enumerate(UPPER) if taken < upper or upper == math.inf)
    assert np.flatnonzero(latencies).tolist() == [bucket]
    assert spent.tolist() == [taken, taken]
    judged = status < 3 and np.isfinite(score)
    np.testing.assert_array_equal(scores, [score, 1.0, 10.0 + score if judged else 10.0])


@pytest.mark.parametrize(("score", "place"), [(0.0, 0), (1e-9, 4)])
def test_at_a_threshold_of_0_a_score_of_0_lies_at_0_and_any_other_beyond(score, place):
    margins = np.zeros(5, np.int64)
    count_frame(
        np.zeros(9, np.int64), margins, np.zeros(9, np.int64), np.zeros(2), np.zeros(3), np.inf, 0, score, 0.0, 1.0
    )
    assert np.flatnonzero(margins).tolist() == [place]


def test_repeats_are_counted_from_1_and_begin_anew():
    facts, last = frame_facts(np.dtype("uint8"), 1), np.zeros(2, np.uint64)
    still, other = np.arange(9, dtype=np.uint8), np.arange(9, 0, -1).astype(np.uint8)
    asked = [still, still, still, other, still]
    assert [facts(frame, np.zeros(1, np.uint8), last) for frame in asked] == [1, 2, 3, 1, 1]
