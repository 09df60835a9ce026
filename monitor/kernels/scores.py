"""Detection logics as loops: the deviations of many columns as one score.

`deviations` (n, columns) float64 or float32, `out` (n,) float64, +inf where a deviation or the score is no finite
number. `log` is 1 for log(1 + deviation). A batch and a single frame go through the same loops, so that their scores
are the same to the last bit.
"""

from __future__ import annotations

import math

import numpy as np
from numba import float32, float64, int64, types

from ...coverage.kernels.compiling import VALUES, compiled, read

_DEVIATIONS, _SCALE, _CURVE, _SCORES = read(float64, 2), read(float64, 1), read(float64, 2), float64[::1]


@compiled(float64, int64, returns=float64)
def _scaled(deviation, log):
    return math.log1p(deviation) if log else deviation


@compiled(float64, types.boolean, returns=float64)
def _or_infinite(score, finite):
    return score if finite and abs(score) < np.inf else np.inf


@compiled(_DEVIATIONS, _SCALE, int64, _SCORES, codes=[VALUES], division="numpy")
def scaled_sum(deviations, scale, log, out):
    """Sum the deviations over `scale`, (columns,)."""
    for i in range(deviations.shape[0]):
        total, finite = 0.0, True
        for j in range(deviations.shape[1]):
            deviation = float64(deviations[i, j])
            finite &= abs(deviation) < np.inf
            total += _scaled(deviation, log) / scale[j]
        out[i] = _or_infinite(total, finite)


@compiled(_DEVIATIONS, _SCALE, _SCALE, int64, _SCORES, codes=[VALUES], division="numpy")
def scaled_highest(deviations, scale, shift, log, out):
    """The highest of the deviations over `scale`, each moved by its `shift`, both (columns,)."""
    for i in range(deviations.shape[0]):
        highest, finite = -np.inf, True
        for j in range(deviations.shape[1]):
            deviation = float64(deviations[i, j])
            finite &= abs(deviation) < np.inf
            highest = max(highest, _scaled(deviation, log) / scale[j] + shift[j])
        out[i] = _or_infinite(highest, finite)


@compiled(float64, _CURVE, _CURVE, _SCALE, int64, returns=float64, division="numpy")
def surprise_of(value, knots, surprise, excess, j):
    """Column j of a curve at a value: linear between its knots as numpy.interp, and along `excess` behind the last."""
    low, high = 0, knots.shape[0] - 1
    if not (value < knots[high, j]):
        return surprise[high, j] + max(value - knots[high, j], 0.0) / excess[j]
    if value < knots[0, j]:
        return surprise[0, j]
    while high - low > 1:
        middle = (low + high) // 2
        if value >= knots[middle, j]:
            low = middle
        else:
            high = middle
    slope = (surprise[low + 1, j] - surprise[low, j]) / (knots[low + 1, j] - knots[low, j])
    return slope * (value - knots[low, j]) + surprise[low, j]


@compiled(_DEVIATIONS, _CURVE, _CURVE, _SCALE, _SCORES, _SCORES, codes=[VALUES], division="numpy")
def kth_surprise(deviations, knots, surprise, excess, highest, out):
    """The k-th highest surprise of a column; `highest` is scratch of k entries."""
    k = highest.shape[0]
    for i in range(deviations.shape[0]):
        finite = True
        for place in range(k):
            highest[place] = -np.inf
        for j in range(deviations.shape[1]):
            deviation = float64(deviations[i, j])
            finite &= abs(deviation) < np.inf
            found = surprise_of(deviation, knots, surprise, excess, j)
            finite &= abs(found) < np.inf
            place = k
            while place > 0 and found > highest[place - 1]:
                if place < k:
                    highest[place] = highest[place - 1]
                place -= 1
            if place < k:
                highest[place] = found
        out[i] = _or_infinite(highest[k - 1], finite)


@compiled(_DEVIATIONS, _SCALE, _SCALE, read(int64, 1), int64, float64[:, ::1], codes=[VALUES], division="numpy")
def parts_of_groups(deviations, scale, centre, ends, log, parts):
    """Sums of standard scores, a group of columns each, then the highest score of each group of several columns.

    scale, centre: (columns,), what a deviation is divided by and then made less by. ends: (groups,) where the columns
    of each end.
    """
    groups = ends.shape[0]
    for i in range(deviations.shape[0]):
        start, several = 0, groups
        for group in range(groups):
            total, highest = 0.0, -np.inf
            for j in range(start, ends[group]):
                z = _scaled(float64(deviations[i, j]), log) / scale[j] - centre[j]
                total += z
                highest = max(highest, z)
            parts[i, group] = total
            if ends[group] - start > 1:
                parts[i, several] = highest
                several += 1
            start = ends[group]


@compiled(
    _DEVIATIONS, _SCALE, _SCALE, read(int64, 1), int64, _CURVE, _CURVE, _SCALE, float64[:, ::1], _SCORES,
    codes=[VALUES], division="numpy",
)  # fmt: skip
def highest_surprise(deviations, scale, centre, ends, log, knots, surprise, excess, parts, out):
    """The highest surprise of a part, see `parts_of_groups`; `parts` (n, parts) is scratch."""
    parts_of_groups(deviations, scale, centre, ends, log, parts)
    for i in range(deviations.shape[0]):
        highest, finite = -np.inf, True
        for j in range(deviations.shape[1]):
            finite &= abs(float64(deviations[i, j])) < np.inf
        for j in range(parts.shape[1]):
            found = surprise_of(parts[i, j], knots, surprise, excess, j)
            finite &= abs(found) < np.inf
            highest = max(highest, found)
        out[i] = _or_infinite(highest, finite)


@compiled(
    _DEVIATIONS, read(int64, 1), read(int64, 1), int64, int64, _SCALE, _CURVE, _CURVE, int64, float64[:, ::1],
    codes=[VALUES], division="numpy",
)  # fmt: skip
def parts_given_confidence(deviations, following, ends, confidence, log, at, centre, scale, first, parts):
    """As `parts_of_groups`, of scores that are standard among frames of which the network is as sure.

    following: (any,) the columns, ends: (groups,) where those of each group end among them. confidence: the column that
    tells how sure it is. at: (knots,) rising values of it. centre, scale: (knots, any), linear between the knots and
    level beyond. first: the part from which on they are written.
    """
    for i in range(deviations.shape[0]):
        sure = _scaled(float64(deviations[i, confidence]), log)
        knot = 0
        while knot < at.shape[0] - 2 and sure >= at[knot + 1]:
            knot += 1
        step = at[knot + 1] - at[knot]
        share = min(max((sure - at[knot]) / step, 0.0), 1.0) if step > 0 else 0.0
        start, several = 0, first + ends.shape[0]
        for group in range(ends.shape[0]):
            total, highest = 0.0, -np.inf
            for j in range(start, ends[group]):
                middle = centre[knot, j] + share * (centre[knot + 1, j] - centre[knot, j])
                spread = scale[knot, j] + share * (scale[knot + 1, j] - scale[knot, j])
                z = (_scaled(float64(deviations[i, following[j]]), log) - middle) / spread
                total += z
                highest = max(highest, z)
            parts[i, first + group] = total
            if ends[group] - start > 1:
                parts[i, several] = highest
                several += 1
            start = ends[group]


_PARTS = (
    _DEVIATIONS, _SCALE, _SCALE, read(int64, 1), int64, read(int64, 1), read(int64, 1), int64, _SCALE, _CURVE, _CURVE,
)  # fmt: skip


@compiled(*_PARTS, float64[:, ::1], codes=[VALUES], division="numpy")
def all_parts(
    deviations, scale, centre, ends, log, following, ends_of_following, confidence, at, given_centre, given_scale, parts
):
    """The parts of `parts_of_groups`, and behind them those of `parts_given_confidence` where columns are."""
    parts_of_groups(deviations, scale, centre, ends, log, parts)
    first, start = ends.shape[0], 0
    for end in ends:
        first += 1 if end - start > 1 else 0
        start = end
    if following.shape[0]:
        parts_given_confidence(
            deviations, following, ends_of_following, confidence, log, at, given_centre, given_scale, first, parts
        )


@compiled(_DEVIATIONS, _SCALE, _CURVE, _CURVE, _SCALE, float64[:, ::1], _SCORES, codes=[VALUES], division="numpy")
def harmonic_surprise(deviations, votes, knots, surprise, excess, parts, out):
    """-log of the mean of the p-values of parts (n, parts), harmonic and weighted by `votes` (parts,), that sum to 1.

    The parts are overwritten. The exponentials are of what each surprise lies below the highest, so that none is too
    large.
    """
    several = parts.shape[1]
    for i in range(deviations.shape[0]):
        highest, total, finite = 0.0, 0.0, True
        for j in range(deviations.shape[1]):
            finite &= abs(float64(deviations[i, j])) < np.inf
        for j in range(several):
            found = surprise_of(parts[i, j], knots, surprise, excess, j)
            finite &= abs(found) < np.inf
            parts[i, j] = found
            highest = max(highest, found)
        for j in range(several):
            total += votes[j] * math.exp(parts[i, j] - highest)
        out[i] = _or_infinite(max(highest + math.log(total), 0.0), finite)


@compiled(read(float32, 1), _CURVE, _CURVE, _SCALE, float64, _SCORES, division="numpy")
def surprises(deviation, knots, surprise, excess, most, out):
    """The surprise of each column of one frame, (columns,), at most `most`, which NaN is too."""
    for j in range(deviation.shape[0]):
        found = surprise_of(float64(deviation[j]), knots, surprise, excess, j)
        out[j] = found if abs(found) <= most else most  # not min(): a NaN would come through
