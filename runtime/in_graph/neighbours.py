"""The distance to the k-th nearest trusted sample, as nodes."""

from __future__ import annotations

from typing import Any

import numpy as np

from .group import Add, Group, parts
from .operators import Operators, in_order

_TINY = np.finfo(np.float32).tiny


def neighbours(ops: Operators, group: Group) -> Add:
    """As `kth_nearest_by_scores`: the distance to the sample that is the k-th nearest is worked out anew."""
    criterion: Any = group.criterion

    def add(values: str) -> str:
        found = []
        for part, (project, bank) in zip(parts(ops, values, group.sizes), group.tables(), strict=True):
            vectors = _unit(ops, part) if criterion.normalise else part
            along = ops("MatMul", vectors, ops.constant(project)) if len(project) else vectors
            with np.errstate(over="ignore"):
                lengths = np.square(bank).sum(axis=1)[None]
            products = ops("MatMul", along, ops.constant(np.ascontiguousarray(-2 * bank.T)))
            kth = _kth_lowest(ops, ops("Add", products, ops.constant(lengths)), min(criterion.k, len(bank)))
            found.append(_squares(ops, ops("Sub", along, ops("Gather", ops.constant(bank), kth, axis=0))))
        return ops("Sqrt", ops.settled(ops.join(in_order(found, group.order))))

    return add


def _kth_lowest(ops: Operators, scores: str, k: int) -> str:
    """The column of the k-th lowest of each row, (batch,) int64."""
    if k > 1:
        kth = ops("Neg", ops.part(ops.highest(ops("Neg", scores), k), k - 1, k))
        scores = ops("Abs", ops("Sub", scores, kth))
    return ops("ArgMin", scores, axis=1, keepdims=0)


def _squares(ops: Operators, vectors: str) -> str:
    return ops.reduce("ReduceSum", ops("Mul", vectors, vectors))


def _unit(ops: Operators, vectors: str) -> str:
    """Vectors of length 1, or 0. They are divided by their highest number first, so that no square is too large."""
    highest = ops("Max", ops.reduce("ReduceMax", ops("Abs", vectors)), ops.constant(_TINY))
    below_one = ops("Div", vectors, highest)
    length = ops("Sqrt", _squares(ops, below_one))
    return ops("Div", below_one, ops("Max", length, ops.constant(_TINY)))
