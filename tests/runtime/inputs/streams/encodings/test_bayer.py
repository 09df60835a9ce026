"""Mosaics, against OpenCV where it is installed and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.runtime.inputs.streams.encodings.bayer import BAYER, debayered

FIRST_ROWS = {"rggb": ("RG", "GB"), "grbg": ("GR", "BG"), "gbrg": ("GB", "RG"), "bggr": ("BG", "GR")}


def mosaic(colours, pattern):
    """What a sensor behind the filter sees of colours (3, height, width)."""
    rows, columns = np.indices(colours.shape[1:]) % 2
    letters = np.array([list(row) for row in FIRST_ROWS[pattern]])[rows, columns]
    return np.select([letters == "R", letters == "G"], [colours[0], colours[1]], colours[2])


@pytest.mark.parametrize("encoding", BAYER)
def test_opencv_sees_the_same(encoding):
    cv2 = pytest.importorskip("cv2")
    dtype = np.uint8 if encoding.endswith("8") else np.uint16
    values = np.random.default_rng(5).integers(0, np.iinfo(dtype).max + 1, (12, 16), dtype)
    pattern = encoding[6:10].upper()
    reference = cv2.cvtColor(values, getattr(cv2, f"COLOR_Bayer{pattern}2RGB")).transpose(2, 0, 1)
    made = debayered(values, encoding)
    assert made.dtype == dtype
    assert np.array_equal(made[:, 1:-1, 1:-1], reference[:, 1:-1, 1:-1])


@pytest.mark.parametrize("pattern", FIRST_ROWS)
def test_a_ramp_is_seen_as_it_is_up_to_the_edge(pattern):
    """A bilinear debayering keeps planes; at the edge the mirrored neighbour keeps those along it."""
    down, across = np.indices((8, 10))
    colours = np.stack([1000 + 20 * across, 2000 + 40 * down, 500 + 30 * down + 10 * across]).astype(np.uint16)
    made = debayered(mosaic(colours, pattern).astype(np.uint16), f"bayer_{pattern}16")
    assert np.array_equal(made[:, 1:-1, 1:-1], colours[:, 1:-1, 1:-1])
    flat = np.array([100, 150, 200], np.uint8)[:, None, None] * np.ones((1, 4, 6), np.uint8)
    assert np.array_equal(debayered(mosaic(flat, pattern).astype(np.uint8), f"bayer_{pattern}8"), flat)


@pytest.mark.parametrize("shape", [(3, 4), (4, 5), (0, 4)])
def test_odd_and_empty_ones_are_refused(shape):
    with pytest.raises(ValueError, match=r"encoding bayer_rggb8: .* pixels, expected even sizes of at least 2"):
        debayered(np.zeros(shape, np.uint8), "bayer_rggb8")
