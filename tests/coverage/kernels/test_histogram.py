"""Counts per section against numpy."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.coverage.kernels import histogram as kernels

from .made_up import CLASSES, NEURONS, labels, values


def empty_histogram(sections):
    shape = (CLASSES, NEURONS)
    low, high = np.full(shape, np.inf, np.float32), np.full(shape, -np.inf, np.float32)
    return low, high, np.zeros(shape, np.float32), np.zeros(shape, np.float32), np.zeros((*shape, sections), np.uint32)


@given(values(), st.integers(2, 20))
@settings(deadline=None)
def test_histogram_counts_every_value_in_its_section(x, sections):
    histogram = low, high, scale, base, counts = empty_histogram(sections)
    c = labels(len(x))
    for i in range(len(x)):
        kernels.histogram_observe(x[i : i + 1], c[i : i + 1], *histogram)
    for k in range(CLASSES):
        for j in range(NEURONS):
            own = x[c == k, j].astype(np.float64)
            if not len(own):
                assert counts[k, j].sum() == 0
                continue
            assert (low[k, j], high[k, j]) == (own.min(), own.max())
            section = np.floor(own * float(scale[k, j])) - float(base[k, j])
            np.testing.assert_array_equal(counts[k, j], np.bincount(section.astype(int), minlength=sections))


@given(values(), st.integers(0, 12))
@settings(deadline=None)
def test_histograms_of_two_lots_add_up(x, cut):
    whole, a, b = empty_histogram(6), empty_histogram(6), empty_histogram(6)
    c = labels(len(x))
    kernels.histogram_observe(x, c, *whole)
    kernels.histogram_observe(x[:cut], c[:cut], *a)
    kernels.histogram_observe(x[cut:], c[cut:], *b)
    kernels.histogram_merge(*b, *a)
    for got, expected in zip(b, whole, strict=True):
        np.testing.assert_array_equal(got, expected)
