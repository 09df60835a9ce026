"""Image messages without ROS: all that a reader looks at."""

from __future__ import annotations

import types

import numpy as np


def image(pixels, encoding, *, padding=0, big=False, **changes):
    """A message of an array (height, width[, channels]), rows padded with bytes that are no pixels."""
    rows = np.ascontiguousarray(pixels).reshape(len(pixels), -1).view(np.uint8)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=7)
    fields = {
        "height": pixels.shape[0], "width": pixels.shape[1], "encoding": encoding, "is_bigendian": int(big),
        "step": rows.shape[1], "data": rows.tobytes(),
    } | changes  # fmt: skip
    return types.SimpleNamespace(**fields)


def compressed(data, form):
    return types.SimpleNamespace(format=form, data=np.frombuffer(data, np.uint8))
