"""Packed bits and their distances."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage.kernels import patterns as kernels


@pytest.mark.parametrize("neurons", [1, 63, 64, 65, 200])
def test_bits_are_packed_lowest_first(neurons):
    rng = np.random.default_rng(neurons)
    x, reference = rng.integers(0, 3, (4, neurons)).astype(np.float32), rng.integers(0, 3, neurons).astype(np.float32)
    patterns = np.zeros((4, -(-neurons // 64)), np.uint64)
    kernels.pack_above(x, reference, patterns)
    unpacked = np.unpackbits(patterns.view(np.uint8), axis=1, bitorder="little")[:, :neurons]
    np.testing.assert_array_equal(unpacked, x > reference)


def test_a_value_on_the_reference_is_not_above_it():
    patterns, reference = np.zeros((3, 1), np.uint64), np.array([1], np.float32)
    for values in (np.array([[0], [1], [2]], np.float32), np.array([[0], [1], [2]], np.uint8)):
        kernels.pack_above(values, reference, patterns)
        assert patterns.ravel().tolist() == [0, 0, 1]


@pytest.mark.parametrize("k", [1, 2, 4])
def test_distance_to_the_kth_nearest(k):
    rng = np.random.default_rng(k)
    stored, new = (rng.integers(0, 2**63, shape, np.uint64) for shape in ((2, 6, 3), (5, 3)))
    c, out = np.array([0, 1, 0, 1, 1]), np.empty(5, np.float32)
    kernels.nearest_distance(new, c, stored, np.array([6, 6]), np.zeros(k, np.int64), out)
    bits = np.unpackbits((new[:, None] ^ stored[c]).view(np.uint8), axis=2).sum(axis=2)
    np.testing.assert_array_equal(out, np.sort(bits, axis=1)[:, k - 1])


def test_distance_to_the_farthest_held_pattern_when_fewer_than_k_are_held():
    stored = np.array([[[0b1], [0b111], [2**63]], [[0], [0], [0]]], np.uint64)
    out, held = np.empty(2, np.float32), np.array([2, 0])
    kernels.nearest_distance(np.zeros((2, 1), np.uint64), np.array([0, 1]), stored, held, np.zeros(5, np.int64), out)
    assert out.tolist() == [3, 64]


@pytest.mark.parametrize("neurons", [1, 64, 130])
def test_parts_are_the_neurons_that_differ_from_the_nearest_pattern(neurons):
    rng = np.random.default_rng(neurons)
    x, reference = rng.integers(0, 3, (1, neurons)).astype(np.float32), np.ones(neurons, np.float32)
    known = rng.integers(0, 3, (5, neurons)).astype(np.float32)
    stored = np.zeros((2, 6, -(-neurons // 64)), np.uint64)
    kernels.pack_above(known, reference, stored[1, :5])  # the sixth is not held, and would be nearest
    kernels.pack_above(x, reference, stored[1, 5:])
    differences = (known > 1) ^ (x > 1)
    out = np.empty(neurons, np.float32)
    kernels.pattern_parts(x[0], 1, reference, stored, np.array([0, 5]), out)
    np.testing.assert_array_equal(out, differences[differences.sum(axis=1).argmin()])
    x[0, 0] = np.inf
    kernels.pattern_parts(x[0], 1, reference, stored, np.array([0, 5]), out)
    assert np.flatnonzero(np.isinf(out)).tolist() == [0]
