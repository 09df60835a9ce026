"""Numbers side by side come out as they went in, whatever their type, order and padding."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.runtime.inputs.streams.encodings.packed import PACKED, packed_picture

from .messages import image

RNG = np.random.default_rng(7)
RGB = RNG.integers(0, 256, (6, 10, 3), np.uint8)
WIDE = RNG.integers(0, 65536, (6, 10, 3), np.uint16)
DEEP = WIDE.astype(np.int32) * -30_000


def with_alpha(pixels, value=99):
    return np.concatenate([pixels, np.full_like(pixels[..., :1], value)], axis=2)


@pytest.mark.parametrize("padding", [0, 8])
@pytest.mark.parametrize(
    ("encoding", "pixels", "due"),
    [
        ("rgb8", RGB, RGB),
        ("bgr8", RGB[..., ::-1], RGB),
        ("rgba8", with_alpha(RGB), RGB),
        ("bgra8", with_alpha(RGB[..., ::-1]), RGB),
        ("8UC3", RGB[..., ::-1], RGB),
        ("8UC4", with_alpha(RGB[..., ::-1]), RGB),
        ("mono8", RGB[..., 0], RGB[..., :1]),
        ("8UC1", RGB[..., 0], RGB[..., :1]),
        ("mono16", WIDE[..., 0], WIDE[..., :1]),
        ("16UC1", WIDE[..., 0], WIDE[..., :1]),
        ("rgb16", WIDE, WIDE),
        ("rgba16", with_alpha(WIDE), WIDE),
        ("bgr16", WIDE[..., ::-1], WIDE),
        ("16UC3", WIDE[..., ::-1], WIDE),
        ("8SC1", RGB[..., 0].view(np.int8), RGB[..., :1].view(np.int8).astype(np.int32)),
        ("16SC3", WIDE[..., ::-1].view(np.int16), WIDE.view(np.int16).astype(np.int32)),
        ("32SC1", DEEP[..., 0], DEEP[..., :1]),
    ],
)
def test_the_numbers_that_went_in(encoding, pixels, due, padding):
    picture = packed_picture(image(pixels, encoding, padding=padding))
    assert (picture.dtype, picture.flags.c_contiguous) == (due.dtype, True)
    assert np.array_equal(picture.transpose(1, 2, 0), due)


@pytest.mark.parametrize(("encoding", "dtype"), [("32FC1", "f4"), ("64FC1", "f8"), ("32FC3", "f4")])
def test_depth_keeps_nan_and_infinity(encoding, dtype):
    values = np.array([[0.25, np.nan], [np.inf, -1e9]])
    pixels = values if encoding[-1] == "1" else np.stack([values, 2 * values, 3 * values], axis=2)
    for order in "<>":
        picture = packed_picture(image(pixels.astype(order + dtype), encoding, big=order == ">"))
        assert picture.dtype == np.float32
        np.testing.assert_array_equal(picture[-1], values.astype(np.float32))
        if encoding[-1] == "3":
            np.testing.assert_array_equal(picture[0], (3 * values).astype(np.float32))


def test_either_order_of_bytes():
    little = packed_picture(image(WIDE.astype("<u2"), "rgb16", padding=3))
    big = packed_picture(image(WIDE.astype(">u2"), "rgb16", padding=3, big=True))
    assert np.array_equal(little, big)
    assert np.array_equal(little.transpose(1, 2, 0), WIDE)


def test_a_fourth_channel_that_varies_may_be_transparency():
    pixels = with_alpha(RGB, 255)
    pixels[2, 3, 3] = 254
    with pytest.raises(ValueError, match="encoding rgba8: a fourth channel that varies; send three channels"):
        packed_picture(image(pixels, "rgba8"))


def test_two_channels_are_no_picture():
    assert "8UC3" in PACKED
    assert not [name for name in PACKED if name.endswith("C2")]
