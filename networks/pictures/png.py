"""PNG files of 16 bits, read in one pass: Pillow takes two, one for the upper bytes and one for the lower."""

from __future__ import annotations

import struct
import zlib
from functools import cache
from typing import Any

import numpy as np

_HEADER = struct.Struct(">IIBBBBB")
_CHANNELS = {0: 1, 2: 3}  # luminance, RGB
_PLAIN = (b"IHDR", b"IDAT", b"IEND", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"pHYs", b"tIME", b"bKGD", b"iCCP")
"""Chunks that change neither the numbers nor which side is up."""


def deep_png(data: bytes, most: int) -> np.ndarray | None:
    """A PNG file of 16 bits as (1 or 3, height, width) uint16; None for one that is not plain, or odd.

    data: the whole file, its checksums found right. Plain are luminance and RGB that are not interlaced, without
    transparency, EXIF or text. most: pixels of the largest picture.
    """
    if len(data) < 33 or data[:8] != b"\x89PNG\r\n\x1a\n" or data[12:16] != b"IHDR":
        return None
    width, height, bits, kind, *methods = _HEADER.unpack_from(data, 16)
    if bits != 16 or kind not in _CHANNELS or any(methods) or not 0 < width * height <= most:
        return None
    packed, at = [], 8
    while at < len(data):
        length, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if name not in _PLAIN:
            return None
        if name == b"IDAT":
            packed.append(data[at + 8 : at + 8 + length])
        at += 12 + length
    size = 1 + 2 * _CHANNELS[kind] * width
    try:
        rows = bytearray(zlib.decompressobj().decompress(b"".join(packed), height * size + 1))
    except zlib.error:
        return None
    if len(rows) != height * size:
        return None
    planes = np.empty((_CHANNELS[kind], height, width), np.uint16)
    whole = _unfilter()(np.frombuffer(rows, np.uint8).reshape(height, size), planes)
    return planes if whole else None


def _unfiltered(rows: Any, planes: Any) -> bool:  # noqa: C901 (a branch for each filter of the standard)
    """Undo the filters of all rows (height, 1 + bytes) in place, and put their numbers into planes.

    Returns whether every row names a filter that there is.
    """
    channels, height, width = planes.shape
    step, size = 2 * channels, rows.shape[1]
    for y in range(height):
        kind = rows[y, 0]
        if kind > 4:
            return False
        if kind == 4 and y == 0:
            kind = 1  # nothing above: the nearest is the left one
        elif kind == 2 and y == 0:
            kind = 0
        above = rows[max(y - 1, 0)]
        row = rows[y]
        if kind == 1:
            for i in range(1 + step, size):
                row[i] += row[i - step]
        elif kind == 2:
            for i in range(1, size):
                row[i] += above[i]
        elif kind == 3 and y == 0:
            for i in range(1 + step, size):
                row[i] += row[i - step] >> np.uint8(1)
        elif kind == 3:
            for i in range(1, 1 + step):
                row[i] += above[i] >> np.uint8(1)
            for i in range(1 + step, size):
                row[i] += np.uint8((np.int32(row[i - step]) + np.int32(above[i])) >> 1)
        elif kind == 4:
            for i in range(1, 1 + step):
                row[i] += above[i]
            for i in range(1 + step, size):
                a, b, c = np.int32(row[i - step]), np.int32(above[i]), np.int32(above[i - step])
                by_left, by_above, by_corner = abs(b - c), abs(a - c), abs(a + b - 2 * c)
                guess = c
                if by_above <= by_corner:
                    guess = b
                if by_left <= by_above and by_left <= by_corner:
                    guess = a
                row[i] += np.uint8(guess)
        for channel in range(channels):
            line = planes[channel, y]
            for x in range(width):
                at = 1 + 2 * channel + step * x
                line[x] = (np.uint16(row[at]) << np.uint16(8)) | np.uint16(row[at + 1])
    return True


@cache
def _unfilter() -> Any:
    """`_unfiltered`, compiled at its first use: numba is a large import for those who read no such file."""
    from numba import boolean, njit, uint8, uint16

    signature = boolean(uint8[:, ::1], uint16[:, :, ::1])
    try:
        return njit(signature, nogil=True, cache=True)(_unfiltered)
    except RuntimeError:  # numba finds no folder to cache in: a read-only image without HOME
        return njit(signature, nogil=True)(_unfiltered)
