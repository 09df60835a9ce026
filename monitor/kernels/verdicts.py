"""What is said of a frame: its class, the classes of its places, its level, and what speaks."""

from __future__ import annotations

import math

import numpy as np
from numba import float32, float64, int32, int64, types, uint8

from ...coverage.kernels.compiling import LABELS, OUT, ROW, VALUES, compiled, read

_SCALE, _SCORES = read(float64, 1), float64[::1]


_FLAGS, _CLASSES = uint8[::1], int64[::1]


@compiled(VALUES, read(uint8, 1), _CLASSES, _CLASSES, _FLAGS, returns=types.boolean)
def classify(scores, covered, classes, uncovered, infinite):
    """Write the class of the highest score of each row, NaN above all, the first of equals.

    covered: (classes,). uncovered: the class where it is not covered, else -1. infinite: whether that is so, or a score
    is not finite. Returns whether any row is.
    """
    some = False
    for i in range(scores.shape[0]):
        bad, best = int32(0), 0
        for j in range(scores.shape[1]):
            v = scores[i, j]
            bad += int32(not (abs(v) <= np.float32(3.4028235e38)))
            if not (scores[i, best] >= v) and scores[i, best] == scores[i, best]:
                best = j
        classes[i] = best
        uncovered[i] = -1 if covered[best] else best
        infinite[i] = bad != 0 or not covered[best]
        some |= infinite[i] != 0
    return some


@compiled(read(float32, 4), read(int64, 1), read(int64, 1), _CLASSES, codes=[read(float64, 4)])
def classes_of_places(scores, rows, columns, classes):
    """The class at each place of maps of scores (n, classes, height, width), as of `classify`.

    rows, columns: of the map, at the middles of the places. classes: (n * places,).
    """
    place = 0
    for i in range(scores.shape[0]):
        for y in rows:
            for x in columns:
                best = 0
                for k in range(scores.shape[1]):
                    v, highest = scores[i, k, y, x], scores[i, best, y, x]
                    if not (highest >= v) and highest == highest:  # noqa: PLR0124 (NaN)
                        best = k
                classes[place] = best
                place += 1


@compiled(LABELS, read(uint8, 1), OUT, _CLASSES)
def alarm_uncovered_places(classes, covered, out, uncovered):
    """Set `out` to +inf at the places of classes that are not covered; the class at the last of them is the frame's.

    classes, out: (n * places,), frame by frame. uncovered: (n,), left alone where a frame has no such place.
    """
    places = classes.shape[0] // uncovered.shape[0]
    for i in range(classes.shape[0]):
        if not covered[classes[i]]:
            out[i] = np.inf
            uncovered[i // places] = classes[i]


@compiled(read(float32, 1), int64, float32[:, ::1])
def highest_of_places(values, column, out):
    """Write the highest of each frame's values (n * places,), NaN above all, to a column of `out`."""
    places = values.shape[0] // out.shape[0]
    for i in range(out.shape[0]):
        best = values[i * places]
        for v in values[i * places : (i + 1) * places]:
            if not (best >= v) and best == best:  # noqa: PLR0124 (NaN)
                best = v
        out[i, column] = best


@compiled(read(float32, 1), LABELS, int64, float32[:, ::1])
def highest_of_rows(values, rows, column, out):
    """Write the highest of each frame's values, NaN above all, to a column of `out`; +inf for a frame without any.

    values: (any,), those of one frame behind those of the other. rows: (n,), how many each frame has.
    """
    start = 0
    for i in range(rows.shape[0]):
        best = np.float32(np.inf) if rows[i] == 0 else values[start]
        for v in values[start : start + rows[i]]:
            if not (best >= v) and best == best:  # noqa: PLR0124 (NaN)
                best = v
        out[i, column] = best
        start += rows[i]


@compiled(read(uint8, 1), float32[:, ::1])
def alarm_rows(infinite, out):
    """Set the rows of `out` to +inf where told."""
    for i in range(out.shape[0]):
        if infinite[i]:
            out[i, :] = np.inf


@compiled(float64, float64, float64, returns=types.Tuple((int64, float64)), division="numpy")
def _held(score, threshold, warning):
    level = 2 if not (score <= threshold) else 1 if score > warning else 0
    quotient = 0.0 if score == 0 else score / threshold
    return level, np.exp2(-quotient) if quotient == quotient else 0.0  # noqa: PLR0124 (NaN)


@compiled(_SCALE, LABELS, _SCALE, _SCALE, int64[::1], _SCORES, _SCORES)
def judge(scores, classes, thresholds, warnings, level, threshold, confidence):
    """Hold scores (n,) against the thresholds of their class, both (classes,).

    level: 2 above the threshold and for NaN, 1 above the warning threshold, else 0. threshold: that of the class.
    confidence: 2 ** -(score / threshold), 1 for a score of 0, 0 where the quotient is no number.
    """
    for i in range(scores.shape[0]):
        threshold[i] = thresholds[classes[i]]
        level[i], confidence[i] = _held(scores[i], threshold[i], warnings[classes[i]])


@compiled(float32, float32, returns=float64, division="numpy")
def _excess(value, limit):
    return np.inf if math.isinf(value) or limit == 0 else float64(value) / float64(limit)


@compiled(ROW, ROW, int64[::1], returns=int64)
def columns_above(deviation, limits, places):
    """Write which values are infinite or above their limits, the furthest in proportion first, of equals the first.

    All (columns,). Returns how many they are; without limit, of 0, is as far as it goes.
    """
    found = 0
    for j in range(deviation.shape[0]):
        if deviation[j] > limits[j] or math.isinf(deviation[j]):
            excess, k = _excess(deviation[j], limits[j]), found
            while k > 0 and excess > _excess(deviation[places[k - 1]], limits[places[k - 1]]):
                places[k] = places[k - 1]
                k -= 1
            places[k] = j
            found += 1
    return found


@compiled(
    _SCALE, LABELS, _SCALE, _SCALE, ROW, ROW, int64[::1],
    returns=types.Tuple((int64, float64, float64, float64, int64, int64)),
)  # fmt: skip
def judge_frame(score, label, thresholds, warnings, deviation, limits, places):
    """(level, score, threshold, confidence, class, found) of one frame; see `judge`.

    Where the level is not 0, found and `places` are those of `columns_above`.
    """
    threshold = thresholds[label[0]]
    level, confidence = _held(score[0], threshold, warnings[label[0]])
    found = columns_above(deviation, limits, places) if level else 0
    return level, score[0], threshold, confidence, label[0], found


@compiled(OUT, int64[::1], returns=int64)
def take_highest(values, places):
    """Write where the highest values above 0 are, highest first, of equals the first: how many; they are set to 0."""
    for found in range(places.shape[0]):
        best, highest = -1, np.float32(0)
        for j in range(values.shape[0]):
            if values[j] > highest:
                best, highest = j, values[j]
        if best < 0:
            return found
        places[found] = best
        values[best] = 0
    return places.shape[0]
