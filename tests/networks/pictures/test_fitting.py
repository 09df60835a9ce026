"""The sizes that pictures come to, by hand."""

import numpy as np
import pytest

from outrider.networks.pictures.fitting import fitted, framed, scaled_size


@pytest.mark.parametrize(
    ("shape", "size", "fit", "shorter", "expected"),
    [
        ((480, 640), (224, 224), "stretch", None, (224, 224)),
        ((480, 640), (640, 640), "letterbox", None, (480, 640)),
        ((720, 1280), (416, 416), "letterbox", None, (234, 416)),
        ((1000, 1), (10, 10), "letterbox", None, (10, 1)),
        ((480, 640), (224, 224), "crop", 256, (256, 341)),
        ((640, 480), (224, 224), "crop", 256, (341, 256)),
        ((480, 640), (224, 224), "crop", None, (224, 299)),
        ((100, 100), (30, 60), "crop", None, (60, 60)),
    ],
)
def test_the_size_before_something_is_cut_off(shape, size, fit, shorter, expected):
    assert scaled_size(shape, size, fit, shorter) == expected


def test_floats_are_resized_as_floats_and_stay_in_their_range():
    pytest.importorskip("PIL.Image")
    step = np.zeros((1, 8, 8), np.float32)
    step[:, :, 4:] = 255
    for filtered in ("bilinear", "bicubic", "lanczos"):
        made = fitted(step, (16, 16), "stretch", None, filtered)
        assert (made.dtype, made.min(), made.max()) == (np.float32, 0, 255)
        assert ((made > 0) & (made < 255)).any()


def test_an_odd_pixel_more_is_below_and_on_the_right():
    inner = np.ones((1, 2, 2), np.float32)
    np.testing.assert_array_equal(framed(inner, (3, 5), 7)[0], [[7, 1, 1, 7, 7], [7, 1, 1, 7, 7], [7, 7, 7, 7, 7]])
    assert framed(inner, (2, 2), 7) is inner
