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
    several = (_of_rows if group.many else _of_frames)(ops, group, whitenings)

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
    """As `_of_frames`."""
    each = each_class(ops, group)

    def of_column(matrices: np.ndarray) -> Callable[[str], str]:
        def of_class(c: int, steps: str) -> str:
            return _squares(ops, ops("MatMul", steps, ops.constant(matrices[c])))

        return lambda steps: each(of_class, steps)

    return [of_column(matrices) for matrices in whitenings]


def each_class(ops: Operators, group: Group) -> Callable[..., str]:
    """A function that takes the rows of each class together: (of_class, tensors of any rows) -> (batch, 1).

    of_class: from a class and its rows of the tensors to (its rows, 1). A row of a class that no signature of the group
    has seen gets infinity.
    """
    seen = np.flatnonzero(np.any([signature.counts > 0 for signature in group.signatures], axis=0)).tolist()
    if group.prediction is None:
        return lambda of_class, *tensors: of_class(0, *tensors)
    rows = [ops.reshape(ops("NonZero", ops("Equal", group.prediction, ops.constant(c, np.int64))), -1) for c in seen]
    order = ops.reshape(_stacked(ops, rows), -1, 1)
    zeros = ops("ConstantOfShape", ops("Shape", ops.reshape(group.prediction, -1, 1)))
    unseen = ops("Add", zeros, ops.constant(np.inf))
    scatter = "ScatterElements" if ops.opset >= 11 else "Scatter"

    def each(of_class: Callable[..., str], *tensors: str) -> str:
        found = [
            of_class(c, *(ops("Gather", tensor, of, axis=0) for tensor in tensors))
            for c, of in zip(seen, rows, strict=True)
        ]
        return ops(scatter, unseen, order, _stacked(ops, found), axis=0)

    return each


def _stacked(ops: Operators, several: list[str]) -> str:
    return several[0] if len(several) == 1 else ops("Concat", *several, axis=0)


def _squares(ops: Operators, vectors: str) -> str:
    return ops.reduce("ReduceSum", ops("Mul", vectors, vectors))
