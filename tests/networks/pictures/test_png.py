"""PNG files with fewer rows than they say."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from outrider.networks.pictures.reading import decode_picture

pytest.importorskip("PIL.Image")


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@pytest.mark.parametrize(
    ("bits", "colour"), [(1, 0), (1, 3), (8, 0), (8, 2), (8, 3), (8, 4), (8, 6), (16, 0), (16, 2), (16, 4), (16, 6)]
)
@pytest.mark.parametrize("shape", [(9, 5), (1, 1), (2, 9)])
def test_rows_that_are_not_there_are_no_black_rows(shape, bits, colour):
    """Adam7 takes pixels in seven passes; every pass that has a pixel has rows of its own, each behind its filter."""
    height, width = shape
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    order = np.array(
        [[1, 6, 4, 6, 2, 6, 4, 6], [7] * 8, [5, 6, 5, 6, 5, 6, 5, 6], [7] * 8,
         [3, 6, 4, 6, 3, 6, 4, 6], [7] * 8, [5, 6, 5, 6, 5, 6, 5, 6], [7] * 8]
    )  # fmt: skip
    of_pixel = order[np.ix_(np.arange(height) % 8, np.arange(width) % 8)]
    interlaced = [(of_pixel[y] == one).sum() for one in range(1, 8) for y in range(height) if one in of_pixel[y]]
    for interlace, rows in enumerate(([width] * height, interlaced)):
        whole = b"".join(bytes([0]) + b"\xff" * -(-bits * samples * int(columns) // 8) for columns in rows)
        palette = chunk(b"PLTE", b"\7\7\7" * (2 if bits == 1 else 256)) if colour == 3 else b""
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlace))
        last = 1 + -(-bits * samples * int(rows[-1]) // 8)
        for missing in (0, last, len(whole)):
            pixels = chunk(b"IDAT", zlib.compress(whole[: len(whole) - missing]))
            data = b"\x89PNG\r\n\x1a\n" + header + palette + pixels + chunk(b"IEND", b"")
            if missing:
                with pytest.raises(ValueError, match="frame: expected a picture, got"):
                    decode_picture(data, "frame")
            else:
                assert decode_picture(data, "frame").min() in (7, 255, 65535)
