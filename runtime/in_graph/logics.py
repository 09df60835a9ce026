"""Detection logics as nodes: the formulas of `outrider.monitor.logic` in float32."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...monitor.data.groups import Groups
from ...monitor.logic import HarmonicP, Logic, MaxZ, Normalised, Scales, SmallestP, Sum, Votes, ZScore
from .operators import Operators

_HAIR = 1e-6
_STEEPEST = 1e38  # of a slope that is a float


@dataclass(frozen=True)
class Deviations:
    """Deviations (batch, columns) by name. groups: which are judged together. whole: whether they are counts."""

    name: str
    groups: Groups
    whole: bool = False


def add_score(ops: Operators, logic: Logic, scales: Scales, deviations: Deviations) -> str:
    """Name of (batch,) float32: not finite where a column deviates by infinity."""
    score = BUILDERS[type(logic)](ops, logic, scales, deviations)
    if isinstance(logic, (Sum, Normalised, ZScore)):
        return score
    highest = ops.reduce("ReduceMax", deviations.name, keep=False)
    return ops("Add", score, ops.not_finite(highest))


def _sum(ops: Operators, _logic: Logic, _scales: Scales, deviations: Deviations) -> str:
    return ops.reduce("ReduceSum", deviations.name, keep=False)


def _normalised(ops: Operators, _logic: Logic, scales: Scales, deviations: Deviations) -> str:
    return ops.reduce("ReduceSum", ops("Div", deviations.name, ops.constant(scales["scale"][None])), keep=False)


def _z(ops: Operators, logic: Logic, scales: Scales, deviations: Deviations) -> str:
    return ops.reduce("ReduceSum", _standard(ops, logic, scales, deviations), keep=False)


def _max_z(ops: Operators, logic: Logic, scales: Scales, deviations: Deviations) -> str:
    shifted = ops("Add", _standard(ops, logic, scales, deviations), ops.constant(scales["shift"][None]))
    return ops.reduce("ReduceMax", shifted, keep=False)


def _votes(ops: Operators, logic: Any, scales: Scales, deviations: Deviations) -> str:
    surprise = curve(ops, deviations.name, scales["value"], scales["surprise"], scales["excess"])
    columns = len(deviations.groups.of)
    k = logic.k or columns
    if k in (1, columns):
        return ops.reduce("ReduceMax" if k == 1 else "ReduceMin", surprise, keep=False)
    # The k-th largest is the largest of those that at least k are not below.
    below = ops("Less", ops.reshape(surprise, -1, 1, columns), ops.reshape(surprise, -1, columns, 1))
    not_below = ops("Sub", ops.constant(columns), ops.reduce("ReduceSum", ops.to_float(below), 2, keep=False))
    enough = ops("Greater", not_below, ops.constant(k - 0.5))
    return ops.reduce("ReduceMax", ops("Where", enough, surprise, ops.constant(0)), keep=False)


def _smallest_p(ops: Operators, logic: Logic, scales: Scales, deviations: Deviations) -> str:
    surprises = _surprises(ops, logic, scales, scales["surprise"], deviations)
    return ops.reduce("ReduceMax", surprises, keep=False)


def _harmonic_p(ops: Operators, logic: Logic, scales: Scales, deviations: Deviations) -> str:
    # A vote lowers a surprise by its log. What rounding leaves of 0 is 0; NaN is not below, and stays.
    surprise = scales["surprise"] + np.log(deviations.groups.votes())
    surprises = _surprises(ops, logic, scales, surprise, deviations, given=True)
    score = ops.reduce("ReduceLogSumExp", surprises, keep=False)
    return ops("Where", ops("Less", score, ops.constant(_HAIR)), ops.constant(0), score)


def _surprises(
    ops: Operators, logic: Logic, scales: Scales, surprise: np.ndarray, deviations: Deviations, *, given: bool = False
) -> str:
    """Name of (batch, parts): the heights of the parts on curves of the heights given.

    given: whether there are the parts of columns given the confidence too.
    """
    # Sums are compared with their centre added to the curve: small ones keep their digits.
    scaled = _logs(ops, logic, deviations)
    z, groups = ops("Div", scaled, ops.constant(scales["scale"][None])), deviations.groups
    columns, centre = len(groups.of), scales["centre"]
    members = _runs(groups.ends)
    several = [run for run in members if len(run) > 1]
    parts = [_sum_of(ops, z, run, columns) for run in members]
    shifts = [centre[run].sum() for run in members] + [0.0] * len(several)
    if several:
        centred = ops("Sub", z, ops.constant(centre[None]))
        parts += [ops.reduce("ReduceMax", _part(ops, centred, run, columns)) for run in several]
    if given and groups.given.any():
        z, members = _given(ops, scales, scaled, groups), _runs(groups.ends_of_following)
        several = [run for run in members if len(run) > 1]
        parts += [_sum_of(ops, z, run, len(groups.following)) for run in members]
        parts += [ops.reduce("ReduceMax", _part(ops, z, run, len(groups.following))) for run in several]
        shifts += [0.0] * (len(members) + len(several))
    knots = scales["value"] + np.array(shifts)
    return curve(ops, ops.join(parts), knots, surprise, scales["excess"])


def _given(ops: Operators, scales: Scales, scaled: str, groups: Groups) -> str:
    """Name of (batch, following): scores that are standard among frames of which the network is as sure.

    Between knots mean and spread are linear, which is a sum over the steps of how far the confidence goes along each.
    """
    at, tables = scales["given_at"], np.concatenate([scales["given_centre"], scales["given_scale"]], axis=1)
    rises = np.diff(tables, axis=0)
    width = np.maximum(np.diff(at), max(np.abs(rises).max(), 10.0) / _STEEPEST)
    slopes = rises / width[:, None]
    sure = ops.part(scaled, groups.confidence, groups.confidence + 1)
    along = ops("Min", ops("Relu", ops("Sub", sure, ops.constant(at[None, :-1]))), ops.constant(width[None]))
    found = ops("Add", ops("MatMul", along, ops.constant(slopes)), ops.constant(tables[:1]))
    size = len(groups.following)
    own = ops("Gather", scaled, ops.constant(groups.following, np.int64), axis=1)
    return ops("Div", ops("Sub", own, ops.part(found, 0, size)), ops.part(found, size, 2 * size))


def _runs(ends: np.ndarray) -> list[np.ndarray]:
    return np.split(np.arange(ends[-1]), ends[:-1])


def _logs(ops: Operators, logic: Any, deviations: Deviations) -> str:
    return ops.log1p(deviations.name, whole=deviations.whole) if logic.log else deviations.name


def _standard(ops: Operators, logic: Any, scales: Scales, deviations: Deviations) -> str:
    return ops("Div", _logs(ops, logic, deviations), ops.constant(scales["scale"][None]))


def _part(ops: Operators, source: str, columns: np.ndarray, all_columns: int) -> str:
    whole = len(columns) == all_columns
    return source if whole else ops.part(source, int(columns[0]), int(columns[-1]) + 1)


def _sum_of(ops: Operators, source: str, columns: np.ndarray, all_columns: int) -> str:
    part = _part(ops, source, columns, all_columns)
    return part if len(columns) == 1 else ops.reduce("ReduceSum", part)


def curve(ops: Operators, values: str, knots: np.ndarray, surprise: np.ndarray, excess: np.ndarray) -> str:
    """Linear between the knots (knots, columns), level before the first, and rising by 1 / excess after the last.

    values: name of (batch, columns). The knot before a value is found by counting those above it.
    """
    count, columns = knots.shape
    knots = knots.astype(np.float32).astype(np.float64)
    steps = np.diff(knots, axis=0)
    rises = np.diff(surprise, axis=0) / np.where(steps > 0, steps, np.inf)
    slopes = np.minimum(np.concatenate([rises, 1 / excess[None]]), _STEEPEST)
    above = ops("Less", ops.reshape(values, -1, columns, 1), ops.constant(knots.T[None]))
    passed = ops("Sub", ops.constant(count - 1), ops.reduce("ReduceSum", ops.to_float(above), 2, keep=False))
    first = ops("Add", ops("Relu", passed), ops.constant([np.arange(columns) * count]))
    index = ops.to_index(first, np.int32)
    knot, height, slope = (
        ops("Gather", ops.constant(table.T.ravel()), index, axis=0) for table in (knots, surprise, slopes)
    )
    return ops("Add", height, ops("Mul", slope, ops("Relu", ops("Sub", values, knot))))


BUILDERS: dict[type[Logic], Callable[[Operators, Any, Scales, Deviations], str]] = {
    Sum: _sum,
    Normalised: _normalised,
    ZScore: _z,
    MaxZ: _max_z,
    Votes: _votes,
    SmallestP: _smallest_p,
    HarmonicP: _harmonic_p,
}
"""The logics for which there are nodes, and what adds them."""
