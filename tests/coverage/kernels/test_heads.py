"""Norms and angles of heads against numpy, with figures that lie on a border."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from outrider.coverage.kernels import heads

from .made_up import CLASSES, finite, labels, not_finite, or_infinite, quarters

HEADS, CHANNELS = 3, 2
NEURONS = HEADS * CHANNELS
batches = st.integers(1, 9).flatmap(
    lambda n: arrays(np.float32, (n, NEURONS), elements=quarters | finite | not_finite | st.just(3e38))
)
directions_of = arrays(np.float32, (CLASSES, NEURONS), elements=quarters)
scales = arrays(np.float32, (2, HEADS), elements=st.sampled_from([0.5, 1, 2, 4]))
bases = arrays(np.float32, (2, HEADS), elements=st.integers(-3, 4))
bits_of = arrays(np.uint8, (CLASSES, 2, HEADS), elements=st.integers(0, 255))


def figures(x, directions):
    """(n, 2, heads) float32; directions: (n, neurons)."""
    x, directions = (a.astype(np.float64).reshape(len(x), HEADS, CHANNELS) for a in (x, directions))
    with np.errstate(all="ignore"):
        norm = np.sqrt(x[..., 0] ** 2 + x[..., 1] ** 2)
        along = x[..., 0] * directions[..., 0] + x[..., 1] * directions[..., 1]
        cosine = np.where(norm > 0, along / norm, np.where(norm == 0, 0, np.nan))
        return np.stack([norm, np.arccos(np.clip(cosine, -1, 1))], axis=1).astype(np.float32)


def is_new(figure, scale, base, bits):
    with np.errstate(all="ignore"):
        section = np.floor(figure * scale) - base
    within = (section >= 0) & (section < 8)
    return ~(within & ((bits.astype(int) >> np.where(within, section, 0).astype(int)) & 1 == 1))


def test_figures_on_a_border_belong_to_the_section_above_it():
    x = np.float32([[3, 4], [0, 5], [0, 4], [0, -8], [0, 0], [6, 8], [np.nan, 1]])
    up = np.float32([[0, 1]])
    c, out = np.zeros(7, np.int64), np.empty((7, 2, 1), np.float32)
    heads.head_figures(x, c, up, out)
    assert out[:5, 0, 0].tolist() == [5, 5, 4, 8, 0]
    assert out[1:5, 1, 0].tolist() == [0, 0, np.float32(np.pi), np.float32(np.pi / 2)]
    np.testing.assert_allclose(out[0, 1, 0], np.arccos(0.8))
    scale, base = np.float32([[1], [1]]), np.float32([[4], [0]])  # norms 4 to 12, angles 0 to 8
    bits, found = np.array([[[0b00000011], [0b0000001]]], np.uint8), np.empty(7, np.float32)
    heads.heads_outside(x, c, up, scale, base, bits, found)
    assert found.tolist() == [0, 0, 0, 2, 2, 1, 2]  # 8 is in the fifth section, 10 in the seventh, NaN in none


@given(batches, directions_of, scales, bases, bits_of)
@settings(deadline=None)
def test_figures_in_sections_never_seen_are_counted(x, directions, scale, base, bits):
    c, out = labels(len(x)), np.empty(len(x), np.float32)
    got = np.empty((len(x), 2, HEADS), np.float32)
    heads.head_figures(x, c, directions, got)
    finite_rows = np.isfinite(x).all(axis=1)
    np.testing.assert_allclose(got[finite_rows], figures(x, directions[c])[finite_rows], rtol=1e-6, atol=1e-6)
    new = is_new(got, scale, base, bits[c])
    heads.heads_outside(x, c, directions, scale, base, bits, out)
    np.testing.assert_array_equal(out[finite_rows], new.sum(axis=(1, 2))[finite_rows])
    parts = np.empty(NEURONS, np.float32)
    heads.heads_parts(x[0], c[0], directions, scale, base, bits, parts)
    expected = np.zeros((HEADS, CHANNELS))
    expected[:, 0] = new[0].sum(axis=0)
    known = np.isfinite(x[0]).reshape(HEADS, CHANNELS).all(axis=1).repeat(CHANNELS)
    np.testing.assert_array_equal(parts[known], expected.ravel()[known])
    np.testing.assert_array_equal(np.isinf(parts), np.isinf(or_infinite(x[0], ~np.isfinite(x[0]))))
