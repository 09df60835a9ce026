"""Standard operators whose form depends on the opset, and sums over the columns of a row of neurons.

A number that is lost (NaN, or too large to tell from infinity) is written as `LOST` or more: sums keep it, products
with a zero do not turn it into NaN in every column, and `settled` makes it infinite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...networks.onnx_proto import Fragment

LOST = 1e37
_LARGEST_MATRIX = 1 << 20
_MANY = (
    1 << 16
)  # neurons above which their sums are tested for NaN and Inf, which finite ones of 1e33 and more can fail
_FLOAT, _INT32, _INT64 = 1, 6, 7
_AXES_AS_INPUT = {"ReduceSum": 13, "ReduceMax": 18, "ReduceMin": 18}


class Operators:
    """Adds nodes to a fragment; every method returns the name of a tensor. Rows are samples: axis 0 is the batch."""

    def __init__(self, fragment: Fragment) -> None:
        self.fragment = fragment
        self.opset = fragment.opset

    def __call__(self, op: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        return self.fragment.node(op, *inputs, output=output, **attributes)

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        return self.fragment.constant(values, dtype)

    def reduce(self, op: str, source: str, *axes: int, keep: bool = True) -> str:
        """ReduceSum, ReduceMax or ReduceMin over some axes, by default the second."""
        if self.opset >= _AXES_AS_INPUT[op]:
            return self(op, source, self.constant(axes or [1], np.int64), keepdims=int(keep))
        return self(op, source, axes=axes or (1,), keepdims=int(keep))

    def clip(self, source: str, low: float, high: float) -> str:
        if self.opset >= 11:
            return self("Clip", source, self.constant(low), self.constant(high))
        return self("Clip", source, min=float(low), max=float(high))

    def part(self, source: str, start: int, stop: int) -> str:
        """Columns start to stop."""
        if self.opset >= 10:
            return self("Slice", source, *(self.constant([i], np.int64) for i in (start, stop, 1)))
        return self("Slice", source, starts=(start,), ends=(stop,), axes=(1,))

    def reshape(self, source: str, *shape: int) -> str:
        """0 keeps the size that an axis has, -1 takes what is left."""
        return self("Reshape", source, self.constant(shape, np.int64))

    def to_float(self, source: str) -> str:
        return self("Cast", source, to=_FLOAT)

    def to_index(self, source: str, dtype: type[np.integer]) -> str:
        """As int32 or int64."""
        return self("Cast", source, to=_INT32 if dtype is np.int32 else _INT64)

    def join(self, parts: Sequence[str]) -> str:
        """The columns of several tensors beside each other."""
        return parts[0] if len(parts) == 1 else self("Concat", *parts, axis=1)

    def settled(self, source: str, output: str | None = None) -> str:
        """Infinity in place of NaN and of what is lost."""
        kept = self("Less", source, self.constant(LOST))
        return self("Where", kept, source, self.constant(np.inf), output=output)

    def not_finite(self, source: str) -> str:
        """NaN in place of NaN and Inf, 0 in place of others."""
        return self("Sub", source, source)

    def column_sums(self, source: str, sizes: Sequence[int], neurons: str | None = None) -> str:
        """(batch, sum of sizes) -> (batch, len(sizes)): the sum of each column; a lost number loses its column.

        neurons: of the same shape; where one of them is NaN or Inf, the number in its place is lost; so it is where the
        sum of many overflows. What is lost comes out as NaN, or as `LOST` and more.

        Neurons are first summed in pieces of the greatest common divisor of the sizes, the pieces by a product with
        a matrix of zeros and ones: two nodes for any number of columns.
        """
        if neurons is not None and sum(sizes) <= _MANY:
            source, neurons = self("Add", source, self.not_finite(neurons)), None
        piece = math.gcd(*sizes)
        pieces = [size // piece for size in sizes]
        if 4 * sum(pieces) * len(sizes) > _LARGEST_MATRIX or (piece == 1 and neurons is not None):
            ends = np.cumsum(sizes).tolist()
            spans = [(end - size, end) for size, end in zip(sizes, ends, strict=True)]
            return self.join(
                [
                    self._sum(self.part(source, *span), None if neurons is None else self.part(neurons, *span))
                    for span in spans
                ]
            )
        if len(sizes) == 1:
            return self._sum(source, neurons)
        if piece > 1:
            source = self.reshape(source, 0, -1, piece)
            neurons = None if neurons is None else self.reshape(neurons, 0, -1, piece)
            source = self._sum(source, neurons, axis=2)
        if len(set(sizes)) == 1:
            return source
        finite = self("Where", self("Less", source, self.constant(LOST)), source, self.constant(2 * LOST))
        ones = np.repeat(np.eye(len(sizes), dtype=np.float32), pieces, axis=0)
        return self("MatMul", finite, self.constant(ones))

    def _sum(self, source: str, neurons: str | None, axis: int = 1) -> str:
        """Over one axis, the last, which goes unless it is the only one; NaN where the neurons' sum is not finite."""
        total = self.reduce("ReduceSum", source, axis, keep=axis == 1)
        if neurons is None:
            return total
        of_neurons = self.reduce("ReduceSum", neurons, axis, keep=axis == 1)
        return self("Add", total, self.not_finite(of_neurons))

    def log1p(self, source: str, *, whole: bool = False) -> str:
        """log(1 + x) for x >= 0, whole numbers or any: then small ones keep their digits (Kahan's form)."""
        above = self("Add", source, self.constant(1))
        if whole:
            return self("Log", above)
        rounded = self("Sub", above, self.constant(1))
        large = self("Mul", source, self("Div", self("Log", above), rounded))
        return self("Where", self("Greater", rounded, self.constant(0)), large, source)
