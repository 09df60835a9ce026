"""The distance to the k-th nearest trusted sample of the class, as nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .by_class import each_class
from .group import Add, Group, parts, row
from .operators import LOST, Operators, in_order

_One = Callable[[str], str]
"""From the name of the neurons of one column (batch, neurons) to that of their squared distances (batch, 1)."""


def neighbours(ops: Operators, group: Group) -> Add:
    """As `kth_nearest`. For a row the samples of its class are copied out; of many, those of a class go together."""
    several = (_of_rows if group.many else _of_frames)(ops, group, group.criterion)

    def add(values: str) -> str:
        found = [squares(part) for squares, part in zip(several, parts(ops, values, group.sizes), strict=True)]
        return ops("Sqrt", ops.settled(ops.join(in_order(found, group.order))))

    return add


def _of_frames(ops: Operators, group: Group, criterion: Any) -> list[_One]:
    def of_column(bank: np.ndarray, held: np.ndarray) -> _One:
        there = np.arange(bank.shape[1]) < held[:, None]
        samples, beyond = row(ops, bank, group.prediction), row(ops, _beyond(there), group.prediction)
        chosen = np.arange(criterion.k) == np.clip(held, 1, criterion.k)[:, None] - 1
        which = row(ops, chosen, group.prediction) if criterion.k > 1 else ""

        def squares(values: str) -> str:
            vectors = ops("Mul", values, _inverse_length(ops, values)) if criterion.normalise else values
            apart = ops("Sub", samples, ops.reshape(vectors, -1, 1, bank.shape[2]))
            found = ops("Add", ops.reduce("ReduceSum", ops("Mul", apart, apart), 2, keep=False), beyond)
            if criterion.k == 1:
                return ops.reduce("ReduceMin", found)
            return ops.reduce("ReduceSum", ops("Where", which, _lowest(ops, found, criterion.k), ops.constant(0)))

        return squares

    return [of_column(bank, held) for bank, held in group.tables()]


def _of_rows(ops: Operators, group: Group, criterion: Any) -> list[_One]:
    """By products, of which little is left for a row that is a sample itself."""
    each = each_class(ops, group)

    def of_column(bank: np.ndarray, held: np.ndarray) -> _One:
        def of_class(c: int, values: str, *inverse: str) -> str:
            samples = bank[c, : max(held[c], 1)]  # a class that this column has not seen is lost elsewhere
            k = min(criterion.k, len(samples))
            with np.errstate(over="ignore"):
                lengths = ops.constant(np.square(samples).sum(axis=1)[None])
            products = ops("MatMul", values, ops.constant(np.ascontiguousarray(-2 * samples.T)))
            scores = ops("Add", ops("Mul", products, *inverse) if inverse else products, lengths)
            return ops.reduce("ReduceMin", scores) if k == 1 else ops.part(_lowest(ops, scores, k), k - 1, k)

        def squares(values: str) -> str:
            own = ops.reduce("ReduceSum", ops("Mul", values, values))
            if not criterion.normalise:
                return _from_zero(ops, ops("Add", each(of_class, values), own))
            inverse = _inverse_length(ops, values)
            one = ops("Mul", own, ops("Mul", inverse, inverse))  # 0 for a vector of zeros
            return _from_zero(ops, ops("Add", each(of_class, values, inverse), one))

        return squares

    return [of_column(bank, held) for bank, held in group.tables()]


def _lowest(ops: Operators, scores: str, k: int) -> str:
    """The k lowest columns, the lowest first."""
    return ops("Neg", ops.highest(ops("Neg", scores), k))


def _beyond(there: np.ndarray) -> np.ndarray:
    return np.where(there, 0, np.inf).astype(np.float32)


def _from_zero(ops: Operators, squares: str) -> str:
    """0 in place of less, which is rounding. A Relu would take NaN for 0."""
    return ops("Where", ops("Less", squares, ops.constant(0)), ops.constant(0), squares)


def _inverse_length(ops: Operators, values: str) -> str:
    """1 / length of each row, 1 for one of zeros; NaN where its square is too large, so that the row is lost."""
    length = ops("Sqrt", ops.reduce("ReduceSum", ops("Mul", values, values)))
    length = ops("Where", ops("Greater", length, ops.constant(0)), length, ops.constant(1))
    return ops("Reciprocal", ops("Where", ops("Less", length, ops.constant(LOST)), length, ops.constant(np.nan)))
