"""Pixels as planes, against numpy's transposition."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.runtime.inputs.streams.kernels import planes_of

PIXELS = np.random.default_rng(0).integers(0, 65536, (5, 7, 3), np.uint16)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("change", [lambda one: one, lambda one: one[::-1], lambda one: one.swapaxes(0, 1)])
def test_every_plane_holds_its_colour(dtype, change):
    pixels = change(PIXELS.astype(dtype))
    planes = planes_of(pixels)
    assert planes.flags.c_contiguous
    assert planes.dtype == dtype
    np.testing.assert_array_equal(planes, pixels.transpose(2, 0, 1))
