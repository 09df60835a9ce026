"""The logics as loops against plain numpy."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import logsumexp

from outrider.monitor.kernels import scores

ENDS = np.array([2, 3, 4])
deviations = st.integers(1, 12).flatmap(
    lambda n: arrays(np.float64, (n, 4), elements=st.floats(0, 1e6) | st.sampled_from([np.inf, np.nan]))
)


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
        scores.harmonic_surprise(x, np.array([0.5, 0.2, 0.2, 0.1]), *curve(), parts.copy(), out)
        found = logsumexp(plain_surprise(parts, *curve()) + np.log([0.5, 0.2, 0.2, 0.1]), axis=1)
        np.testing.assert_allclose(out, or_infinite(np.maximum(found, 0), wide), rtol=1e-12, atol=1e-15)


AT = np.array([0.0, 0.5, 0.5, 2.0, 7.25, 7.25, 7.25, 1e5])
"""Of how sure the network is; knots at one place say the same."""


def given_tables():
    rng = np.random.default_rng(8)
    centre, spread = rng.normal(0, 5, (8, 3)), rng.uniform(0.1, 3, (8, 3))
    for table in (centre, spread):
        table[2], table[5], table[6] = table[1], table[4], table[4]
    return centre, spread


def plain_given(x, log):
    """Columns 0 and 1 of one group, 3 of another, given column 2: sums of both, then the higher of the first."""
    scaled = np.log1p(x) if log else x
    centre, spread = (
        np.stack([np.interp(scaled[:, 2], AT, table[:, j]) for j in range(3)], axis=1) for table in given_tables()
    )
    z = (scaled[:, [0, 1, 3]] - centre) / spread
    return np.stack([z[:, 0] + z[:, 1], z[:, 2], z[:, :2].max(axis=1)], axis=1)


@given(deviations, st.booleans(), st.booleans(), st.integers(0, 7))
@settings(deadline=None)
def test_parts_given_the_confidence(x, log, narrow, knot):
    x[0, 2] = np.expm1(AT[knot]) if log and AT[knot] < 500 else AT[knot]  # on a knot
    x = x.astype(np.float32) if narrow else x
    wide, following, ends = x.astype(np.float64), np.array([0, 1, 3]), np.array([2, 3])
    parts = np.full((len(x), 7), 77.0)
    scores.parts_given_confidence(x, following, ends, 2, log, AT, *given_tables(), 4, parts)
    usual = np.isfinite(wide).all(axis=1)
    expected = plain_given(wide[usual], log)
    np.testing.assert_allclose(parts[usual, 4:], expected, rtol=1e-9, atol=1e-9)
    assert (parts[:, :4] == 77).all()

    of, scale, shift = np.array([2, 3, 4]), np.array([1.0, 0.5, 30.0, 2.0]), np.array([0.0, 1.0, 0.25, 3.0])
    before = np.empty((len(x), 4))
    scores.parts_of_groups(x, scale, shift, of, log, before)
    scores.all_parts(x, scale, shift, of, log, following, ends, 2, AT, *given_tables(), parts)
    np.testing.assert_array_equal(parts[usual], np.concatenate([before, parts[:, 4:]], axis=1)[usual])
    np.testing.assert_allclose(parts[usual, 4:], expected, rtol=1e-9, atol=1e-9)


def test_a_confidence_beyond_all_knots_is_that_of_the_last_one():
    found, far = np.empty((3, 7)), np.array([[1.0, 2, 1e5, 4], [1, 2, 1e9, 4], [1, 2, np.inf, 4]])
    scores.parts_given_confidence(far, np.array([0, 1, 3]), np.array([2, 3]), 2, 0, AT, *given_tables(), 4, found)
    np.testing.assert_array_equal(found[1:, 4:], found[:1, 4:].repeat(2, axis=0))
    below = AT + 3
    scores.parts_given_confidence(
        np.array([[1.0, 2, 3, 4], [1, 2, 0, 4], [1, 2, 1e-300, 4]]), np.array([0, 1, 3]), np.array([2, 3]), 2, 0, below,
        *given_tables(), 4, found,
    )  # fmt: skip
    np.testing.assert_array_equal(found[1:, 4:], found[:1, 4:].repeat(2, axis=0))


@given(deviations, st.integers(1, 4))
@settings(deadline=None)
def test_the_kth_surprise(x, k):
    out = np.empty(len(x))
    scores.kth_surprise(x, *curve(), np.empty(k), out)
    with np.errstate(all="ignore"):
        found = plain_surprise(x, *curve())
    np.testing.assert_allclose(out, or_infinite(np.sort(found, axis=1)[:, -k], x), rtol=1e-12)
