"""PNG files of 16 bits with every filter, against the numbers that went in and against Pillow."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest

from outrider.networks.pictures.png import deep_png
from outrider.networks.pictures.reading import decode_picture

Image = pytest.importorskip("PIL.Image")
RNG = np.random.default_rng(0)
MOST = 10_000


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def paeth(a, b, c):
    """Which of three neighbours is nearest to a + b - c, as the standard says it."""
    p = a + b - c
    return min(((abs(p - one), order, one) for order, one in enumerate((a, b, c))))[2]


def filtered(raw, filters, step):
    """Rows of bytes behind their filters, by the formulas of the PNG standard."""
    rows = []
    for y, kind in enumerate(filters):
        row = bytearray([kind])
        for i, value in enumerate(raw[y]):
            a = int(raw[y][i - step]) if i >= step else 0
            b = int(raw[y - 1][i]) if y else 0
            c = int(raw[y - 1][i - step]) if y and i >= step else 0
            guess = (0, a, b, (a + b) // 2, paeth(a, b, c), 0)[kind]
            row.append((int(value) - guess) % 256)
        rows.append(bytes(row))
    return b"".join(rows)


def png(pixels, filters, *, extra=b"", interlace=0, packed=None):
    """A file of pixels (height, width[, 3]) uint16."""
    height, width = pixels.shape[:2]
    kind, step = (2, 6) if pixels.ndim == 3 else (0, 2)
    raw = pixels.astype(">u2").reshape(height, -1).view(np.uint8)
    packed = zlib.compress(filtered(raw, filters, step)) if packed is None else packed
    half = len(packed) // 2
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, interlace)
    return b"".join(
        [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), extra, chunk(b"IDAT", packed[:half]),
         chunk(b"IDAT", packed[half:]), chunk(b"IEND", b"")]
    )  # fmt: skip


@pytest.mark.parametrize("shape", [(10, 7), (10, 7, 3), (1, 1), (5, 1, 3)])
@pytest.mark.parametrize("first", range(5))
def test_every_filter_also_in_the_first_row(shape, first):
    pixels = RNG.integers(0, 65536, shape, np.uint16)
    filters = [(first + y) % 5 for y in range(shape[0])]
    data = png(pixels, filters)
    found = deep_png(data, MOST)
    assert found.dtype == np.uint16
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))
    if pixels.ndim == 2:
        np.testing.assert_array_equal(found[0], np.asarray(Image.open(io.BytesIO(data))).astype(np.uint16))


def test_what_is_not_plain_is_left_to_pillow():
    pixels = RNG.integers(0, 65536, (4, 5), np.uint16)
    filters = [0] * 4
    assert deep_png(png(pixels, filters, extra=chunk(b"gAMA", struct.pack(">I", 45455))), MOST) is not None
    for extra in (chunk(b"tRNS", b"\0\7"), chunk(b"eXIf", b"MM"), chunk(b"tEXt", b"a\0b"), chunk(b"acTL", bytes(8))):
        assert deep_png(png(pixels, filters, extra=extra), MOST) is None
    assert deep_png(png(pixels, filters, interlace=1), MOST) is None
    assert deep_png(png(pixels, filters), 19) is None
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "PNG")
    assert deep_png(file.getvalue(), MOST) is None
    assert deep_png(b"", MOST) is None


def test_broken_rows_are_refused_with_the_name():
    pixels = RNG.integers(0, 65536, (4, 5), np.uint16)
    whole = png(pixels, [0] * 4)
    assert np.array_equal(decode_picture(whole, "a")[0], pixels)
    for packed in (b"no zlib", zlib.compress(bytes(43)), zlib.compress(bytes(10**6)), zlib.compress(b"\5" * 44)):
        data = png(pixels, [0] * 4, packed=packed)
        assert deep_png(data, MOST) is None
    with pytest.raises(ValueError, match="a: expected a picture, got"):
        decode_picture(png(pixels, [0] * 4, packed=b"no zlib"), "a")
