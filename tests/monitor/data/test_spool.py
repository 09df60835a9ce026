"""A bounded sample of the trusted frames in which each has the same chance."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.monitor.data import spool
from outrider.monitor.data.spool import FrameSpool


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(spool, "_FRAMES", 8)


def numbered(start, stop):
    return np.arange(start, stop, dtype=np.float32)[:, None]


def test_all_are_held_while_there_is_room(small):
    kept = FrameSpool()
    for start in range(0, 8, 3):
        kept.add(numbered(start, min(start + 3, 8)))
    assert kept.frames[:, 0].tolist() == list(range(8))
    assert [len(batch) for batch in kept.batches(3)] == [3, 3, 2]


def test_no_more_than_the_room_and_each_with_the_same_chance(small, monkeypatch):
    held, draw = np.zeros(40), np.random.default_rng
    for trial in range(400):
        monkeypatch.setattr(np.random, "default_rng", lambda seed, trial=trial: draw([trial, seed]))
        kept, cut = FrameSpool(), 1 + trial % 39
        kept.add(numbered(0, cut))
        kept.add(numbered(cut, 40))
        assert len(kept.frames) == 8
        assert kept.seen == 40
        held[kept.frames[:, 0].astype(int)] += 1
    # 400 draws of a share of 8/40: 80 expected, with a standard deviation of 8.
    assert held.min() > 40
    assert held.max() < 120


def test_large_frames_take_no_more_than_the_bytes_allowed(monkeypatch):
    monkeypatch.setattr(spool, "_BYTES", 4096)
    kept = FrameSpool()
    kept.add(np.zeros((50, 100), np.float32))
    assert len(kept.frames) == 4096 // 400
    kept = FrameSpool()
    kept.add(np.zeros((3, 5000), np.float32))
    assert len(kept.frames) == 1


def test_an_empty_spool_has_no_batches_and_takes_nothing():
    kept = FrameSpool()
    kept.add(np.zeros((0, 3), np.float32))
    assert kept.frames is None
    assert list(kept.batches(4)) == []


def test_it_goes_on_from_what_a_checkpoint_held(small):
    whole, parts = FrameSpool(), FrameSpool()
    whole.add(numbered(0, 20))
    parts.add(numbered(0, 20))
    resumed = FrameSpool(parts.frames.copy(), parts.seen)
    for kept in (whole, resumed):
        kept.add(numbered(20, 45))
    np.testing.assert_array_equal(whole.frames, resumed.frames)


def test_the_inputs_of_a_frame_stay_together(small):
    kept, alone = FrameSpool(), FrameSpool()
    for start in range(0, 60, 7):
        rows = numbered(start, min(start + 7, 60))
        kept.add((rows, np.repeat(-rows[:, None], 3, axis=2)))
        alone.add(rows)
    first, second = kept.frames
    np.testing.assert_array_equal(first, alone.frames)
    np.testing.assert_array_equal(second, np.repeat(-first[:, None], 3, axis=2))
    assert [tuple(map(len, batch)) for batch in kept.batches(5)] == [(5, 5), (3, 3)]


def test_the_bytes_of_all_inputs_count(monkeypatch):
    monkeypatch.setattr(spool, "_BYTES", 4096)
    kept = FrameSpool()
    kept.add((np.zeros((50, 10), np.float32), np.zeros((50, 90), np.float32)))
    assert len(kept.frames[0]) == 4096 // 400
