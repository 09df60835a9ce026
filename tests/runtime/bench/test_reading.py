"""Which bytes are tapped, and that one read is of other memory than the reads before it."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.networks import Tap
from outrider.runtime.bench import reading


def tap(name="r", shape=(4, 5, 6), layout="NCHW", dtype="float32", neurons="channel", rows=1):
    return Tap(name, "relu", shape, layout, dtype, neurons, rows=rows)


@pytest.mark.parametrize(
    ("taps", "count"),
    [
        ([tap()], 4 * 120),
        ([tap(), tap(neurons="unit"), tap(neurons="channel-max")], 4 * 120),  # of one tensor
        ([tap(), tap("s", (7,), "NC", neurons="unit")], 4 * 120 + 4 * 7),
        ([tap(dtype="uint8")], 120),
        ([tap(neurons="sample3"), tap("s", (30, 4), "NLC", neurons="sample7")], 4 * 4 * 3 * 3 + 4 * 6 * 4),
        ([tap(neurons="sample3"), tap(neurons="sample4")], 4 * 4 * 3 * 3),  # 5 and 6 places, 2 apart
        ([tap(neurons="sample3"), tap()], 4 * 120),
        ([tap(dtype="float16", rows=9)], 2 * 9 * 120),
        ([tap(), tap("s", (4, None, None))], None),
        ([tap(rows=None)], None),
        ([], 0),
    ],
)
def test_each_tapped_tensor_counts_once(taps, count):
    assert reading.bytes_of(taps) == count


@pytest.mark.parametrize(
    ("size", "spread", "shape"),
    [(800, 8000, (10, 100)), (800, 8001, (11, 100)), (16_000, 8000, (1, 2000)), (3, 80, (10, 1))],
)
def test_memory_is_as_wide_as_asked_and_all_of_it_is_there(size, spread, shape):
    memory = reading.memory_for(size, spread)
    assert memory.shape == shape
    assert (memory == 1).all()  # pages that were never written to are no memory


def test_reads_go_through_the_memory_in_turn(monkeypatch):
    sums = []

    def noted(calls, rounds, warm_up):
        sums.extend(calls["read"]() for _ in range(5))
        assert (rounds, warm_up) == (31, 3)
        return {"read": np.array([3.0, 9.0, 4.0])}

    monkeypatch.setattr(reading, "memory_for", lambda size: np.array([[size, 1], [size, 2], [size, 3]], np.uint64))
    monkeypatch.setattr(reading, "paired", noted)
    assert reading.read_seconds(16) == 4.0
    assert sums == [17, 18, 19, 17, 18]
