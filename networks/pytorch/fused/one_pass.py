"""The kernel of Triton behind `passes`. A map is (n, channels, places), in any order in memory that strides tell."""

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl


@triton.jit
def one_pass(
    x, y, pooled, low, high, labels, outside,
    channels, places, of_split, splits, step_n, step_c, step_p, scale,
    RELU: tl.constexpr, HIGHEST: tl.constexpr, COMPARE: tl.constexpr, CHANNELS: tl.constexpr, PLACES: tl.constexpr,
):  # fmt: skip
    """Of a block of channels of a frame and a split of its places: activate, write, pool, and compare.

    pooled: (n, splits, channels) float32, the sum times `scale`, or the highest, NaN above all. low, high: (classes,
    channels). labels: (n,) int64. outside: (n, channels) float32, 1 where what was pooled is not in [low, high].
    """
    n, split = tl.program_id(0).to(tl.int64), tl.program_id(2)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    there = channel < channels
    row = x + n * step_n + channel[:, None].to(tl.int64) * step_c
    target = y + n * step_n + channel[:, None].to(tl.int64) * step_c
    if HIGHEST:
        found = tl.full((CHANNELS, PLACES), float("-inf"), tl.float32)
    else:
        found = tl.zeros((CHANNELS, PLACES), tl.float32)
    bad = tl.zeros((CHANNELS, PLACES), tl.int32)
    first = split * of_split
    last = tl.minimum(first + of_split, places)
    for start in range(first, last, PLACES):
        place = start + tl.arange(0, PLACES)
        within = there[:, None] & (place[None, :] < last)
        v = tl.load(row + place[None, :] * step_p, mask=within, other=0.0).to(tl.float32)
        if RELU:
            v = tl.where(v <= 0, 0.0, v)  # NaN stays
            tl.store(target + place[None, :] * step_p, v.to(y.dtype.element_ty), mask=within)
        if HIGHEST:
            bad |= (within & (v != v)).to(tl.int32)  # noqa: PLR0124 (NaN)
            found = tl.where(within & (v > found), v, found)
        else:
            found += v
    if HIGHEST:  # noqa: SIM108 (the other branch is not compiled)
        whole = tl.where(tl.max(bad, 1) > 0, float("nan"), tl.max(found, 1))
    else:
        whole = tl.sum(found, 1) * scale
    tl.store(pooled + (n * splits + split) * channels + channel, whole, mask=there)
    if COMPARE:
        own = tl.load(labels + n) * channels + channel
        lowest = tl.load(low + own, mask=there, other=0.0)
        highest = tl.load(high + own, mask=there, other=0.0)
        inside = (lowest <= whole) & (whole <= highest)
        tl.store(outside + n * channels + channel, tl.where(inside, 0.0, 1.0), mask=there)


KERNEL: Any = one_pass
"""The same, without the types that Triton's own would have."""
