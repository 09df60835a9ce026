"""Compressed messages as the plugins of image_transport write them."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest

from outrider.runtime.inputs.streams.encodings.bayer import debayered
from outrider.runtime.inputs.streams.encodings.compressed import compressed_picture
from outrider.runtime.inputs.streams.encodings.rows import EncodingError

from .messages import compressed

pillow = pytest.importorskip("PIL.Image")
RGB = np.random.default_rng(7).integers(0, 256, (6, 10, 3), np.uint8)
DEPTH = np.random.default_rng(8).integers(1, 65536, (6, 10), np.uint16)


def png(pixels, kind="PNG"):
    file = io.BytesIO()
    pillow.fromarray(pixels).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize(
    ("form", "swapped"),
    [("png", False), ("", False), ("rgb8; png compressed bgr8", False), ("bgr8; png compressed bgr8", False),
     ("rgb8; png compressed rgb8", True), ("bgr8; png compressed rgb8", True), ("mono8; png compressed ", False)],
)  # fmt: skip
def test_the_format_says_which_colour_is_red(form, swapped):
    picture = compressed_picture(compressed(png(RGB), form)).transpose(1, 2, 0)
    assert np.array_equal(picture, RGB[..., ::-1] if swapped else RGB)


def test_jpeg_is_close_and_16_bits_are_whole():
    smooth = np.tile(np.linspace(0, 255, 10).astype(np.uint8)[:, None], (6, 1, 3))
    picture = compressed_picture(compressed(png(smooth, "JPEG"), "rgb8; jpeg compressed bgr8"))
    assert np.abs(picture.transpose(1, 2, 0).astype(int) - smooth).max() <= 60
    for form in ("16UC1; png compressed ", "mono16; png compressed mono16"):
        assert np.array_equal(compressed_picture(compressed(png(DEPTH), form)), DEPTH[None])
    floats = (DEPTH / 1000).astype(np.float32)
    tiff = compressed_picture(compressed(png(floats, "TIFF"), "32FC1; tiff compressed 32FC1"))
    assert np.array_equal(tiff, floats[None])


def test_a_mosaic_that_was_compressed():
    values = RGB[..., 0].copy()
    picture = compressed_picture(compressed(png(values), "bayer_grbg8; png compressed bayer_grbg8"))
    assert np.array_equal(picture, debayered(values, "bayer_grbg8"))
    assert np.array_equal(
        compressed_picture(compressed(png(RGB), "bayer_grbg8; png compressed bgr8")).transpose(1, 2, 0), RGB
    )


def quantised(metres, longest=10.0, quantum=100.0):
    """Depths in metres as compressed_depth_image_transport stores them: its encoder, from its source."""
    a = quantum * (quantum + 1)
    b = 1 - a / longest
    inverse = np.where(np.isfinite(metres) & (metres < longest), np.rint(a / metres + b), 0)
    return struct.pack("<iff", 0, a, b) + png(inverse.astype(np.uint16))


def test_depth_in_metres_and_nan_where_none_was_measured():
    metres = np.linspace(0.5, 9.0, 60, dtype=np.float32).reshape(6, 10)
    metres[2, 3], metres[4, 5] = np.nan, 20.0
    for form in ("32FC1; compressedDepth png", "32FC1; compressedDepth"):
        picture = compressed_picture(compressed(quantised(metres), form))[0]
        assert picture.dtype == np.float32
        assert np.isnan(picture[[2, 4], [3, 5]]).all()
        near = np.isfinite(metres) & (metres < 10)
        assert np.abs(picture[near] / metres[near] - 1).max() < 0.005  # half a step of the inverse
        assert np.isfinite(picture).sum() == near.sum()


def test_depth_in_millimetres_is_as_stored():
    data = struct.pack("<iff", 0, 0.0, 0.0) + png(DEPTH)
    assert np.array_equal(compressed_picture(compressed(data, "16UC1; compressedDepth png")), DEPTH[None])


@pytest.mark.parametrize("data", [b"", bytes(12), bytes(12) + b"no picture", bytes(12) + png(RGB)])
def test_broken_depth_is_named(data):
    with pytest.raises(ValueError, match="encoding 32FC1; compressedDepth: "):
        compressed_picture(compressed(data, "32FC1; compressedDepth png"))


def test_what_is_not_read_is_said():
    with pytest.raises(EncodingError, match="set its parameter format to png"):
        compressed_picture(compressed(bytes(20), "16UC1; compressedDepth rvl"))
    with pytest.raises(EncodingError, match="expected compressedDepth of 16UC1 or 32FC1, got 'mono8'"):
        compressed_picture(compressed(bytes(20), "mono8; compressedDepth png"))
    with pytest.raises(ValueError, match="encoding 'rgb8; jpeg compressed bgr8': expected a picture"):
        compressed_picture(compressed(b"no picture", "rgb8; jpeg compressed bgr8"))
