"""Columns of one criterion in a graph: their tables, the row of a class, the neurons of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...coverage import Criterion, Signature
from .operators import Operators

Add = Callable[[str], str]
"""From the name of neurons (batch, sum of sizes) float32 to that of deviations (batch, columns) float32."""


@dataclass(frozen=True)
class Group:
    """Columns of one criterion. prediction: name of (batch,) int64, or None where there is one class for all.

    order: which column of the deviations each of them becomes, None for the order in which they are. many: whether
    a frame has many rows, such as the places of a map, so that no table of a class is to be copied for each of them.
    """

    criterion: Criterion
    signatures: Sequence[Signature]
    prediction: str | None
    order: Sequence[int] | None = None
    many: bool = False

    @property
    def sizes(self) -> list[int]:
        return [signature.neurons for signature in self.signatures]

    def tables(self) -> list[Any]:
        """What the criterion compares with, a set of tables per column."""
        for signature in self.signatures:
            self.criterion.prepare(signature)
        return [signature.tables(tuple) for signature in self.signatures]

    def joined_tables(self) -> list[np.ndarray]:
        """The same with the neurons of all columns beside each other, (classes, neurons, ...) each."""
        return [np.concatenate(parts, axis=1) for parts in zip(*self.tables(), strict=True)]


def row(ops: Operators, table: np.ndarray, prediction: str | None) -> str:
    """The predicted class's row of a (classes, ...) table: (batch, ...), or (1, ...) where there is one class."""
    if prediction is None:
        return ops.constant(table[:1], table.dtype)
    return ops("Gather", ops.constant(table, table.dtype), prediction, axis=0)


def parts(ops: Operators, values: str, sizes: Sequence[int]) -> list[str]:
    """The neurons of each column."""
    if len(sizes) == 1:
        return [values]
    ends = np.cumsum(sizes).tolist()
    return [ops.part(values, end - size, end) for size, end in zip(sizes, ends, strict=True)]
