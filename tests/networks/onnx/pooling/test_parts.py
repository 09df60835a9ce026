from __future__ import annotations

import pytest

from outrider.networks.onnx.pooling.parts import block_of, product


@pytest.mark.parametrize(
    ("channels", "block"), [(16, 16), (960, 16), (24, 8), (8, 8), (184, 8), (20, 1), (3, 1), (1, 1)]
)
def test_channels_fill_the_largest_blocks_that_divide_them(channels, block):
    assert block_of(channels) == block


@pytest.mark.parametrize(("sizes", "places"), [((3, 4), 12), ((7,), 7), ((3, None), 0), ((), 1)])
def test_a_map_with_an_open_size_has_no_places(sizes, places):
    assert product(sizes) == places
