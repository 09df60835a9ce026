"""Which rows are fit to be compared."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from outrider.coverage.kernels import rows

from .made_up import CLASSES, anything, labels, values


@given(values(anything))
@settings(deadline=None)
def test_rows_with_nan_or_inf(x):
    bad = ~np.isfinite(x).all(axis=1)
    assert rows.first_non_finite_row(x) == (np.flatnonzero(bad)[0] if bad.any() else -1)
    out, counts = np.zeros(len(x), np.float32), np.array([1, 0, 5])
    rows.alarm_uncovered_rows(x, labels(len(x)), counts, out)
    np.testing.assert_array_equal(np.isposinf(out), bad | (labels(len(x)) == 1))


@pytest.mark.parametrize(("given", "within"), [([0, 2], True), ([], True), ([3], False), ([0, -1], False)])
def test_labels_within(given, within):
    assert rows.labels_within(np.array(given, np.int64), CLASSES) == within


def test_rows_of_classes_never_observed():
    out = np.zeros(3, np.float32)
    rows.alarm_unseen_classes(np.array([0, 1, 2]), np.array([4, 0, 1]), out)
    assert out.tolist() == [0, np.inf, 0]
