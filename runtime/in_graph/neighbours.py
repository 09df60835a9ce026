"""The distance to the k-th nearest trusted sample of the class, as nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .group import Add, Group, parts, row
from .operators import LOST, Operators, in_order

_One = Callable[[str], str]
"""From the name of the vectors of one column (batch, neurons) to that of their squared distances (batch, 1)."""


def neighbours(ops: Operators, group: Group) -> Add:
    """As `kth_nearest`. The samples of the class are copied out for a row; many rows are compared with all samples."""
    criterion: Any = group.criterion
    of = _to_all if group.many else _to_copied
    several = [of(ops, bank, held, criterion.k, group.prediction) for bank, held in group.tables()]

    def add(values: str) -> str:
        found = [
            squares(_unit(ops, part) if criterion.normalise else part)
            for squares, part in zip(several, parts(ops, values, group.sizes), strict=True)
        ]
        return ops("Sqrt", ops.settled(ops.join(in_order(found, group.order))))

    return add


def _to_copied(ops: Operators, bank: np.ndarray, held: np.ndarray, k: int, prediction: str | None) -> _One:
    there = np.arange(bank.shape[1]) < held[:, None]
    samples, beyond = row(ops, bank, prediction), row(ops, _beyond(there), prediction)
    kth = _kth_lowest(ops, np.clip(held, 1, k), k, prediction)

    def squares(vectors: str) -> str:
        apart = ops("Sub", samples, ops.reshape(vectors, -1, 1, bank.shape[2]))
        return kth(ops("Add", ops.reduce("ReduceSum", ops("Mul", apart, apart), 2, keep=False), beyond))

    return squares


def _to_all(ops: Operators, bank: np.ndarray, held: np.ndarray, k: int, prediction: str | None) -> _One:
    """One product with the samples of all classes; those of other classes are infinitely far."""
    classes, capacity, neurons = bank.shape
    if prediction is None:
        bank, held, classes = bank[:1], held[:1], 1
    there = np.arange(capacity) < held[:, None]
    own = (np.eye(classes, dtype=bool)[:, :, None] & there[:, None]).reshape(classes, -1)[:, there.ravel()]
    samples = bank.reshape(-1, neurons)[there.ravel()]
    with np.errstate(over="ignore"):
        lengths = ops.constant(np.square(samples).sum(axis=1)[None])
    products, beyond = ops.constant(np.ascontiguousarray(-2 * samples.T)), row(ops, _beyond(own), prediction)
    k = min(k, len(samples))
    kth = _kth_lowest(ops, np.clip(held, 1, k), k, prediction)

    def squares(vectors: str) -> str:
        scores = ops("Add", ops("MatMul", vectors, products), ops("Add", beyond, lengths))
        return ops("Relu", ops("Add", kth(scores), _squares(ops, vectors)))

    return squares


def _beyond(there: np.ndarray) -> np.ndarray:
    return np.where(there, 0, np.inf).astype(np.float32)


def _kth_lowest(ops: Operators, which: np.ndarray, k: int, prediction: str | None) -> _One:
    """What gives of each row (batch, any) the lowest but which[class] - 1, at most the k-th."""
    if k == 1:
        return lambda scores: ops.reduce("ReduceMin", scores)
    chosen = row(ops, np.arange(k) == which[:, None] - 1, prediction)

    def kth(scores: str) -> str:
        lowest = ops("Neg", ops.highest(ops("Neg", scores), k))
        return ops.reduce("ReduceSum", ops("Where", chosen, lowest, ops.constant(0)))

    return kth


def _squares(ops: Operators, vectors: str) -> str:
    return ops.reduce("ReduceSum", ops("Mul", vectors, vectors))


def _unit(ops: Operators, vectors: str) -> str:
    """Vectors of length 1, or 0; NaN where the square of a length is too large, so that the row is lost."""
    length = ops("Sqrt", _squares(ops, vectors))
    length = ops("Where", ops("Greater", length, ops.constant(0)), length, ops.constant(1))
    return ops("Div", vectors, ops("Where", ops("Less", length, ops.constant(LOST)), length, ops.constant(np.nan)))
