"""A criterion whose classes have a matrix each, as nodes.

For one row a frame the matrix of its class is copied out. For many rows that would be too much: the rows of each class
are taken together then, and their distances put back where they belong.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .group import Add, Group, parts, row
from .operators import Operators, in_order


def class_distance(ops: Operators, group: Group) -> Add:
    """As `whitened_distance_by_class`."""
    tables = group.tables()
    mean = row(ops, np.concatenate([mean for mean, _ in tables], axis=1), group.prediction)
    whitenings = [flat.reshape(-1, size, size) for (_, flat), size in zip(tables, group.sizes, strict=True)]
    several = [_of_rows, _of_frames][not (group.many and group.prediction)](ops, group, whitenings)

    def add(values: str) -> str:
        steps = parts(ops, ops("Sub", values, mean), group.sizes)
        found = [squares(part) for squares, part in zip(several, steps, strict=True)]
        return ops("Sqrt", ops.settled(ops.join(in_order(found, group.order))))

    return add


def _of_frames(ops: Operators, group: Group, whitenings: list[np.ndarray]) -> list[Callable[[str], str]]:
    """For each column, what adds the squares of distances (batch, 1) of steps (batch, neurons)."""

    def of_column(matrices: np.ndarray) -> Callable[[str], str]:
        own, size = row(ops, matrices, group.prediction), matrices.shape[1]
        return lambda steps: _squares(ops, ops.reshape(ops("MatMul", ops.reshape(steps, -1, 1, size), own), -1, size))

    return [of_column(matrices) for matrices in whitenings]


def _of_rows(ops: Operators, group: Group, whitenings: list[np.ndarray]) -> list[Callable[[str], str]]:
    """As `_of_frames`; a row of a class that no signature has seen gets 0."""
    prediction = str(group.prediction)
    seen = np.flatnonzero(np.any([signature.counts > 0 for signature in group.signatures], axis=0))
    rows = [ops.reshape(ops("NonZero", ops("Equal", prediction, ops.constant(c, np.int64))), -1) for c in seen]
    order = ops.reshape(_stacked(ops, rows), -1, 1)
    nothing = ops("ConstantOfShape", ops("Shape", ops.reshape(prediction, -1, 1)))
    scatter = "ScatterElements" if ops.opset >= 11 else "Scatter"

    def of_column(matrices: np.ndarray) -> Callable[[str], str]:
        def squares(steps: str) -> str:
            each = [
                _squares(ops, ops("MatMul", ops("Gather", steps, of_class, axis=0), ops.constant(matrices[c])))
                for c, of_class in zip(seen, rows, strict=True)
            ]
            return ops(scatter, nothing, order, _stacked(ops, each), axis=0)

        return squares

    return [of_column(matrices) for matrices in whitenings]


def _stacked(ops: Operators, several: list[str]) -> str:
    return several[0] if len(several) == 1 else ops("Concat", *several, axis=0)


def _squares(ops: Operators, vectors: str) -> str:
    return ops.reduce("ReduceSum", ops("Mul", vectors, vectors))
