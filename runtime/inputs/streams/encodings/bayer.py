"""Bayer patterns: one colour a pixel, the two others from its neighbours."""

from __future__ import annotations

import numpy as np

_FIRST_RED = {"rggb": (0, 0), "grbg": (0, 1), "gbrg": (1, 0), "bggr": (1, 1)}

BAYER = tuple(f"bayer_{pattern}{bits}" for pattern in _FIRST_RED for bits in (8, 16))
"""The names of the patterns, by the colours of the first two rows."""


def debayered(values: np.ndarray, encoding: str) -> np.ndarray:
    """The colours of a mosaic (height, width) uint8 or uint16: (3, height, width) of the same dtype, RGB.

    encoding: one of `BAYER`. Bilinear, rounded half up, as OpenCV's; at the edge, the neighbours inside stand for those
    outside. Raises ValueError for an odd size or fewer than two rows and columns.
    """
    height, width = values.shape
    if height % 2 or width % 2 or not values.size:
        raise ValueError(f"encoding {encoding}: {width} x {height} pixels, expected even sizes of at least 2")
    row, column = _FIRST_RED[encoding[6:10]]
    wide = np.pad(values.astype(np.uint32), 1, mode="reflect")

    def neighbours(top: int, left: int, *places: tuple[int, int]) -> np.ndarray:
        """The mean of some neighbours of every second pixel from (top, left)."""
        parts = [wide[1 + top + y : height + 1 + y : 2, 1 + left + x : width + 1 + x : 2] for y, x in places]
        mean: np.ndarray = (sum(parts[1:], parts[0]) + len(parts) // 2) // len(parts)
        return mean

    beside, above = ((0, -1), (0, 1)), ((-1, 0), (1, 0))
    corners = (-1, -1), (-1, 1), (1, -1), (1, 1)
    made = np.empty((3, height, width), values.dtype)
    for own, other, y, x in ((0, 2, row, column), (2, 0, 1 - row, 1 - column)):
        made[own, y::2, x::2] = values[y::2, x::2]
        made[1, y::2, x::2] = neighbours(y, x, *beside, *above)
        made[other, y::2, x::2] = neighbours(y, x, *corners)
        made[own, y::2, 1 - x :: 2] = neighbours(y, 1 - x, *beside)
        made[own, 1 - y :: 2, x::2] = neighbours(1 - y, x, *above)
        made[1, y::2, 1 - x :: 2] = values[y::2, 1 - x :: 2]
    return made
