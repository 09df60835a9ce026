"""The rows that a PNG file holds, which Pillow does not count."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

_HEADER = struct.Struct(">IIBBBBB")
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Of each pass of interlaced pixels: the first column and row, and the steps between columns and between rows."""
_PIECE = 1 << 20


def refuse_few_rows(data: bytes) -> None:
    """Raise ValueError for a PNG file with fewer rows than it says, of which Pillow makes the others black.

    data: the whole file, its checksums found right.
    """
    width, height, bits, kind, _, _, interlaced = _HEADER.unpack_from(data, 16)
    missing = 0
    for x, y, across, down in _ADAM7 if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - x) // across), -(-(height - y) // down)
        if columns > 0 and rows > 0:
            missing += rows * (1 + -(-columns * bits * _SAMPLES[kind] // 8))
    unpacking = zlib.decompressobj()
    for name, content in _chunks(data):
        left = content if name == b"IDAT" else b""
        while left:
            missing -= len(unpacking.decompress(left, _PIECE))
            left = unpacking.unconsumed_tail
    if missing - len(unpacking.flush()) > 0:
        raise ValueError("a PNG file with fewer pixels than it says")


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(name, content) of every chunk."""
    at = 8
    while at < len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], data[at + 8 : end]
        at = end + 4
