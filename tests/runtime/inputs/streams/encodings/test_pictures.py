"""Every encoding finds its reader."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.runtime.inputs.streams.encodings.bayer import BAYER, debayered
from outrider.runtime.inputs.streams.encodings.pictures import to_picture
from outrider.runtime.inputs.streams.encodings.rows import EncodingError

from .messages import compressed, image
from .test_compressed import RGB, png


@pytest.mark.parametrize("encoding", BAYER)
@pytest.mark.parametrize("big", [False, True])
def test_mosaics_of_either_depth_and_order(encoding, big):
    values = np.random.default_rng(4).integers(0, 256, (4, 6)).astype(np.uint8)
    if encoding.endswith("16"):
        values = values.astype(np.uint16) * 200
    stored = values.astype(values.dtype.newbyteorder(">" if big else "<"))
    picture = to_picture(image(stored, encoding, padding=2, big=big))
    assert np.array_equal(picture, debayered(values, encoding))
    assert picture.dtype == values.dtype


def test_the_others_and_none():
    assert np.array_equal(to_picture(image(RGB, "rgb8")).transpose(1, 2, 0), RGB)
    assert np.array_equal(to_picture(compressed(png(RGB), "png")).transpose(1, 2, 0), RGB)
    assert to_picture(image(RGB[..., :2], "yuyv")).shape == (3, 6, 10)
    with pytest.raises(EncodingError, match=r"expected pictures encoded as mono8, .*, got 'theora'"):
        to_picture(image(RGB, "theora"))
