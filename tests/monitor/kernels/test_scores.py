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
        scores.harmonic_surprise(x, scale, shift, ENDS, log, *curve(), parts.copy(), out)
        found = logsumexp(plain_surprise(parts, *curve()), axis=1) - np.log(4)
        np.testing.assert_allclose(out, or_infinite(found, wide), rtol=1e-12, atol=1e-15)


@given(deviations, st.integers(1, 4))
@settings(deadline=None)
def test_the_kth_surprise(x, k):
    out = np.empty(len(x))
    scores.kth_surprise(x, *curve(), np.empty(k), out)
    with np.errstate(all="ignore"):
        found = plain_surprise(x, *curve())
    np.testing.assert_allclose(out, or_infinite(np.sort(found, axis=1)[:, -k], x), rtol=1e-12)
