"""Corruptions give pictures of the same form, and do what they say."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.runtime.demos.pictures.corruptions import CORRUPTIONS


def spoiled(name):
    images = np.random.default_rng(0).random((3, 3, 32, 32), np.float32)
    before = images.copy()
    changed = CORRUPTIONS[name](images, np.random.default_rng(1))
    np.testing.assert_array_equal(images, before)
    return images, changed


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corruptions_keep_shape_dtype_and_range(name):
    images, changed = spoiled(name)
    assert (changed.shape, changed.dtype) == (images.shape, np.float32)
    assert 0 <= changed.min() < changed.max() <= 1
    assert not np.array_equal(changed, images)


def test_an_eighth_of_the_columns_is_dead():
    images, changed = spoiled("dead columns")
    dead = (changed == 0).all(axis=(0, 1, 2))
    assert dead.sum() == 4
    np.testing.assert_array_equal(changed[..., ~dead], images[..., ~dead])


def test_a_patch_of_one_colour_hides_a_quarter():
    images, changed = spoiled("hidden by a patch")
    for image, before in zip(changed, images, strict=True):
        rows, columns = np.nonzero((image != before).any(axis=0))
        assert (np.ptp(rows), np.ptp(columns), len(rows)) == (15, 15, 256)
        assert (image[:, rows, columns] == image[:, rows[:1], columns[:1]]).all()
