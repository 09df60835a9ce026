"""What is said of a frame, against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from outrider.monitor.kernels import verdicts

CLASSES = 3
scores = st.integers(1, 4).flatmap(lambda n: arrays(np.float32, (n, CLASSES), elements=st.floats(width=32)))


@given(scores, arrays(np.uint8, CLASSES, elements=st.integers(0, 1)))
@settings(deadline=None)
def test_classes_and_whether_they_are_covered(x, covered):
    n = len(x)
    classes, uncovered, infinite = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.uint8)
    some = verdicts.classify(x, covered, classes, uncovered, infinite)
    expected = x.argmax(axis=1)
    np.testing.assert_array_equal(classes, expected)
    np.testing.assert_array_equal(uncovered, np.where(covered[expected], -1, expected))
    np.testing.assert_array_equal(infinite, ~np.isfinite(x).all(axis=1) | (covered[expected] == 0))
    assert some == infinite.any()


@given(arrays(np.float32, (2, CLASSES, 5, 4), elements=st.floats(width=32)), st.booleans())
@settings(deadline=None)
def test_the_classes_of_places_and_the_worst_of_them(maps, wide):
    maps = maps.astype(np.float64) if wide else maps
    rows, columns = np.array([0, 2, 4]), np.array([1, 3])
    classes = np.empty(12, np.int64)
    verdicts.classes_of_places(maps, rows, columns, classes)
    expected = maps[:, :, rows[:, None], columns].argmax(axis=1).ravel()
    np.testing.assert_array_equal(classes, expected)

    out, uncovered = np.arange(12, dtype=np.float32), np.full(2, -1)
    verdicts.alarm_uncovered_places(classes, np.array([1, 0, 1], np.uint8), out, uncovered)
    strange = (expected == 1).reshape(2, 6)
    np.testing.assert_array_equal(uncovered, np.where(strange.any(axis=1), 1, -1))
    np.testing.assert_array_equal(out, np.where(expected == 1, np.inf, np.arange(12)))

    worst = np.full((2, 3), -5, np.float32)
    verdicts.highest_of_places(out, 1, worst)
    np.testing.assert_array_equal(worst[:, 1], out.reshape(2, 6).max(axis=1))
    assert (worst[:, [0, 2]] == -5).all()


def test_the_class_at_the_last_uncovered_place_is_the_frames():
    classes, out, uncovered = np.array([1, 2, 0, 0, 0, 2]), np.zeros(6, np.float32), np.array([7, 7])
    verdicts.alarm_uncovered_places(classes, np.array([1, 0, 0], np.uint8), out, uncovered)
    assert uncovered.tolist() == [2, 2]
    verdicts.alarm_uncovered_places(np.zeros(6, np.int64), np.array([1, 0, 0], np.uint8), out, uncovered)
    assert uncovered.tolist() == [2, 2]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=6), st.data())
@settings(deadline=None)
def test_the_worst_of_rows_that_vary(rows, data):
    values = data.draw(arrays(np.float32, sum(rows) + 2, elements=st.floats(width=32)))
    out = np.full((len(rows), 2), -5, np.float32)
    verdicts.highest_of_rows(values, np.array(rows), 1, out)
    every = np.split(values[: sum(rows)], np.cumsum(rows)[:-1])
    np.testing.assert_array_equal(out[:, 1], [own.max() if len(own) else np.inf for own in every])
    assert (out[:, 0] == -5).all()


def test_nan_is_the_worst_of_all_places():
    values = np.float32([1, np.nan, np.inf, 3, 2, 1])
    worst = np.zeros((2, 1), np.float32)
    verdicts.highest_of_places(values, 0, worst)
    assert np.isnan(worst[0, 0])
    assert worst[1, 0] == 3


@pytest.mark.parametrize("infinite", [[0, 1, 0], [1, 1, 1], [0, 0, 0]])
def test_rows_that_are_told_are_infinite(infinite):
    out = np.ones((3, 2), np.float32)
    verdicts.alarm_rows(np.array(infinite, np.uint8), out)
    np.testing.assert_array_equal(np.isposinf(out).all(axis=1), np.array(infinite) == 1)
    np.testing.assert_array_equal((out == 1).all(axis=1), np.array(infinite) == 0)


numbers = st.floats(0, 1e300) | st.sampled_from([0.0, np.inf, np.nan])


@given(arrays(np.float64, 5, elements=numbers), arrays(np.float64, 3, elements=numbers))
@settings(deadline=None)
def test_scores_against_their_thresholds(scores, thresholds):
    warnings = np.array([0.5, np.inf, 1e-9])
    c = np.array([0, 1, 2, 0, 1])
    level, threshold, confidence = np.empty(5, np.int64), np.empty(5), np.empty(5)
    verdicts.judge(scores, c, thresholds, warnings, level, threshold, confidence)
    np.testing.assert_array_equal(threshold, thresholds[c])
    inside = scores <= thresholds[c]
    np.testing.assert_array_equal(level, np.where(inside, np.where(scores > warnings[c], 1, 0), 2))
    with np.errstate(all="ignore"):
        quotient = np.where(scores == 0, 0.0, scores / thresholds[c])
    expected = np.where(np.isnan(quotient), 0, np.exp2(-np.where(np.isnan(quotient), 0, quotient)))
    np.testing.assert_allclose(confidence, expected, rtol=1e-12)
    for i in range(5):
        places = np.full(3, -1)
        one = verdicts.judge_frame(
            scores[i : i + 1], c[i : i + 1], thresholds, warnings, np.float32([0, 3, 2]), np.float32([1, 2, 1]), places
        )
        assert places.tolist() == ([2, 1, -1] if level[i] else [-1] * 3)
        np.testing.assert_array_equal(one, (level[i], scores[i], threshold[i], confidence[i], c[i], 2 * (level[i] > 0)))


@given(st.lists(st.tuples(*[st.sampled_from([0, 0.25, 0.5, 1, 3, np.inf, np.nan])] * 2), min_size=1, max_size=9))
@settings(deadline=None)
def test_columns_above_their_limits_are_those_of_a_stable_sort(columns):
    deviation, limits = np.float32(columns).T.copy()
    places = np.full(len(columns), -1)
    found = verdicts.columns_above(deviation, limits, places)
    loud = [j for j in range(len(columns)) if deviation[j] > limits[j] or np.isinf(deviation[j])]

    def excess(j):
        return np.inf if np.isinf(deviation[j]) or limits[j] == 0 else deviation[j] / limits[j]

    expected = sorted(loud, key=lambda j: -np.nan_to_num(excess(j), nan=0, posinf=np.inf))
    assert places[:found].tolist() == expected
    assert (places[found:] == -1).all()


@given(st.lists(st.sampled_from([-1, 0, 0.5, 1, 2, np.inf, np.nan]), min_size=1, max_size=12), st.integers(1, 5))
@settings(deadline=None)
def test_the_highest_are_those_of_a_stable_sort(values, count):
    values, places = np.float32(values), np.full(count, -1)
    found = verdicts.take_highest(values.copy(), places)
    ordered = [j for j in np.argsort(-np.nan_to_num(values, posinf=np.inf), kind="stable") if values[j] > 0]
    assert places[:found].tolist() == ordered[:count]
    assert (places[found:] == -1).all()
