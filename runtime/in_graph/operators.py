"""Standard operators whose form depends on the opset, and sums over the columns of a row of neurons.

A number that is lost (NaN, or too large to tell from infinity) is written as `LOST` or more. Sums keep it, a product
with zero does not turn it into NaN, and `settled` makes it infinite. Graphs are kept short: in a model that has just
filled the caches, even the smallest node takes two to four microseconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from ...networks.onnx.proto import Fragment

LOST = 1e37
_Part = TypeVar("_Part")
_LARGEST_MATRIX = 1 << 20
_FLOAT, _INT32, _INT64 = 1, 6, 7
_AXES_AS_INPUT = {"ReduceSum": 13, "ReduceMax": 18, "ReduceMin": 18, "ReduceLogSumExp": 18}


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
        """ReduceSum, ReduceMax, ReduceMin or ReduceLogSumExp over some axes, by default the second."""
        if self.opset >= _AXES_AS_INPUT[op]:
            return self(op, source, self.constant(axes or [1], np.int64), keepdims=int(keep))
        return self(op, source, axes=axes or (1,), keepdims=int(keep))

    def clip(self, source: str, low: float, high: float) -> str:
        if self.opset >= 11:
            return self("Clip", source, self.constant(low), self.constant(high))
        return self("Clip", source, min=float(low), max=float(high))

    def highest(self, source: str, k: int) -> str:
        """The k highest columns, the highest first."""
        if self.opset >= 10:
            return self("TopK", source, self.constant([k], np.int64), axis=1, unread=1)
        return self("TopK", source, k=k, axis=1, unread=1)

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

    def column_sums(
        self, source: str, sizes: Sequence[int], order: Sequence[int] | None = None, *, counts: bool = False
    ) -> str:
        """(batch, sum of sizes) -> (batch, len(sizes)): the sum of each column; a lost number loses its column.

        order: which column of the result each of the columns becomes. counts: whether all numbers are small.
        Neurons are first summed in pieces of the greatest common divisor of the sizes, the pieces by a product with
        a matrix of zeros and ones: two nodes for any number of columns.
        """
        piece = math.gcd(*sizes)
        pieces = [size // piece for size in sizes]
        if 4 * sum(pieces) * len(sizes) > _LARGEST_MATRIX:
            ends = np.cumsum(sizes).tolist()
            spans = [(end - size, end) for size, end in zip(sizes, ends, strict=True)]
            return self.join(in_order([self.reduce("ReduceSum", self.part(source, *span)) for span in spans], order))
        if len(sizes) == 1:
            return self.reduce("ReduceSum", source)
        if piece > 1:
            source = self.reduce("ReduceSum", self.reshape(source, -1, sum(pieces), piece), 2, keep=False)
        if len(set(sizes)) == 1 and order is None:
            return source
        if not counts:
            source = self("Where", self("Less", source, self.constant(LOST)), source, self.constant(2 * LOST))
        columns = np.arange(len(sizes)) if order is None else np.asarray(order)
        ones = np.repeat(np.eye(len(sizes), dtype=np.float32)[columns], pieces, axis=0)
        return self("MatMul", source, self.constant(ones))

    def log1p(self, source: str, *, whole: bool = False) -> str:
        """log(1 + x) for x >= 0, whole numbers or any: then small ones keep their digits (Kahan's form)."""
        above = self("Add", source, self.constant(1))
        if whole:
            return self("Log", above)
        rounded = self("Sub", above, self.constant(1))
        large = self("Mul", source, self("Div", self("Log", above), rounded))
        return self("Where", self("Greater", rounded, self.constant(0)), large, source)


def in_order(parts: Sequence[_Part], order: Sequence[int] | None) -> list[_Part]:
    """The parts, part i at index `order[i]`."""
    return list(parts) if order is None else [parts[i] for i in np.argsort(order)]
