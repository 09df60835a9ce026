"""The compiled loops against plain numpy, on arrays that hypothesis makes up."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from outrider.coverage import kernels
from outrider.monitor.kernels import scores, verdicts

CLASSES, NEURONS = 3, 7
finite = st.floats(-1e6, 1e6, width=32, allow_subnormal=False)
rows = st.integers(1, 12)


def values(elements=finite):
    return rows.flatmap(lambda n: arrays(np.float32, (n, NEURONS), elements=elements))


def labels(n):
    return (np.arange(n) * 7 % CLASSES).astype(np.int64)


def table(seed, shape, low=0.0, high=1.0):
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)


@given(values(st.floats(width=32)))
@settings(deadline=None)
def test_rows_with_nan_or_inf(x):
    bad = ~np.isfinite(x).all(axis=1)
    assert kernels.first_non_finite_row(x) == (np.flatnonzero(bad)[0] if bad.any() else -1)
    out, counts = np.zeros(len(x), np.float32), np.array([1, 0, 5])
    kernels.alarm_uncovered_rows(x, labels(len(x)), counts, out)
    np.testing.assert_array_equal(np.isposinf(out), bad | (labels(len(x)) == 1))


@pytest.mark.parametrize(("given", "within"), [([0, 2], True), ([], True), ([3], False), ([0, -1], False)])
def test_labels_within(given, within):
    assert kernels.labels_within(np.array(given, np.int64), CLASSES) == within


@given(values(st.floats(width=32)))
@settings(deadline=None)
def test_range_outside_and_magnitude(x):
    low, high, inverse = (
        table(0, (CLASSES, NEURONS), -5, 0),
        table(1, (CLASSES, NEURONS), 0, 5),
        table(2, (CLASSES, NEURONS)),
    )
    c, out = labels(len(x)), np.empty(len(x), np.float32)
    kernels.range_outside(x, c, low, high, out)
    np.testing.assert_array_equal(out, (~((low[c] <= x) & (x <= high[c]))).sum(axis=1))
    finite_rows = np.isfinite(x).all(axis=1)
    kernels.range_magnitude(x, c, low, high, inverse, out)
    with np.errstate(all="ignore"):
        beyond = np.maximum(np.maximum(low[c] - x, x - high[c]), 0).astype(np.float64) * inverse[c]
        expected = beyond.sum(axis=1).astype(np.float32)
    np.testing.assert_allclose(out[finite_rows], expected[finite_rows], rtol=1e-4)


codes = st.integers(1, 4).flatmap(lambda n: arrays(np.uint8, (n, 2 * 128 + NEURONS), fill=st.integers(0, 255)))


def code_table(seed, shape, highest=255):
    return np.random.default_rng(seed).integers(0, highest, shape, np.uint8, endpoint=True)


@given(codes)
@settings(deadline=None, max_examples=30)
def test_codes_outside_their_bounds(x):
    low, high = (code_table(seed, (CLASSES, x.shape[1])) for seed in (0, 1))
    c, out = labels(len(x)), np.empty(len(x), np.float32)
    kernels.range_outside_codes(x, c, low, high, out)
    np.testing.assert_array_equal(out, (~((low[c] <= x) & (x <= high[c]))).sum(axis=1))


@given(codes)
@settings(deadline=None, max_examples=30)
def test_codes_in_sections_never_seen(x):
    neurons = x.shape[1]
    shift, base, bits = code_table(2, neurons, 7), code_table(3, neurons, 248), code_table(4, (CLASSES, neurons))
    c, out = labels(len(x)), np.empty(len(x), np.float32)
    kernels.bitmap_outside_codes(x, c, shift, base, bits, out)
    section = (x >> shift).astype(int) - base
    seen = (section >= 0) & (section < 8) & ((bits[c].astype(int) >> section.clip(0, 7)) & 1 == 1)
    np.testing.assert_array_equal(out, (~seen).sum(axis=1))


def test_all_neurons_outside_are_counted_past_one_byte():
    x, out = np.zeros((1, 1000), np.uint8), np.empty(1, np.float32)
    c, ones = np.zeros(1, np.int64), np.ones((1, 1000), np.uint8)
    kernels.range_outside_codes(x, c, ones, ones, out)
    assert out == 1000
    kernels.bitmap_outside_codes(x, c, x[0], x[0], x, out)
    assert out == 1000


def test_rows_of_classes_never_observed():
    out = np.zeros(3, np.float32)
    kernels.alarm_unseen_classes(np.array([0, 1, 2]), np.array([4, 0, 1]), out)
    assert out.tolist() == [0, np.inf, 0]


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6), st.integers(2, 300))
def test_dyadic_grid_spans_the_range_and_no_finer_one_does(low, width, sections):
    low, high = float(np.float32(low)), float(np.float32(low + width))
    scale, base = kernels.dyadic_grid(low, high, sections)
    assert math.frexp(scale)[0] == 0.5
    assert base == math.floor(low * scale)
    assert math.floor(high * scale) - base < sections
    finest = max(-125, math.frexp(max(abs(low), abs(high)))[1] - 23 if low or high else -125)
    if -math.log2(scale) > finest:
        assert math.floor(high * scale * 2) - math.floor(low * scale * 2) >= sections


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


@given(values(), st.integers(1, NEURONS))
@settings(deadline=None)
def test_ranks_are_those_of_a_stable_sort(x, top):
    counts, c = np.zeros((CLASSES, NEURONS), np.uint32), labels(len(x))
    kernels.rank_observe(x, c, counts, top)
    order = np.argsort(-x, axis=1, kind="stable")[:, :top]
    expected = np.zeros_like(counts)
    for k, row in zip(c, order, strict=True):
        expected[k, row] += 1
    np.testing.assert_array_equal(counts, expected)
    cost, weights, out = table(3, (CLASSES, NEURONS)), table(4, (top,)), np.empty(len(x), np.float32)
    kernels.rank_cost(x, c, cost, weights, np.zeros(top, np.int64), out)
    expected = [(weights * cost[k, row]).sum() for k, row in zip(c, order, strict=True)]
    np.testing.assert_allclose(out, expected, rtol=1e-5)


@pytest.mark.parametrize("neurons", [1, 63, 64, 65, 200])
def test_bits_are_packed_lowest_first(neurons):
    rng = np.random.default_rng(neurons)
    x, reference = rng.random((4, neurons), np.float32), rng.random(neurons, np.float32)
    patterns = np.zeros((4, -(-neurons // 64)), np.uint64)
    kernels.pack_above(x, reference, patterns)
    unpacked = np.unpackbits(patterns.view(np.uint8), axis=1, bitorder="little")[:, :neurons]
    np.testing.assert_array_equal(unpacked, x > reference)


def test_distance_to_the_farthest_held_pattern_when_fewer_than_k_are_held():
    stored = np.array([[[0b1], [0b111], [2**63]], [[0], [0], [0]]], np.uint64)
    out, held = np.empty(2, np.float32), np.array([2, 0])
    kernels.nearest_distance(np.zeros((2, 1), np.uint64), np.array([0, 1]), stored, held, np.zeros(5, np.int64), out)
    assert out.tolist() == [3, 64]


@pytest.mark.parametrize("neurons", [1, 3, 4, 5, 17])
def test_whitened_distance(neurons):
    x, mean = table(0, (5, neurons), -3, 3), table(1, (CLASSES, neurons))
    whitening, out = np.tril(table(2, (neurons, neurons), -1, 1)), np.empty(5, np.float32)
    kernels.whitened_distance(x, labels(5), mean, whitening, out)
    expected = np.linalg.norm((x - mean[labels(5)]).astype(np.float64) @ whitening.T.astype(np.float64), axis=1)
    np.testing.assert_allclose(out, expected, rtol=1e-5)


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((2, NEURONS)), np.zeros((NEURONS, 2), np.float32).T, np.zeros(NEURONS, np.float32)],
    ids=["float64", "strided", "one axis"],
)
def test_wrong_dtypes_and_strides_raise_at_once_and_compile_nothing(wrong):
    before = len(kernels.range_outside.signatures)
    bounds = np.zeros((CLASSES, NEURONS), np.float32)
    with pytest.raises(TypeError, match="No matching definition"):
        kernels.range_outside(wrong, np.zeros(2, np.int64), bounds, bounds, np.zeros(2, np.float32))
    assert len(kernels.range_outside.signatures) == before


@pytest.mark.parametrize("sizes", [(1,), (5, 4), (3, 17, 8)])
def test_whitened_distances_of_many_columns(sizes):
    x, mean = table(0, (5, sum(sizes)), -3, 3), table(1, (CLASSES, sum(sizes)))
    matrices = [np.tril(table(2 + n, (n, n), -1, 1)) for n in sizes]
    ends, seen = np.cumsum(sizes), np.ones((CLASSES, len(sizes)), np.uint8)
    seen[1, 0] = 0
    x[2, 0] = np.nan
    out, c = np.empty((5, len(sizes)), np.float32), labels(5)
    columns = np.stack([ends, ends - sizes, np.arange(len(sizes))], axis=1)
    rows = np.concatenate([m.ravel() for m in matrices])
    kernels.whitened_distance_of_columns(x, c, mean, rows, columns, seen, out)
    for column, (matrix, part) in enumerate(zip(matrices, np.split(x - mean[c], ends[:-1], axis=1), strict=True)):
        expected = np.linalg.norm(part.astype(np.float64) @ matrix.T.astype(np.float64), axis=1)
        expected[np.isnan(expected) | (seen[c, column] == 0)] = np.inf
        np.testing.assert_allclose(out[:, column], expected, rtol=1e-5)


@given(values(st.floats(width=32)))
@settings(deadline=None)
def test_predictions_are_those_of_argmax(x):
    found = np.empty(len(x), np.int64)
    assert verdicts.predict(x, found) == np.isfinite(x).all()
    np.testing.assert_array_equal(found, x.argmax(axis=1))


@given(arrays(np.float32, (3, 5, 4), elements=st.floats(width=32)), st.booleans())
@settings(deadline=None)
def test_classes_and_the_worst_of_places(scores, wide):
    scores = scores.astype(np.float64) if wide else scores
    rows, columns = np.array([0, 2, 4]), np.array([1, 3])
    found = np.empty(6, np.int64)
    verdicts.classes_of_places(scores, rows, columns, found)
    expected = scores[:, rows[:, None], columns].argmax(axis=0).ravel()
    np.testing.assert_array_equal(found, expected)
    out, covered = np.arange(6, dtype=np.float32), np.array([1, 0, 1], np.uint8)
    last = verdicts.alarm_uncovered_places(found, covered, out)
    strange = np.flatnonzero(expected == 1)
    assert last == (1 if len(strange) else -1)
    np.testing.assert_array_equal(out, np.where(expected == 1, np.inf, np.arange(6)))
    worst = np.empty(1, np.float32)
    verdicts.highest_value(out, worst)
    assert worst == out.max()
    row = scores.astype(np.float32).ravel()
    verdicts.highest_value(row, worst)
    np.testing.assert_array_equal(worst[0], row.max())


deviations = rows.flatmap(
    lambda n: arrays(np.float64, (n, 4), elements=st.floats(0, 1e6) | st.sampled_from([np.inf, np.nan]))
)
ENDS = np.array([2, 3, 4])


def curve():
    knots = np.sort(np.random.default_rng(5).gamma(2, 100, (30, 4)).round(-1), axis=0)  # with equal ones
    surprise = np.sort(np.random.default_rng(6).random((30, 4)), axis=0)
    return knots, surprise, np.array([1.0, 5.0, 0.5, 20.0])


def plain_surprise(values, knots, surprise, excess):
    body = [np.interp(values[:, j], knots[:, j], surprise[:, j]) for j in range(values.shape[1])]
    return np.stack(body, axis=1) + np.maximum(values - knots[-1], 0) / excess


def or_infinite(score, *inputs):
    finite = np.isfinite(score) & np.all([np.isfinite(values).all(axis=1) for values in inputs], axis=0)
    return np.where(finite, score, np.inf)


@given(deviations, st.booleans(), st.booleans())
@settings(deadline=None)
def test_scores_of_logics(x, log, narrow):
    x = x.astype(np.float32) if narrow else x
    wide, out = x.astype(np.float64), np.empty(len(x))
    scale, shift = np.array([1.0, 0.5, 30.0, 2.0]), np.array([0.0, 1.0, 0.25, 3.0])
    with np.errstate(all="ignore"):
        scaled = (np.log1p(wide) if log else wide) / scale
        scores.scaled_sum(x, scale, log, out)
        np.testing.assert_allclose(out, or_infinite(scaled.sum(axis=1), wide), rtol=1e-12)
        scores.scaled_highest(x, scale, shift, log, out)
        np.testing.assert_allclose(out, or_infinite((scaled + shift).max(axis=1), wide), rtol=1e-12)
        z = scaled - shift
        expected = np.stack([z[:, :2].sum(axis=1), z[:, 2], z[:, 3], z[:, :2].max(axis=1)], axis=1)
        parts = np.empty((len(x), 4))
        scores.parts_of_groups(x, scale, shift, ENDS, log, parts)
        usual = np.isfinite(wide).all(axis=1)
        np.testing.assert_allclose(parts[usual], expected[usual], rtol=1e-12, atol=1e-9)
        scores.highest_surprise(x, scale, shift, ENDS, log, *curve(), parts, out)
        found = plain_surprise(parts, *curve()).max(axis=1)
        np.testing.assert_allclose(out, or_infinite(found, wide), rtol=1e-12)


@given(deviations, st.integers(1, 4))
@settings(deadline=None)
def test_the_kth_surprise(x, k):
    out = np.empty(len(x))
    scores.kth_surprise(x, *curve(), np.empty(k), out)
    with np.errstate(all="ignore"):
        found = plain_surprise(x, *curve())
    np.testing.assert_allclose(out, or_infinite(np.sort(found, axis=1)[:, -k], x), rtol=1e-12)


numbers = st.floats(0, 1e300) | st.sampled_from([0.0, np.inf, np.nan])


@given(arrays(np.float64, 5, elements=numbers), arrays(np.float64, CLASSES, elements=numbers))
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
