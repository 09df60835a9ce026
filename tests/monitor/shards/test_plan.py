"""How frames are cut: the same for any number of workers."""

from __future__ import annotations

import pytest

from outrider.monitor.shards import Shard, Sharding
from outrider.monitor.shards.plan import LEAST_FRAMES, MOST


@pytest.mark.parametrize(
    ("frames", "batch", "size", "leaves"),
    [
        (1, 64, 64, 1), (64, 64, 64, 1), (65, 64, 64, 2), (1000, 64, 64, 16), (1000, 100, 100, 10), (1000, 24, 72, 14),
        (1000, 1, 64, 16), (64 * 4096, 64, 64, 4096), (64 * 4096 + 1, 64, 128, 2049), (10**9, 64, 244_160, 4096),
    ],
)  # fmt: skip
def test_logical_shards_follow_from_the_number_of_frames_and_the_batch(frames, batch, size, leaves):
    plan = Sharding(frames, batch)
    assert (plan.size, plan.leaves) == (size, leaves)
    assert size >= LEAST_FRAMES
    assert size % batch == 0
    assert leaves <= MOST
    assert 1 << plan.height >= leaves > (1 << plan.height) // 2


@pytest.mark.parametrize("frames", [1, 100, 129, 1000, 4097, 70_001])
def test_each_row_is_in_one_logical_shard(frames):
    plan = Sharding(frames, 64)
    found = [leaf for leaf in range(plan.leaves) for _ in plan.rows(leaf)]
    assert found == [row // plan.size for row in range(frames)]
    assert all(plan.rows(leaf).stop == plan.rows(leaf + 1).start for leaf in range(plan.leaves))


@pytest.mark.parametrize("workers", [1, 2, 3, 7, 64, 1000])
def test_workers_share_the_logical_shards_evenly(workers):
    plan = Sharding(10_000, 64)
    shares = [plan.leaves_of(Shard(k, workers)) for k in range(workers)]
    assert [leaf for share in shares for leaf in share] == list(range(plan.leaves))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_shard_is_read_and_written():
    assert Shard.parse("3/64") == Shard(3, 64)
    assert str(Shard.parse("0/1")) == "0/1"


@pytest.mark.parametrize("text", ["64/64", "1/0", "3", "3/", "/3", "-1/4", "1.0/2", "a/b"])
def test_a_shard_out_of_range_is_refused(text):
    with pytest.raises(ValueError, match="expected a shard"):
        Shard.parse(text)


def test_the_range_is_named():
    with pytest.raises(ValueError, match="expected a shard from 0/64 to 63/64, as they are counted from 0, got 64/64"):
        Shard(64, 64).checked()


@pytest.mark.parametrize("plan", [Sharding(0, 64), Sharding(100, 0)])
def test_nothing_cannot_be_cut(plan):
    with pytest.raises(ValueError, match="expected frames and batches of at least 1"):
        plan.checked()
