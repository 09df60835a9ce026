"""The places of a map, which leave the graph with their channels last."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ...neurons import FIRST
from ...tap import Tap
from ..proto import Fragment
from .parts import channels_first, floats

CEIL_MODE = 10  # the operator set of windows that may hold fewer values than others
_LAST = {3: "NLC", 4: "NHWC", 5: "NDHWC"}


def add_places(fragment: Fragment, tap: Tap) -> Tap | None:
    """Add what makes places of a tapped map; the tap, with neurons ``pixel``, on the tensor whose places they are.

    That has its channels last, so that what is read of it lies side by side. Means over windows are float32. None
    where the graph cannot make them: windows of an open size need operator set 10.
    """
    window, first, rank = tap.window or 1, tap.layout in FIRST, len(tap.shape) + 1
    there = tap
    if window > 1:
        if None in tap.shape and fragment.opset < CEIL_MODE:
            return None
        source = channels_first(fragment, tap, floats(fragment, tap))
        options: dict[str, Any] = {"ceil_mode": 1}
        if None not in tap.shape:
            options = {"pads": [0] * (rank - 2) + [-(size or 0) % window for size in tap.map_sizes]}
        kernel = [window] * (rank - 2)
        name = fragment.node("AveragePool", source, kernel_shape=kernel, strides=kernel, count_include_pad=0, **options)
        if tap.shift:
            name = fragment.node("Add", name, fragment.constant(tap.shift, np.float32))
        there, first = replace(tap, name=name, dtype="float32"), True
    name = fragment.node("Transpose", there.name, perm=(0, *range(2, rank), 1)) if first else there.name
    channels = tap.shape[0 if tap.layout in FIRST else -1]
    shape = (*(tap.place_sizes or ()), channels)
    return replace(there, name=name, shape=shape, layout=_LAST[rank], neurons="pixel")
