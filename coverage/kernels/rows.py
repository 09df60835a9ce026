"""Whether rows of values and labels are fit to be compared."""

from __future__ import annotations

import numpy as np
from numba import int32, int64, types

from .compiling import LABELS, OUT, VALUES, compiled, inlined, read


@inlined
def is_finite(value):
    """Whether a float32 is neither NaN nor Inf."""
    return abs(value) <= np.float32(3.4028235e38)


@inlined
def holds_bad(row):
    """Whether a row holds NaN or Inf."""
    bad = int32(0)
    for j in range(row.shape[0]):
        bad += int32(not is_finite(row[j]))
    return bad != 0


@compiled(LABELS, int64, returns=types.boolean)
def labels_within(labels, classes):
    """Whether every label lies in [0, classes)."""
    for i in range(labels.shape[0]):
        if labels[i] < 0 or labels[i] >= classes:
            return False
    return True


@compiled(VALUES, returns=int64)
def first_non_finite_row(values):
    """The index of the first row that holds NaN or Inf, or -1."""
    for i in range(values.shape[0]):
        if holds_bad(values[i]):
            return i
    return -1


@compiled(VALUES, LABELS, read(int64, 1), OUT)
def alarm_uncovered_rows(values, labels, counts, out):
    """Set `out` to +inf where the row holds NaN or Inf or where its class was never observed."""
    for i in range(values.shape[0]):
        if holds_bad(values[i]) or counts[labels[i]] == 0:
            out[i] = np.inf


@compiled(LABELS, read(int64, 1), OUT)
def alarm_unseen_classes(labels, counts, out):
    """Set `out` to +inf where the row's class was never observed: `alarm_uncovered_rows` for codes."""
    for i in range(labels.shape[0]):
        if counts[labels[i]] == 0:
            out[i] = np.inf
