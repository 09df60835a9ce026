"""Criteria as nodes: the same arithmetic as in `outrider.coverage`, on the neurons of all taps of a criterion at once.

A neuron with NaN or Inf may give any deviation here: `builder` loses its frame as a whole.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...coverage import (
    Box,
    ClassMahalanobis,
    CoverageBitmap,
    Criterion,
    Energy,
    Gaussian,
    HeadCoverage,
    Mahalanobis,
    Margin,
    MultiRange,
    Neighbours,
    Norm,
    Pattern,
    RelativeMahalanobis,
    SingleRange,
    Softmax,
)
from ...coverage.criteria.norm import SMALLEST
from .by_class import class_distance
from .group import Add, Group, parts, row
from .neighbours import neighbours
from .operators import Operators, in_order


def prepare(ops: Operators, group: Group) -> Add:
    """Add what needs the prediction alone, and return what adds the rest."""
    return BUILDERS[type(group.criterion)](ops, group)


def counts(criterion: Criterion) -> bool:
    """Whether the deviations are whole numbers."""
    return isinstance(criterion, (CoverageBitmap, Gaussian, HeadCoverage, Pattern)) or criterion == SingleRange(
        getattr(criterion, "quantile", 0)
    )


def _range(ops: Operators, group: Group) -> Add:
    low, high, *inverse_width = (row(ops, table, group.prediction) for table in group.joined_tables())

    def add(values: str) -> str:
        if inverse_width:
            beyond = ops("Max", ops("Sub", low, values), ops("Sub", values, high))
            return ops.column_sums(ops("Mul", ops("Relu", beyond), inverse_width[0]), group.sizes, group.order)
        outside = ops.to_float(ops("Or", ops("Less", values, low), ops("Greater", values, high)))
        return ops.column_sums(outside, group.sizes, group.order, counts=True)

    return add


def _sections(ops: Operators, group: Group) -> Add:
    *ranges, cost = group.joined_tables()
    last = cost.shape[2] - 1
    low, high, per_unit = (row(ops, table, group.prediction) for table in ranges)
    index = np.int32 if cost.size < 2**31 else np.int64
    first = ops.constant([np.arange(cost.shape[1]) * (last + 1)], index)
    if group.prediction is None:
        cost = cost[:1]
    else:
        of_class = ops("Mul", group.prediction, ops.constant(cost[0].size, np.int64))
        first = ops("Add", first, ops.to_index(ops.reshape(of_class, -1, 1), index))
    costs = ops.constant(cost.ravel())

    def add(values: str) -> str:
        outside = ops("Or", ops("Less", values, low), ops("Greater", values, high))
        section = ops("Sub", ops("Ceil", ops("Mul", ops("Sub", values, low), per_unit)), ops.constant(1))
        section = ops(
            "Where", ops("Greater", section, ops.constant(0)), section, ops.constant(0)
        )  # NaN is 0, as for us
        section = ops.clip(section, 0, last - 1)
        section = ops.to_index(ops("Where", outside, ops.constant(last), section), index)
        found = ops("Gather", costs, ops("Add", section, first), axis=0)
        return ops.column_sums(found, group.sizes, group.order)

    return add


def _bitmap(ops: Operators, group: Group) -> Add:
    scale, base, bits = (np.concatenate(parts, -1) for parts in zip(*group.tables(), strict=True))
    byte = ops.to_float(row(ops, bits, group.prediction))

    def add(values: str) -> str:
        return ops.column_sums(_new_sections(ops, values, scale, base, byte), group.sizes, group.order, counts=True)

    return add


def _new_sections(ops: Operators, values: str, scale: np.ndarray, base: np.ndarray, byte: str) -> str:
    """1 for each value in a section whose bit is not set, (batch, n) float32. scale, base: (n,)."""
    follower = ops("Sub", ops("Floor", ops("Mul", values, ops.constant(scale[None]))), ops.constant(base[None] - 1))
    # Bit k of byte b is set where the fraction of b / 2^(k + 1) is a half or more: never in sections before the first,
    # where it is whole, nor from 8 on, where it is below a half. It has steps of 1 / 512 or more, so that 1 / 1024
    # makes up for Exp's rounding.
    power = ops("Exp", ops("Mul", ops.clip(follower, 0, 9), ops.constant(-np.log(2))))
    shifted = ops("Add", ops("Mul", byte, power), ops.constant(1 / 1024))
    return ops.to_float(ops("Less", ops("Sub", shifted, ops("Floor", shifted)), ops.constant(0.5)))


def _heads(ops: Operators, group: Group) -> Add:
    """Norms and angles of all heads beside each other. Sums in float32 may put one that lies on a border beside it."""
    directions, *tables = (np.concatenate(parts, -1) for parts in zip(*group.tables(), strict=True))
    scale, base, bits = (table.reshape(*table.shape[:-2], -1) for table in tables)
    direction = row(ops, directions, group.prediction)
    byte = ops.to_float(row(ops, bits, group.prediction))
    heads = scale.size // 2

    def total(products: str) -> str:
        return ops.reduce("ReduceSum", ops.reshape(products, -1, heads, directions.shape[1] // heads), 2, keep=False)

    def add(values: str) -> str:
        norm = ops("Sqrt", total(ops("Mul", values, values)))
        longer = ops("Max", norm, ops.constant(np.finfo(np.float32).tiny))
        cosine = ops("Div", total(ops("Mul", values, direction)), longer)
        figures = ops.join([norm, ops("Acos", ops.clip(cosine, -1, 1))])
        new = ops.reshape(_new_sections(ops, figures, scale, base, byte), -1, 2, heads)
        per_head = ops.reduce("ReduceSum", new, 1, keep=False)
        sizes = [table.shape[1] for _, table, *_ in group.tables()]
        return ops.column_sums(per_head, sizes, group.order, counts=True)

    return add


def _distance(ops: Operators, group: Group) -> Add:
    means, rows = zip(*group.tables(), strict=True)
    whitenings = [whitening.reshape(size, size) for whitening, size in zip(rows, group.sizes, strict=True)]
    mean = row(ops, np.concatenate(means, axis=1), group.prediction)

    def add(values: str) -> str:
        steps = parts(ops, ops("Sub", values, mean), group.sizes)
        whitened = ops.join([ops("MatMul", p, ops.constant(w)) for p, w in zip(steps, whitenings, strict=True)])
        return ops("Sqrt", ops.settled(ops.column_sums(ops("Mul", whitened, whitened), group.sizes, group.order)))

    return add


def _relative(ops: Operators, group: Group) -> Add:
    """As `relative_distance`; the directions of several columns are a matrix each."""
    centres, rows, targets, offsets = zip(*group.tables(), strict=True)
    directions = [flat.reshape(size, -1) for flat, size in zip(rows, group.sizes, strict=True)]
    centre = ops.constant(np.concatenate(centres)[None])
    target = row(ops, np.concatenate(targets, axis=1), group.prediction)
    offset = row(ops, np.concatenate(in_order(offsets, group.order), axis=1), group.prediction)
    ranks = [matrix.shape[1] for matrix in directions]

    def add(values: str) -> str:
        steps = parts(ops, ops("Sub", values, centre), group.sizes)
        along = ops.join([ops("MatMul", p, ops.constant(v)) for p, v in zip(steps, directions, strict=True)])
        away = ops("Sub", along, target)
        squares = ops.column_sums(ops("Mul", away, away), ranks, group.order)
        return ops("Add", ops.settled(squares), offset)

    return add


def _patterns(ops: Operators, group: Group) -> Add:
    """Bits as 0 and 1: the distance of x and p is the sum of x and of p (1 - 2 x).

    A class with fewer patterns has its first one again.
    """
    kept = [_unpacked(bits, held, size) for (_, bits, held), size in zip(group.tables(), group.sizes, strict=True)]
    of_class = [ops.to_float(row(ops, bits, group.prediction)) for bits in kept]

    def add(values: str) -> str:
        on = ops.to_float(ops("Greater", values, ops.constant(0)))
        signs = ops("Sub", ops.constant(1), ops("Add", on, on))
        several = []
        pieces = (parts(ops, one, group.sizes) for one in (on, signs))
        for patterns, size, own, sign in zip(of_class, group.sizes, *pieces, strict=True):
            products = ops.reshape(ops("MatMul", patterns, ops.reshape(sign, -1, size, 1)), 0, -1)
            several.append(ops("Add", ops.reduce("ReduceMin", products), ops.reduce("ReduceSum", own)))
        return ops.join(in_order(several, group.order))

    return add


def _unpacked(patterns: np.ndarray, held: np.ndarray, neurons: int) -> np.ndarray:
    """(classes, patterns, neurons) uint8, 0 or 1, of packed words."""
    octets = patterns.astype("<u8").view(np.uint8)
    bits = np.unpackbits(octets, axis=2, count=neurons, bitorder="little")
    there = np.arange(bits.shape[1])[None, :, None] < held[:, None, None]
    return np.where(there, bits, bits[:, :1])


def _boxes(ops: Operators, group: Group) -> Add:
    tables = [[row(ops, table, group.prediction) for table in of_column] for of_column in group.tables()]

    def add(values: str) -> str:
        nearest = []
        for (low, high, per_width), part, size in zip(
            tables, parts(ops, values, group.sizes), group.sizes, strict=True
        ):
            whole = ops.reshape(part, -1, 1, size)
            beyond = ops("Relu", ops("Max", ops("Sub", low, whole), ops("Sub", whole, high)))
            of_boxes = ops("Mul", beyond, ops.reshape(per_width, -1, 1, size))
            nearest.append(ops.reduce("ReduceMin", ops.reduce("ReduceSum", of_boxes, 2, keep=False)))
        return ops.join(in_order(nearest, group.order))

    return add


def _margins(ops: Operators, group: Group) -> Add:
    of = _margin_of_logits if group.criterion == Margin() else _margin_of_probabilities

    def add(values: str) -> str:
        columns = zip(parts(ops, values, group.sizes), group.sizes, strict=True)
        margins = [of(ops, scores, classes) for scores, classes in columns]
        return ops.join(in_order(margins, group.order))

    return add


def _margin_of_logits(ops: Operators, scores: str, classes: int) -> str:
    if classes == 1:
        return ops("Mul", scores, ops.constant(0))
    margin = ops("MatMul", ops.highest(scores, 2), ops.constant([[1], [-1]]))
    return ops("Reciprocal", ops("Max", margin, ops.constant(1e-6)))


def _margin_of_probabilities(ops: Operators, scores: str, classes: int) -> str:
    """Infinity where no share is above 0, 0 where one alone is."""
    both = scores if classes == 1 else ops.highest(scores, 2)
    first = ops.part(both, 0, 1)
    second = ops.constant([[0]]) if classes == 1 else ops("Relu", ops.part(both, 1, 2))
    margin = ops("Sub", ops("Log", first), ops("Log", second))
    inverse = ops("Reciprocal", ops("Max", margin, ops.constant(1e-6)))
    return ops("Where", ops("Greater", first, ops.constant(0)), inverse, ops.constant(np.inf))


def _surprise(ops: Operators, group: Group) -> Add:
    of = _surprise_of_logits if group.criterion == Softmax() else _surprise_of_probabilities

    def add(values: str) -> str:
        columns = zip(parts(ops, values, group.sizes), group.sizes, strict=True)
        surprises = [of(ops, scores, classes) for scores, classes in columns]
        return ops.join(in_order(surprises, group.order))

    return add


def _energies(ops: Operators, group: Group) -> Add:
    highest = [table[:, None] for (table,) in group.tables()]
    of_class = row(ops, np.concatenate(in_order(highest, group.order), axis=1).astype(np.float32), group.prediction)

    def add(values: str) -> str:
        energies = [ops.reduce("ReduceLogSumExp", part) for part in parts(ops, values, group.sizes)]
        return ops("Relu", ops("Sub", of_class, ops.join(in_order(energies, group.order))))

    return add


def _norms(ops: Operators, group: Group) -> Add:
    tables = [np.concatenate(in_order([t[k][:, None] for t in group.tables()], group.order), axis=1) for k in (0, 1)]
    mean, spread = (row(ops, table.astype(np.float32), group.prediction) for table in tables)

    def add(values: str) -> str:
        squares = [ops.reduce("ReduceSum", ops("Mul", part, part)) for part in parts(ops, values, group.sizes)]
        lengths = ops("Max", ops("Sqrt", ops.join(in_order(squares, group.order))), ops.constant(SMALLEST))
        return ops("Div", ops("Abs", ops("Sub", ops("Log", lengths), mean)), spread)

    return add


def _surprise_of_logits(ops: Operators, scores: str, classes: int) -> str:
    """-log of the highest softmax; small ones keep their digits, since the highest itself is left out of the sum."""
    highest = ops.reduce("ReduceMax", scores)
    lower = ops.to_float(ops("Less", scores, highest))
    powers = ops("Exp", ops("Sub", scores, highest))
    ties = ops("Sub", ops.constant(classes - 1), ops.reduce("ReduceSum", lower))
    surprise = ops.log1p(ops("Add", ops.reduce("ReduceSum", ops("Mul", powers, lower)), ties))
    return ops("Add", surprise, ops.not_finite(ops.reduce("ReduceSum", scores)))


def _surprise_of_probabilities(ops: Operators, scores: str, _classes: int) -> str:
    """-log of the highest, infinity where none is above 0."""
    highest = ops("Relu", ops.reduce("ReduceMax", scores))
    surprise = ops("Relu", ops("Neg", ops("Log", highest)))
    return ops("Add", surprise, ops.not_finite(ops.reduce("ReduceSum", scores)))


BUILDERS: dict[type[Criterion], Callable[[Operators, Group], Add]] = {
    SingleRange: _range,
    Gaussian: _range,
    MultiRange: _sections,
    CoverageBitmap: _bitmap,
    HeadCoverage: _heads,
    Mahalanobis: _distance,
    RelativeMahalanobis: _relative,
    ClassMahalanobis: class_distance,
    Neighbours: neighbours,
    Pattern: _patterns,
    Box: _boxes,
    Softmax: _surprise,
    Margin: _margins,
    Energy: _energies,
    Norm: _norms,
}
"""The criteria for which there are nodes, and what adds them."""
