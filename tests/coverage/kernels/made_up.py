"""Arrays that hypothesis makes up, with values that lie exactly on a bound."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

CLASSES, NEURONS = 3, 7
LARGEST = float(np.finfo(np.float32).max)
finite = st.floats(-1e6, 1e6, width=32, allow_subnormal=False)
quarters = st.integers(-12, 12).map(lambda k: k / 4)
"""Bounds and values of these meet often."""
not_finite = st.sampled_from([np.nan, np.inf, -np.inf])
anything = quarters | st.floats(width=32) | not_finite | st.sampled_from([LARGEST, -LARGEST, -0.0])


def values(elements=finite, neurons=NEURONS):
    return st.integers(1, 12).flatmap(lambda n: arrays(np.float32, (n, neurons), elements=elements))


def tables(elements=quarters, shape=(CLASSES, NEURONS)):
    return arrays(np.float32, shape, elements=elements)


def labels(n):
    return (np.arange(n) * 7 % CLASSES).astype(np.int64)


def table(seed, shape, low=0.0, high=1.0):
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)


def columns(*sizes, positions=None, starts=None):
    """The table of columns that a kernel of many takes, with one column for each size."""
    ends = np.cumsum(sizes)
    starts = ends - sizes if starts is None else starts
    positions = range(len(sizes)) if positions is None else positions
    return np.stack([ends, starts, positions], axis=1)


def or_infinite(deviation, bad):
    return np.where(bad, np.inf, deviation).astype(np.float32)
