"""Encodings whose pixels are numbers side by side: luminance, RGB with and without alpha, and OpenCV's types."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from .rows import numbers_of

_LIGHT, _RGB, _BGR = (0,), (0, 1, 2), (2, 1, 0)
_NAMED = {
    "mono8": ("u1", 1, _LIGHT), "mono16": ("u2", 1, _LIGHT),
    "rgb8": ("u1", 3, _RGB), "rgba8": ("u1", 4, _RGB), "rgb16": ("u2", 3, _RGB), "rgba16": ("u2", 4, _RGB),
    "bgr8": ("u1", 3, _BGR), "bgra8": ("u1", 4, _BGR), "bgr16": ("u2", 3, _BGR), "bgra16": ("u2", 4, _BGR),
}  # fmt: skip
_CHANNELS = {1: _LIGHT, 3: _BGR, 4: _BGR}
_TYPES = {"8U": "u1", "8S": "i1", "16U": "u2", "16S": "i2", "32S": "i4", "32F": "f4", "64F": "f8"}

PACKED = (*_NAMED, *(f"{kind}C{channels}" for kind in _TYPES for channels in _CHANNELS))
"""The encodings that `packed_picture` reads."""


def packed_picture(message: Any) -> np.ndarray:
    """A message of one of `PACKED` as (1 or 3, height, width) uint8, uint16, int32 or float32.

    Three or four channels without a name (8UC3) are blue, green, red, as in OpenCV. Signed numbers become int32, those
    of 64 bits the nearest of 32. A fourth channel that is the same everywhere is left out. Raises ValueError for one
    that is not, as it may be transparency.
    """
    found = re.fullmatch(r"(\d+[USF])C([134])", message.encoding)
    dtype, channels, colours = (
        (_TYPES[found[1]], int(found[2]), _CHANNELS[int(found[2])]) if found else _NAMED[message.encoding]
    )
    pixels = numbers_of(message, dtype, channels)
    if channels == 4 and (pixels[..., 3] != pixels[0, 0, 3]).any():
        raise ValueError(f"encoding {message.encoding}: a fourth channel that varies; send three channels")
    if dtype in ("i1", "i2"):
        pixels = pixels.astype(np.int32)
    elif dtype == "f8":
        with np.errstate(over="ignore"):
            pixels = pixels.astype(np.float32)
    return np.ascontiguousarray(pixels[:, :, colours].transpose(2, 0, 1))
