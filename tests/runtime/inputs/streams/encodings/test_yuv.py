"""Luminance and colour differences, against FFmpeg's conversion."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.runtime.inputs.streams.encodings.yuv import yuv_picture

from .messages import image

HEIGHT, WIDTH = 8, 16
PACKED = np.random.default_rng(2).integers(16, 236, (HEIGHT, WIDTH, 2), np.uint8)


def difference(picture, reference):
    """FFmpeg rounds down."""
    return np.abs(picture.transpose(1, 2, 0) - reference.astype(int))


@pytest.mark.parametrize("encoding", ["yuv422", "uyvy", "yuv422_yuy2", "yuyv"])
def test_pairs_of_pixels(encoding):
    av = pytest.importorskip("av")
    pixels = np.ascontiguousarray(PACKED[..., ::-1]) if encoding in ("yuv422", "uyvy") else PACKED
    reference = av.VideoFrame.from_ndarray(PACKED, "yuyv422").to_ndarray(format="rgb24")
    found = difference(yuv_picture(image(pixels, encoding, padding=4)), reference)
    assert found.max() <= 3
    assert found.mean() < 1.5


def planes(encoding, light, u, v, padding):
    """A message of planes: luminance, then the colours side by side in the order of the encoding."""
    colours = np.stack([v, u] if encoding == "nv21" else [u, v], axis=2).reshape(len(u), -1)
    step = WIDTH + padding
    wide = 2 * step if encoding == "nv24" else step
    rows = [
        np.pad(one, ((0, 0), (0, to - one.shape[1])), constant_values=9) for one, to in ((light, step), (colours, wide))
    ]
    return image(light, encoding, step=step, data=b"".join(row.tobytes() for row in rows))


@pytest.mark.parametrize("padding", [0, 4])
@pytest.mark.parametrize(
    ("encoding", "kind", "shared"), [("nv12", "yuv420p", 2), ("nv21", "yuv420p", 2), ("nv24", "yuv444p", 1)]
)
def test_planes(encoding, kind, shared, padding):
    av = pytest.importorskip("av")
    rng = np.random.default_rng(3)
    light = rng.integers(16, 236, (HEIGHT, WIDTH), np.uint8)
    u, v = (np.tile(rng.integers(90, 170, (1, 1), np.uint8), (HEIGHT // shared, WIDTH // shared)) for _ in "uv")
    made = av.VideoFrame(WIDTH, HEIGHT, kind)
    for plane, values in zip(made.planes, (light, u, v), strict=True):
        rows = np.zeros((plane.height, plane.line_size), np.uint8)
        rows[:, : plane.width] = values
        plane.update(rows.tobytes())
    found = difference(yuv_picture(planes(encoding, light, u, v, padding)), made.to_ndarray(format="rgb24"))
    assert found.max() <= 3
    assert found.mean() < 1.5


def test_every_pixel_has_the_colour_of_its_place():
    """The two colours of nv12 lie side by side, a pair for four pixels."""
    light = np.full((4, 4), 126, np.uint8)
    u, v = np.array([[128, 128], [128, 228]], np.uint8), np.array([[228, 128], [128, 128]], np.uint8)
    message = image(light, "nv12", data=light.tobytes() + np.stack([u, v], axis=2).tobytes())
    red, green, blue = yuv_picture(message).astype(int)
    assert (red[:2, :2] > 250).all()
    assert (blue[2:, 2:] > 250).all()
    assert (green[:2, 2:] == red[:2, 2:]).all()
    assert (green[:2, 2:] == blue[2:, :2]).all()


@pytest.mark.parametrize("encoding", ["yuyv", "nv12"])
def test_odd_and_short_ones_are_refused(encoding):
    channels = (2,) if encoding == "yuyv" else ()
    with pytest.raises(ValueError, match=f"encoding {encoding}: an odd size, 3 x 4 pixels"):
        yuv_picture(image(np.zeros((4, 3, *channels), np.uint8), encoding))
    with pytest.raises(ValueError, match=f"encoding {encoding}: 8 bytes in rows of"):
        yuv_picture(image(np.zeros((4, 4, *channels), np.uint8), encoding, data=bytes(8)))
