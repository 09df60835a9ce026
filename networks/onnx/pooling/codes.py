"""Neurons of maps of 8-bit codes."""

from __future__ import annotations

import numpy as np

from ...neurons import FIRST
from ...tap import Tap
from ..proto import Fragment
from .grids import averages
from .parts import Pooled, PooledForm, channels_first, flat


def sums_of_codes(fragment: Fragment, tap: Tap) -> Pooled:
    """Exact sums of 8-bit codes over windows, from an integer product with a matrix of ones.

    The channels are put last, where ONNX Runtime has them in quantised convolutions.
    """
    source, channels = tap.name, tap.shape[0 if tap.layout in FIRST else -1]
    if tap.layout in FIRST:
        source = fragment.node("Transpose", source, perm=(0, *range(2, len(tap.shape) + 1), 1))
    source = flat(fragment, tap, source)
    ones = (averages(tap) > 0).astype(np.uint8)
    counts = np.repeat(ones.sum(1, dtype=np.float32)[:, None], channels or 0, axis=1)
    name = fragment.node("MatMulInteger", fragment.constant(ones), source)
    return Pooled(name, PooledForm("rows", "int32", 3, len(ones), tap.shift), counts)


def highest_codes(fragment: Fragment, tap: Tap) -> Pooled:
    name = fragment.node("MaxPool", channels_first(fragment, tap, tap.name), kernel_shape=tap.map_sizes)
    return Pooled(name, PooledForm("planes", tap.dtype, len(tap.shape) + 1, 1, tap.shift))
