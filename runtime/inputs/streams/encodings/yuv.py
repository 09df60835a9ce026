"""Encodings of luminance and two colour differences, in ITU-R BT.601 of limited range, as cameras send them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .rows import rows_of

# Where luminance, U and V stand in the four bytes of two pixels.
_PAIRS = {"yuv422": (1, 0, 2), "uyvy": (1, 0, 2), "yuv422_yuy2": (0, 1, 3), "yuyv": (0, 1, 3)}
# Rows and columns that share a colour, and where U and V stand in its two bytes.
_PLANES = {"nv12": (2, 0, 1), "nv21": (2, 1, 0), "nv24": (1, 0, 1)}

YUV = (*_PAIRS, *_PLANES)
"""The encodings that `yuv_picture` reads."""


def yuv_picture(message: Any) -> np.ndarray:
    """A message of one of `YUV` as RGB: (3, height, width) uint8.

    nv12, nv21 and nv24 hold the luminance, `height` rows of `step` bytes, and then the colours: rows of as many bytes
    for nv12 and nv21, of twice as many for nv24. Raises ValueError for sizes that the encoding cannot have.
    """
    height, width, encoding = message.height, message.width, message.encoding
    if encoding in _PAIRS:
        y, u, v = _PAIRS[encoding]
        _refuse_odd(width % 2, message)
        rows = rows_of(message, 2 * width)
        light, blue, red = rows[:, y::2], rows[:, u::4].repeat(2, axis=1), rows[:, v::4].repeat(2, axis=1)
    else:
        shared, u, v = _PLANES[encoding]
        _refuse_odd(width % shared or height % shared, message)
        begin, step = height * message.step, message.step * 2 // shared
        light = rows_of(message, width)
        pairs = rows_of(message, 2 * width // shared, height // shared, begin, step)
        blue, red = (pairs[:, at::2].repeat(shared, axis=0).repeat(shared, axis=1) for at in (u, v))
    return _rgb(light, blue, red)


def _refuse_odd(odd: int, message: Any) -> None:
    if odd:
        raise ValueError(f"encoding {message.encoding}: an odd size, {message.width} x {message.height} pixels")


def _rgb(light: np.ndarray, blue: np.ndarray, red: np.ndarray) -> np.ndarray:
    y = np.float32(255 / 219) * (light.astype(np.float32) - 16)
    u, v = blue.astype(np.float32) - 128, red.astype(np.float32) - 128
    colours = y + 1.596027 * v, y - 0.812968 * v - 0.391762 * u, y + 2.017232 * u
    made: np.ndarray = np.clip(np.rint(np.stack(colours)), 0, 255).astype(np.uint8)
    return made
