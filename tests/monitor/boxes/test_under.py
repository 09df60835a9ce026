"""Means of the features under boxes."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.monitor.boxes.under import Under
from outrider.networks import Tap


def tap(height, width, neurons="pixel", channels=3):
    return Tap("t", "relu", (channels, height, width), "NCHW", "float32", neurons)


def features(height, width, seed=0, channels=3):
    return np.random.default_rng(seed).normal(size=(height * width, channels)).astype(np.float32)


def test_it_is_the_mean_over_the_pixels_of_the_stretched_map():
    under, values = Under(tap(5, 4), (20, 24)), features(5, 4)
    pixels = values.reshape(5, 4, 3).repeat(4, axis=0).repeat(6, axis=1)
    rng = np.random.default_rng(1)
    left, top = rng.integers(0, 23, 40), rng.integers(0, 19, 40)
    right, bottom = rng.integers(left + 1, 25), rng.integers(top + 1, 21)
    boxes = np.stack([left, top, right, bottom], axis=1)
    expected = [pixels[t:b, l:r].mean((0, 1)) for l, t, r, b in boxes]  # noqa: E741
    np.testing.assert_allclose(under.means(values, boxes.astype(np.float32)), expected, rtol=1e-4, atol=1e-5)


def test_windows_cover_what_they_are_means_of():
    under, values = Under(tap(5, 5, "pixel2"), (10, 10)), features(3, 3)
    assert under.shape == (3, 3)
    pixels = values.reshape(3, 3, 3).repeat(4, axis=0).repeat(4, axis=1)[:10, :10]  # the last window is of 1 x 1 values
    box = np.array([[3, 1, 10, 9]], np.float32)
    np.testing.assert_allclose(under.means(values, box)[0], pixels[1:9, 3:10].mean((0, 1)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("box", "place"),
    [
        ([5.1, 1.1, 5.4, 1.2], (0, 1)),  # smaller than a place
        ([5, 1, 5, 1], (0, 1)),  # a point
        ([-9, -9, 0.5, 0.5], (0, 0)),  # clipped
        ([11.5, 11.9, 40, 40], (2, 2)),
        ([4, 4, 8, 8], (1, 1)),  # just the place, without its neighbours
        ([12, 3, 12.0, 3], None),  # at the far edge
        ([-4, 0, 0, 4], None),
        ([12, 0, 14, 4], None),
        ([3, 3, 2, 4], None),
        ([np.nan, 0, 4, 4], None),
        ([-np.inf, 0, 4, np.nan], None),
    ],
)
def test_small_boxes_take_their_place_and_those_outside_have_none(box, place):
    values = features(3, 3)
    (mean,) = Under(tap(3, 3), (12, 12)).means(values, np.array([box], np.float32))
    expected = np.full(3, np.nan) if place is None else values.reshape(3, 3, 3)[place]
    np.testing.assert_allclose(mean, expected, rtol=1e-5)


def test_infinite_sides_are_those_of_the_picture_and_nan_counts_where_it_is():
    values = features(3, 3)
    values[8] = np.nan
    under = Under(tap(3, 3), (12, 12))
    whole, upper = under.means(values, np.array([[-np.inf, -np.inf, np.inf, np.inf], [0, 0, 12, 8]], np.float32))
    assert np.isnan(whole).all()
    np.testing.assert_allclose(upper, values[:6].mean(0), rtol=1e-5, atol=1e-6)


def test_no_box_has_no_mean():
    assert Under(tap(3, 3), (12, 12)).means(features(3, 3), np.zeros((0, 4), np.float32)).shape == (0, 3)
