"""Pixels side by side as planes, in compiled code."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import uint8, uint16

from ....coverage.kernels.compiling import compiled, read


def _separate(pixels: Any, red: Any, green: Any, blue: Any) -> None:
    for i in range(red.shape[0]):
        red[i] = pixels[3 * i]
        green[i] = pixels[3 * i + 1]
        blue[i] = pixels[3 * i + 2]


_KERNELS = {
    np.dtype(np.uint8): compiled(read(uint8, 1), uint8[::1], uint8[::1], uint8[::1])(_separate),
    np.dtype(np.uint16): compiled(read(uint16, 1), uint16[::1], uint16[::1], uint16[::1])(_separate),
}


def planes_of(pixels: np.ndarray) -> np.ndarray:
    """Pixels (height, width, 3) as planes (3, height, width), C-contiguous."""
    kernel = _KERNELS.get(pixels.dtype)
    if kernel is None or not pixels.flags.c_contiguous:
        return np.ascontiguousarray(pixels.transpose(2, 0, 1))
    planes = np.empty((3, *pixels.shape[:2]), pixels.dtype)
    kernel(pixels.reshape(-1), *planes.reshape(3, -1))
    return planes
