"""Sections visited against numpy, with values that lie on a border."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from outrider.coverage.kernels import bitmap

from .made_up import CLASSES, NEURONS, anything, columns, labels, or_infinite, quarters, values

bits_of = arrays(np.uint8, (CLASSES, NEURONS), elements=st.integers(0, 255))
scales = arrays(np.float32, NEURONS, elements=st.sampled_from([0.5, 1, 2, 4]))
bases = arrays(np.float32, NEURONS, elements=st.integers(-9, 4))


def never_seen(section, bits):
    within = (section >= 0) & (section < 8)
    return ~(within & ((bits.astype(int) >> np.where(within, section, 0).astype(int)) & 1 == 1))


def test_a_border_belongs_to_the_section_above_it():
    scale, base, bits = np.float32([2]), np.float32([2]), np.array([[0b10000001], [0xFF]], np.uint8)
    x = np.float32([1, 1.5, 4.5, 5, 0.999, 4.499, np.nan])[:, None]  # eight sections of 0.5 from 1 on
    c, out = np.zeros(7, np.int64), np.empty(7, np.float32)
    bitmap.bitmap_outside(x, c, scale, base, bits, out)
    assert out.tolist() == [0, 1, 0, 1, 1, 1, 1]
    bitmap.bitmap_outside(x, c + 1, scale, base, bits, out)
    assert out.tolist() == [0, 0, 0, 1, 1, 0, 1]
    codes, out = np.array([[3], [4], [11], [12], [5]], np.uint8), out[:5]
    bitmap.bitmap_outside_codes(codes, c[:5], np.uint8([0]), np.uint8([4]), bits, out)
    assert out.tolist() == [1, 0, 0, 1, 1]


@given(values(anything), scales, bases, bits_of)
@settings(deadline=None)
def test_neurons_in_sections_never_seen_are_counted(x, scale, base, bits):
    c, out = labels(len(x)), np.empty(len(x), np.float32)
    with np.errstate(all="ignore"):
        expected = never_seen(np.floor(x * scale) - base, bits[c])
    bitmap.bitmap_outside(x, c, scale, base, bits, out)
    np.testing.assert_array_equal(out, expected.sum(axis=1))
    seen, wide = np.array([[1, 1], [1, 0], [0, 1]], np.uint8), np.empty((len(x), 2), np.float32)
    bitmap.bitmap_outside_of_columns(x, c, scale, base, bits, columns(3, 4), seen, wide)
    for k, own in enumerate((slice(0, 3), slice(3, 7))):
        bad = ~np.isfinite(x[:, own]).all(axis=1) | (seen[c, k] == 0)
        np.testing.assert_array_equal(wide[:, k], or_infinite(expected[:, own].sum(axis=1), bad))
    parts = np.empty(NEURONS, np.float32)
    bitmap.bitmap_parts(x[0], c[0], scale, base, bits, parts)
    np.testing.assert_array_equal(parts, or_infinite(expected[0], ~np.isfinite(x[0])))


@given(arrays(np.uint8, (3, 2 * 128 + NEURONS), elements=st.integers(0, 255)), st.integers(0, 9))
@settings(deadline=None, max_examples=30)
def test_codes_in_sections_never_seen(x, seed):
    rng, neurons = np.random.default_rng(seed), x.shape[1]
    shift, base = (rng.integers(0, top, neurons, np.uint8, endpoint=True) for top in (7, 248))
    base[::2] %= 9  # where codes often fall
    bits = rng.integers(0, 255, (CLASSES, neurons), np.uint8, endpoint=True)
    c, out = labels(len(x)), np.empty(len(x), np.float32)
    bitmap.bitmap_outside_codes(x, c, shift, base, bits, out)
    np.testing.assert_array_equal(out, never_seen((x >> shift).astype(int) - base, bits[c]).sum(axis=1))


def empty():
    low, high = np.full(NEURONS, np.inf, np.float32), np.full(NEURONS, -np.inf, np.float32)
    return low, high, *np.zeros((2, NEURONS), np.float32), np.zeros((CLASSES, NEURONS), np.uint8)


@given(values(quarters), st.integers(2, 8), st.integers(0, 12))
@settings(deadline=None)
def test_each_section_that_was_visited_has_its_bit_however_the_samples_come(x, sections, cut):
    whole, a, b, c = empty(), empty(), empty(), labels(len(x))
    for i in range(len(x)):
        bitmap.bitmap_observe(x[i : i + 1], c[i : i + 1], *whole, sections)
    bitmap.bitmap_observe(x[:cut], c[:cut], *a, sections)
    bitmap.bitmap_observe(x[cut:], c[cut:], *b, sections)
    bitmap.bitmap_merge(*b, *a, sections)
    low, high, scale, base, bits = whole
    for got, expected in zip(b, whole, strict=True):
        np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal((low, high), (x.min(axis=0), x.max(axis=0)))
    section = (np.floor(x * scale) - base).astype(int)
    expected = np.zeros_like(bits)
    for k, row in zip(c, section, strict=True):
        expected[k] |= np.left_shift(1, row).astype(np.uint8)
    np.testing.assert_array_equal(bits, expected)
