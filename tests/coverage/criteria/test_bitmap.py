"""Sections visited against plain numpy."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.coverage import CoverageBitmap

from ..samples import NEURONS, learn, samples


@given(trusted=samples, new=samples, sections=st.integers(2, 8))
@settings(deadline=None)
def test_bitmap_counts_neurons_in_sections_new_to_the_class(trusted, new, sections):
    criterion = CoverageBitmap(sections)
    signature = learn(criterion, trusted, np.zeros(len(trusted), int), 1)
    deviation = criterion.deviation(signature, new, np.zeros(len(new), int))
    scale, base = signature.arrays["scale"].astype(np.float64), signature.arrays["base"].astype(np.float64)
    assert (np.frexp(scale)[0] == 0.5).all(), "a section's width is a power of two"
    seen = np.floor(trusted * scale) - base
    assert seen.min() >= 0
    assert seen.max() < sections
    section = np.floor(new * scale) - base
    expected = [sum(row[j] not in seen[:, j] for j in range(NEURONS)) for row in section]
    np.testing.assert_array_equal(deviation, expected)


@given(trusted=samples, sections=st.integers(2, 8))
@settings(deadline=None)
def test_bitmap_grid_is_the_finest_that_spans_the_data(trusted, sections):
    signature = learn(CoverageBitmap(sections), trusted, np.zeros(len(trusted), int), 1)
    for j, scale in enumerate(signature.arrays["scale"].astype(np.float64)):
        low, high = float(trusted[:, j].min()), float(trusted[:, j].max())
        finer = np.floor(high * scale * 2) - np.floor(low * scale * 2)
        exact_in_float32 = max(abs(low), abs(high)) * scale * 2 < 2**23
        assert finer >= sections or not exact_in_float32 or scale >= 2.0**125
