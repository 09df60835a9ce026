"""Rows in blocks: the same bits alone and among others, and what loops say."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.coverage import ClassMahalanobis, Mahalanobis, Neighbours, RelativeMahalanobis
from outrider.coverage.blocks import FEWEST, in_blocks, scratch, times_triangular, triangular

from .samples import learn

MANY = [
    Mahalanobis(), RelativeMahalanobis(), ClassMahalanobis(), Neighbours(k=3, centres=8),
    Neighbours(normalise=False),
]  # fmt: skip
CLASSES = 3


def learned(criterion, neurons, rng):
    values = rng.normal(size=(60, neurons)).astype(np.float32)
    return learn(criterion, values, np.arange(60) % (CLASSES - 1), CLASSES)  # the last class is never seen


def compared(criterion, signature, values, labels, rows):
    out = np.full(len(values), np.nan, np.float32)
    criterion.comparer(signature, len(values), rows_a_frame=rows)(values, labels, out)
    return out


@pytest.mark.parametrize("criterion", MANY, ids=repr)
@given(st.integers(1, 130), st.integers(FEWEST, 90), st.integers(1, 4), st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_a_frame_has_the_same_bits_alone_and_among_others(criterion, neurons, rows, frames, seed):
    rng = np.random.default_rng(seed)
    signature = learned(criterion, neurons, rng)
    values = (rng.normal(size=(frames * rows, neurons)) * 10 ** rng.uniform(-3, 6)).astype(np.float32)
    labels = rng.integers(0, CLASSES, len(values))
    together = compared(criterion, signature, values, labels, rows)
    for lot in np.split(np.arange(len(values)), frames):
        alone = compared(criterion, signature, values[lot].copy(), labels[lot], rows)
        np.testing.assert_array_equal(alone, together[lot])
    np.testing.assert_allclose(together, criterion.deviation(signature, values, labels), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("criterion", MANY, ids=repr)
def test_frames_larger_than_a_block_and_rows_that_are_broken(criterion):
    """A frame of 257 neurons has blocks of 255 rows; one of 70 rows and 1,100 neurons has 59 and 11."""
    rng = np.random.default_rng(0)
    for neurons, rows in ((257, 600), (1100, 70)):
        signature = learned(criterion, neurons, rng)
        values, labels = rng.normal(size=(2 * rows, neurons)).astype(np.float32), np.arange(2 * rows) % 2
        expected = compared(criterion, signature, values, labels, rows)
        np.testing.assert_allclose(expected, criterion.deviation(signature, values, labels), rtol=1e-4)
        broken = rng.choice(2 * rows, 30, replace=False)
        values[broken, rng.integers(neurons, size=30)] = np.tile(np.float32([np.nan, np.inf, -np.inf]), 10)
        labels[3] = 2
        found = compared(criterion, signature, values, labels, rows)
        assert np.isposinf(found[[*broken, 3]]).all()
        whole = np.setdiff1d(np.arange(2 * rows), [*broken, 3])
        np.testing.assert_array_equal(found[whole], expected[whole])


@pytest.mark.parametrize("criterion", MANY[:3], ids=repr)
def test_numbers_too_large_are_infinite_by_blocks_and_by_loops(criterion):
    signature = learned(criterion, 40, np.random.default_rng(1))
    signs, labels = np.random.default_rng(2).choice([-1, 1], (FEWEST, 40)), np.zeros(FEWEST, int)
    for rows in (1, FEWEST):
        large = compared(criterion, signature, (signs * 1e20).astype(np.float32), labels, rows)
        assert (large > 1e17).all()  # and so no NaN
        assert np.isposinf(compared(criterion, signature, (signs * 3.4e38).astype(np.float32), labels, rows)).all()


@pytest.mark.parametrize("criterion", MANY, ids=repr)
def test_comparing_allocates_next_to_nothing(criterion):
    rng = np.random.default_rng(0)
    signature = learned(criterion, 64, rng)
    values, labels, out = (
        rng.normal(size=(2000, 64)).astype(np.float32),
        np.zeros(2000, int),
        np.empty(2000, np.float32),
    )
    compare = criterion.comparer(signature, 2000, rows_a_frame=2000)
    compare(values, labels, out)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    compare(values, labels, out)
    assert tracemalloc.get_traced_memory()[1] - before < 8000  # a row of 64 numbers takes 256, all of them 512,000
    tracemalloc.stop()


def test_every_frame_is_cut_alike():
    asked, done = [], []

    def bound(rows):
        asked.append(rows)
        return lambda values, labels, first, out: done.append((first, rows))

    in_blocks(210, 70, 2048, bound)(None, None, None)  # 32 rows of 2,048 numbers fill a block
    assert sorted(set(asked)) == [6, 32]
    cut = [(0, 32), (32, 32), (64, 6)]
    assert done == [(70 * frame + first, rows) for frame in range(3) for first, rows in cut]
    in_blocks(0, 70, 2048, bound)(None, None, None)
    assert len(done) == 9


@pytest.mark.parametrize("size", [1, 63, 64, 65, 200])
def test_a_product_in_strips_is_the_whole_product(size):
    rng = np.random.default_rng(size)
    rows, out = scratch(5, size), scratch(5, size)
    assert rows.ctypes.data % 64 == out.ctypes.data % 64 == 0
    matrix = np.triu(rng.normal(size=(size, size))).astype(np.float32)
    rows[:] = rng.normal(size=(5, size))
    times_triangular(rows, triangular(matrix), out)
    np.testing.assert_allclose(out, rows.astype(np.float64) @ matrix, rtol=1e-4, atol=1e-4)
