"""Pictures inside a page, read back, and the heights of bars by counting."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from outrider.runtime.pages import heights, inline, inline_picture
from outrider.runtime.pages.pictures import viewable


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_an_inline_picture_holds_the_pixels(channels):
    image_module = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, channels), np.uint8)
    address = inline_picture(pixels, optimize=True)
    assert address.startswith("data:image/png;base64,")
    picture = image_module.open(io.BytesIO(base64.b64decode(address.split(",")[1])))
    np.testing.assert_array_equal(np.asarray(picture).reshape(pixels.shape), pixels)


def test_the_kind_of_a_picture_is_named():
    pytest.importorskip("PIL")
    assert inline(b"abc", "jpeg") == "data:image/jpeg;base64,YWJj"
    assert inline_picture(np.zeros((4, 4, 3), np.uint8), "webp", quality=60).startswith("data:image/webp;base64,UklGR")


def test_heights_count_into_their_bars():
    bars = heights(np.array([0.0, 0.01, 0.5, 1.0]), 40, 1)
    assert (len(bars), bars[0], bars[20], bars[-1], sum(bars)) == (40, 1, 0.5, 0.5, 2)
    assert heights(np.array([1.0, 3.9, 4.0, 7.0]), 2, 4) == [0.5, 1]


def test_bytes_stay_shares_are_spread_and_the_rest_is_stretched():
    image = np.array([[[0], [128], [255]]], np.uint8)
    assert viewable(image) is image
    assert viewable(np.array([0, 0.5, 1], np.float32)).tolist() == [0, 128, 255]
    assert viewable(np.array([0.25, 0.25], np.float64)).tolist() == [64, 64]
    assert viewable(np.array([-2.0, 0, 2])).tolist() == [0, 128, 255]
    assert viewable(np.array([-5, 0, 5], np.int8)).tolist() == [0, 128, 255]
    assert viewable(np.array([7.0, 7])).tolist() == [0, 0]
    assert viewable(np.array([np.nan, np.inf, 0, 1])).tolist() == [0, 0, 0, 255]
    assert viewable(np.array([np.nan])).tolist() == [0]
    assert viewable(np.array([False, True])).tolist() == [0, 255]


@given(hnp.arrays(st.sampled_from([np.float16, np.float32, np.float64, np.int16, np.uint8]), (2, 3, 1)))
def test_any_numbers_are_viewable(image):
    assert viewable(image).dtype == np.uint8
