"""A bounded sample of the trusted frames in which each has the same chance, whichever order they come in."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.monitor.data import spool
from outrider.monitor.data.digests import digests_of
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
    assert sorted(kept.frames[:, 0].tolist()) == list(range(8))
    assert [len(batch) for batch in kept.batches(3)] == [3, 3, 2]


def smallest(data, count):
    """The frames with the smallest digests, in their order, equal ones once."""
    _, rows = np.unique(digests_of(data), return_index=True)
    return data[rows[:count]]


def test_of_more_those_with_the_smallest_digests_in_any_order(small):
    data = numbered(0, 60)
    data[50:] = data[:10]
    for order in (np.arange(60), np.random.default_rng(0).permutation(60)):
        kept = FrameSpool()
        for rows in np.array_split(order, 7):
            kept.add(data[rows])
        np.testing.assert_array_equal(kept.frames, smallest(data, 8))
        assert kept.seen == 60


def test_each_frame_has_the_same_chance(small):
    held = np.zeros(40)
    for trial in range(400):
        kept = FrameSpool()
        kept.add(numbered(0, 40) + 1000 * trial)
        held[kept.frames[:, 0].astype(int) - 1000 * trial] += 1
    # 400 draws of a share of 8/40: 80 expected, with a standard deviation of 8.
    assert held.min() > 40
    assert held.max() < 120


def test_digests_may_be_given(small):
    kept, other = FrameSpool(), FrameSpool()
    kept.add(numbered(0, 20))
    other.add(numbered(0, 20), digests_of(numbered(0, 20)))
    np.testing.assert_array_equal(kept.frames, other.frames)


def test_spools_merge_to_that_of_all_frames(small):
    whole, parts = FrameSpool(), [FrameSpool() for _ in range(3)]
    whole.add(numbered(0, 90))
    for number, part in enumerate(parts):
        part.add(numbered(30 * number, 30 * number + 30))
    parts[2].merge(parts[0])
    parts[2].merge(FrameSpool())
    parts[2].merge(parts[1])
    np.testing.assert_array_equal(parts[2].frames, whole.frames)
    assert parts[2].seen == whole.seen == 90


def test_of_many_frames_a_part_holds_few_and_all_parts_the_same(small):
    """Where it is known how many frames there are in all, those that cannot be among the smallest are not held."""
    whole, held, merged = FrameSpool(total=4000), 0, FrameSpool(total=4000)
    whole.add(numbered(0, 4000))
    for start in range(0, 4000, 100):
        part = FrameSpool(total=4000)
        part.add(numbered(start, start + 100))
        held += 0 if part.frames is None else len(part.frames)
        merged.merge(part)
    np.testing.assert_array_equal(merged.frames, whole.frames)
    np.testing.assert_array_equal(merged.frames, smallest(numbered(0, 4000), 8))
    assert 8 <= held < 80  # 4 times 8 expected


def test_large_frames_take_no_more_than_the_bytes_allowed(monkeypatch):
    monkeypatch.setattr(spool, "_BYTES", 4096)
    kept = FrameSpool()
    kept.add(np.repeat(numbered(0, 50), 100, axis=1))
    assert len(kept.frames) == 4096 // 400
    kept = FrameSpool()
    kept.add(np.repeat(numbered(0, 3), 5000, axis=1))
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


def test_it_goes_on_from_an_older_checkpoint_whose_frames_were_drawn(small):
    drawn = numbered(0, 8)[::-1].copy()
    resumed = FrameSpool(drawn, 40)
    assert sorted(resumed.frames[:, 0].tolist()) == list(range(8))
    resumed.add(numbered(40, 80))
    np.testing.assert_array_equal(resumed.frames, smallest(np.concatenate([drawn, numbered(40, 80)]), 8))
    assert resumed.seen == 80


def test_the_inputs_of_a_frame_stay_together(small):
    kept = FrameSpool()
    for start in range(0, 60, 7):
        rows = numbered(start, min(start + 7, 60))
        kept.add((rows, np.repeat(-rows[:, None], 3, axis=2)))
    first, second = kept.frames
    assert len(np.unique(first)) == 8
    np.testing.assert_array_equal(second, np.repeat(-first[:, None], 3, axis=2))
    assert [tuple(map(len, batch)) for batch in kept.batches(5)] == [(5, 5), (3, 3)]


def test_the_bytes_of_all_inputs_count(monkeypatch):
    monkeypatch.setattr(spool, "_BYTES", 4096)
    kept = FrameSpool()
    kept.add((np.repeat(numbered(0, 50), 10, axis=1), np.zeros((50, 90), np.float32)))
    assert len(kept.frames[0]) == 4096 // 400
