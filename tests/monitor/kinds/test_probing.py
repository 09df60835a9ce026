"""Driven activations, and pictures on a boundary."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.monitor.kinds.probing import Driven, _times, on_boundary

from .conftest import PictureNetwork, pictures


def test_later_activations_grow_and_first_ones_stay():
    network, batch = PictureNetwork(), pictures(3)
    seen = network.observe(batch)
    driven = Driven(network, np.array([0.0, 0.5, 0.9]), np.array([2.0, 3.0, 4.0])).observe(batch)
    edges, places, late, scores = zip(seen.activations, driven.activations, strict=True)
    np.testing.assert_array_equal(*edges)
    np.testing.assert_array_equal(*places)
    np.testing.assert_allclose(late[1], late[0] * [[1.5], [1], [1]])  # the second of three taps, half-way
    np.testing.assert_allclose(scores[1], scores[0] * [[2], [3], [4]], rtol=1e-6)
    np.testing.assert_allclose(driven.logits, seen.logits * [[2], [3], [4]], rtol=1e-6)
    np.testing.assert_array_equal(driven.output, seen.output)


def test_probabilities_and_codes_stay_what_they_are():
    network, batch = PictureNetwork(), pictures(2)
    network.scores = "probabilities"
    driven = Driven(network, np.zeros(2), np.full(2, 3.0)).observe(batch)
    np.testing.assert_array_equal(driven.logits, network.observe(batch).logits)
    np.testing.assert_array_equal(driven.activations[3], network.observe(batch).activations[3])
    codes = _times(np.array([[100, 200]], np.uint8), np.array([1.5]))
    assert codes.dtype == np.uint8
    assert codes.tolist() == [[150, 255]]


def test_a_boundary_is_found_between_two_classes():
    def classes(some):
        return (some[:, 0, 0] > 0.25).astype(np.int64)

    points = np.array([[[0.0]], [[1.0]], [[0.2]]], np.float32)
    found = on_boundary(classes, points, 12, np.random.default_rng(0))
    assert found.shape == (12, 1, 1)
    assert found == pytest.approx(np.full((12, 1, 1), 0.25), abs=2**-9)
    assert len(on_boundary(lambda some: np.zeros(len(some), np.int64), points, 12, np.random.default_rng(0))) == 0
