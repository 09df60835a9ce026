"""Sizes that a message states, against the bytes that it holds."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.runtime.inputs.streams.encodings.packed import packed_picture
from outrider.runtime.inputs.streams.encodings.rows import rows_of

from .messages import image

RGB = np.random.default_rng(7).integers(0, 256, (6, 10, 3), np.uint8)


def test_the_last_row_may_lack_its_padding():
    message = image(RGB, "rgb8", padding=5)
    message.data = message.data[:-5]
    assert np.array_equal(packed_picture(message).transpose(1, 2, 0), RGB)
    message.data = message.data[:-1]
    with pytest.raises(ValueError, match="encoding rgb8: 204 bytes in rows of 35 for 10 x 6 pixels"):
        packed_picture(message)


@pytest.mark.parametrize(
    "changes",
    [{"height": 7}, {"width": 11}, {"step": 29}, {"data": b""}, {"height": 0, "data": b""}, {"width": 0, "step": 0},
     {"height": 2**32 - 1, "width": 2**31}],
)  # fmt: skip
def test_sizes_that_do_not_fit_are_refused(changes):
    with pytest.raises(ValueError, match=r"encoding rgb8: .* bytes in rows of"):
        packed_picture(image(RGB, "rgb8", **changes))


def test_rows_from_a_place_further_on():
    message = image(np.arange(24, dtype=np.uint8).reshape(4, 6), "mono8")
    assert rows_of(message, 3, height=2, begin=12, step=5).tolist() == [[12, 13, 14], [17, 18, 19]]
