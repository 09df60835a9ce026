"""What a broken sensor does, done by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from outrider.monitor.kinds import sensors

PICTURE = np.random.default_rng(3).random((3, 10, 14), np.float32)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.mark.parametrize("size", [3, 4, 7])
def test_means_over_boxes_repeat_the_edge(size):
    odd = size // 2 * 2 + 1
    expected = np.stack([ndimage.uniform_filter(channel.astype(float), odd, mode="nearest") for channel in PICTURE])
    np.testing.assert_allclose(sensors.box_mean(PICTURE, size), expected, atol=1e-6)
    np.testing.assert_allclose(sensors.blurred(PICTURE, size), sensors.box_mean(sensors.box_mean(PICTURE, size), size))


def test_motion_is_a_mean_along_a_line():
    point = np.zeros((1, 9, 9), np.float32)
    point[0, 4, 4] = 1
    across, down = (sensors.moved(point, 4, angle)[0] for angle in (0, np.pi / 2))
    assert across.sum() == pytest.approx(1)
    assert set(np.nonzero(across)[0]) == {4}
    np.testing.assert_array_equal(across, down.T)


def test_blocks_have_one_colour():
    found = sensors.pixelated(PICTURE, 5)
    for top in (0, 5):
        for left in (0, 5):
            block = found[:, top : top + 5, left : left + 5]
            mean = PICTURE[:, top : top + 5, left : left + 5].mean((1, 2))
            np.testing.assert_allclose(block, np.broadcast_to(mean[:, None, None], block.shape), atol=1e-6)


def test_clouds_are_bilinear_between_their_numbers(rng):
    coarse = np.random.default_rng(7).random((4, 4), np.float32)
    found = sensors.clouds((16, 16), 4, rng)
    expected = ndimage.zoom(coarse, 4, order=1, mode="nearest", grid_mode=True)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_dirt_covers_its_share_with_a_dark_colour(rng):
    white = np.ones((3, 60, 60), np.float32)
    found = sensors.dirty(white, 0.3, 1e-3, rng)
    hit = (found != 1).any(0)
    assert hit.mean() == pytest.approx(0.3, abs=0.02)
    assert np.median(found[:, hit]) < 0.8


def test_a_veil_brightens_and_flattens(rng):
    found = sensors.veiled(PICTURE, 0.6, 0.9, rng)
    assert found.mean() > PICTURE.mean()
    assert found.std() < PICTURE.std() / 1.5


def test_exposure_is_a_gain_and_noise(rng):
    found = sensors.exposed(np.full((1, 200, 200), 0.5, np.float32), 0.5, 0.02, rng)
    assert found.mean() == pytest.approx(0.25, abs=1e-3)
    assert found.std() == pytest.approx(0.02, rel=0.05)


def test_some_are_hit_and_no_more():
    hit = sensors.some_of(30, 0.25, np.random.default_rng(0))
    assert hit.sum() == 7
    assert not hit[:7].all()
