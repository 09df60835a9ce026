"""How unusual the lengths of rows are."""

from __future__ import annotations

import math

from numba import float64

from ..compiling import LABELS, OUT, VALUES, compiled, read
from .in_blocks import square

_OF_CLASSES = read(float64, 1)


@compiled(VALUES, LABELS, _OF_CLASSES, _OF_CLASSES, float64, OUT)
def length_deviation(values, labels, mean, spread, smallest, out):
    """|log of the length of a row - mean[class]| / spread[class]; lengths below the smallest count as that."""
    for i in range(values.shape[0]):
        c = labels[i]
        out[i] = abs(math.log(max(math.sqrt(square(values[i])), smallest)) - mean[c]) / spread[c]
