"""A monitor as a fragment behind a model: neurons, deviations, score, verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ...monitor import Calibration, Logic
from ...monitor.data.groups import groups_of
from ...monitor.judging.grid import finest
from ...monitor.places import PlaceLogic
from ...monitor.profile import Profile
from ...networks import Tap
from ...networks.onnx.pooling import add_neurons, join_neurons, rows_alike
from ...networks.onnx.proto import Fragment
from ...networks.scores import LOGITS, PROBABILITIES
from ...networks.selectors import OUTPUT
from . import criteria, logics, maps, places
from .group import Group, row
from .guarded_model import MAP, OUTPUTS, THRESHOLD
from .operators import Operators
from .places import MapOfScores, PlaceColumns

OLDEST_OPSET = 9
_MANY = 16  # rows of a frame


class Fed(NamedTuple):
    """An input of a model: rank with the axis of the batch."""

    name: str
    dtype: str
    rank: int


class Model(NamedTuple):
    """What a monitor has to know of its model.

    inputs: what a frame is made of. batch: its size, a name where it is open. scores: the tap of the class scores,
    None for a network without classes. score_map: that holds the class scores of every place, or None.
    score_shape: of the class scores of a frame, as the graph has them. kind: of the class scores, see `Network.scores`.
    """

    inputs: tuple[Fed, ...]
    batch: int | str
    scores: Tap | None
    score_map: MapOfScores | None = None
    score_shape: tuple[int | None, ...] = ()
    kind: str = LOGITS


def refuse_what_cannot_be_exported(profile: Profile, logic: Logic, opset: int) -> None:
    """Raise ValueError naming the column or the logic for which there are no nodes in an operator set."""
    for name, column in zip(profile.names, profile.columns, strict=True):
        if type(column.criterion) not in criteria.BUILDERS:
            possible = ", ".join(sorted(kind.name for kind in criteria.BUILDERS))
            raise ValueError(
                f"column {name!r} cannot be computed inside a graph: expected a criterion among {possible}, got"
                f" {column.criterion!r}; profile again without it, or keep the monitor outside"
            )
        tap = profile.facts.taps[column.tap]
        if tap.rows is None:
            raise ValueError(
                f"column {name!r} cannot be computed inside a graph: expected as many rows of its tap for every frame,"
                " got rows that vary; profile again without it, or keep the monitor outside"
            )
        if hindrance := places.obstacle(tap):
            raise ValueError(
                f"column {name!r} cannot be computed inside a graph: expected neurons of a frame, or places of a map,"
                f" got {hindrance}; profile again with channel or grid neurons, or keep the monitor outside"
            )
    if isinstance(logic, PlaceLogic):
        if hindrance := maps.obstacle(logic, opset):
            raise ValueError(hindrance)
    elif type(logic) not in logics.BUILDERS:
        raise ValueError(f"expected a detection logic of Outrider's own, got {logic!r}, for which there are no nodes")


def outputs_of(logic: Logic) -> tuple[str, ...]:
    """The names of the outputs that a monitor with this logic adds."""
    return (*OUTPUTS, MAP) if isinstance(logic, PlaceLogic) else OUTPUTS


def add_monitor(fragment: Fragment, profile: Profile, logic: Logic, calibration: Calibration, model: Model) -> None:
    """Add the monitor to a fragment: the outputs `outputs_of` its logic, and the input `THRESHOLD` with its default.

    A frame that holds NaN or Inf in any input, or causes them in the class scores or at a tap, is lost: it deviates by
    infinity in every column. Sums find them, which read each number once; finite numbers whose sum overflows count too.
    """
    ops = Operators(fragment)
    # ONNX Runtime visits the inputs of a node from the last written to the first. What needs the prediction is written
    # before the neurons, so that each layer is pooled while it is in the cache. The frame itself is summed first, which
    # fetches it into the cache for the first layer.
    scores = None
    if model.scores is not None:
        scores = _class_scores(ops, model.scores, model)
    elif model.score_map is not None:
        scores = ops("Flatten", ops.to_float(model.score_map.name), axis=1)
    sums = [] if scores is None else [ops.reduce("ReduceSum", scores)]
    prediction = None if model.scores is None or scores is None else ops("ArgMax", scores, axis=1, keepdims=0)
    lost_class = _lost_classes(ops, profile, prediction, as_map=isinstance(logic, PlaceLogic))
    default = default_thresholds(calibration, logic)
    threshold = ops.fragment.default(THRESHOLD, default)
    if len(default) > 1:
        threshold = ops("Gather", threshold, str(prediction), axis=0)
    of_places = _of_places(profile)
    placed = PlaceColumns(ops, profile, of_places, model.score_map, prediction, as_map=isinstance(logic, PlaceLogic))
    neurons = _Neurons(ops, profile, scores)
    groups = [neurons.arranged(group) for group in _alike(profile)]
    rows = [neurons.rows(group[0]) for group in groups]
    of_rows = {k: prediction if prediction is None or k == 1 else places.repeated(ops, prediction, k) for k in rows}
    prepared = []
    for group, k in zip(groups, rows, strict=True):
        order = None if group == sorted(group) else np.argsort(np.argsort(group)).tolist()
        signatures = [profile.signatures[i] for i in group]
        held = Group(profile.columns[group[0]].criterion, signatures, of_rows[k], order, many=k >= _MANY)
        prepared.append(criteria.prepare(ops, held))
    sums += neurons.add()
    sums += placed.add()
    sums += [_sum_of(ops, one) for one in model.inputs if "float" in one.dtype]
    parts = [
        _highest_of_rows(ops, add(neurons.of(group)), k, len(group))
        for add, group, k in zip(prepared, groups, rows, strict=True)
    ]
    there = [column for group in groups for column in sorted(group)]
    for columns, highest in placed.highest:
        there += columns
        parts.append(highest)
    deviations = ops.join(parts)
    if there != sorted(there):
        deviations = ops("Gather", deviations, ops.constant(np.argsort(there), np.int64), axis=1)
    lost = ops.not_finite(sums[0] if len(sums) == 1 else ops("Sum", *sums))
    for one in filter(None, (lost, lost_class)):
        deviations = ops("Add", deviations, one)
    deviations = ops.settled(deviations, "outrider_deviation")

    if isinstance(logic, PlaceLogic):
        score = _add_score_of_places(ops, profile, logic, calibration, placed, deviations)
    else:
        whole = all(criteria.counts(column.criterion) for column in profile.columns)
        judged = logics.Deviations(deviations, groups_of(profile.columns), whole)
        score = logics.add_score(ops, logic, calibration.scales, judged)
    _add_verdict(ops, threshold, score)
    shapes: dict[str, tuple[int, ...]] = {"outrider_deviation": (len(profile.columns),)}
    if isinstance(logic, PlaceLogic):
        shapes[MAP] = shape_of_map(profile)
    for name in outputs_of(logic):
        dtype = "bool" if name == "outrider_alarm" else "float32"
        fragment.output(name, dtype, (model.batch, *shapes.get(name, ())))


def _of_places(profile: Profile) -> list[int]:
    """The columns whose samples are the places of a map."""
    return [i for i, column in enumerate(profile.columns) if profile.facts.taps[column.tap].of_places]


def shape_of_map(profile: Profile) -> tuple[int, int]:
    """(height, width) of the map that the columns of places make together."""
    return finest([profile.facts.taps[profile.columns[i].tap] for i in _of_places(profile)])[0]


def _lost_classes(ops: Operators, profile: Profile, prediction: str | None, *, as_map: bool) -> str | None:
    """Name of (batch or 1, columns): infinity where too little was seen of the frame's class to compare with; or None.

    as_map: whether places of a class that cannot be compared are left out, so that only the frame's own counts.
    """
    covered = profile.trusted.covered[:, None]
    seen = np.repeat(covered, len(profile.columns), axis=1)
    of_map = profile.trusted.covered_of_map is not None
    for i, signature in enumerate(profile.signatures):
        if not profile.facts.taps[profile.columns[i].tap].of_places or not (as_map or of_map):
            seen[:, i] &= signature.counts > 0
    if seen.all():
        return None
    return row(ops, np.where(seen, 0, np.inf).astype(np.float32), prediction)


def _add_score_of_places(
    ops: Operators, profile: Profile, logic: PlaceLogic, calibration: Calibration, placed: PlaceColumns, deviations: str
) -> str:
    """Add the map; name of (batch,) float32, its score. Of a frame that is lost the map is infinite at every place."""
    of_places, shape = _of_places(profile), shape_of_map(profile)
    values = maps.add_map(ops, logic, calibration.scales, placed.placed, profile)
    score = maps.add_score(ops, logic, calibration.scales, values, shape)
    if len(of_places) < len(profile.columns):  # the others are witnesses
        deviations = ops("Gather", deviations, ops.constant(of_places, np.int64), axis=1)
    lost = ops.not_finite(ops.reduce("ReduceMax", deviations))
    ops.settled(ops("Add", ops.reshape(values, -1, *shape), ops.reshape(lost, -1, 1, 1)), MAP)
    return ops("Add", score, ops.reshape(lost, -1))


def _sum_of(ops: Operators, fed: Fed) -> str:
    """Name of (batch, 1) float32, the sums of the numbers of an input."""
    values = fed.name if fed.dtype == "float32" else ops.to_float(fed.name)
    return ops.reduce("ReduceSum", values if fed.rank == 2 else ops("Flatten", values, axis=1))


def default_thresholds(calibration: Calibration, logic: Logic) -> np.ndarray:
    """The default of `THRESHOLD`, float32: (1,) where all classes share one, else (classes,).

    Scores of maps often lie on the threshold, as counts do, but are rounded otherwise than outside: a hair is added.
    """
    hair = maps.HAIR if isinstance(logic, PlaceLogic) else 0
    thresholds = (calibration.thresholds * (1 + hair)).astype(np.float32)
    return thresholds if (thresholds != thresholds[0]).any() else thresholds[:1]


def _class_scores(ops: Operators, tap: Tap, model: Model) -> str:
    """The class scores as rows, (batch, classes) float32, as `class_scores` makes them."""
    if model.score_shape == tap.shape:
        return add_neurons(ops.fragment, tap)
    name = tap.name if tap.dtype == "float32" else ops.to_float(tap.name)
    if any(size != 1 for size in model.score_shape):
        return ops("Flatten", name, axis=1)
    column = name if len(model.score_shape) == 1 else ops.reshape(name, -1, 1)
    if model.kind == PROBABILITIES:
        return ops("Add", ops("Mul", column, ops.constant([[-1, 1]])), ops.constant([[1, 0]]))
    return ops("Mul", column, ops.constant([[0, 1]]))


def _alike(profile: Profile) -> list[list[int]]:
    """The columns of one criterion on taps of as many rows a frame, which are compared together; without places."""
    groups: dict[tuple[int, int | None], list[int]] = {}
    for i, column in enumerate(profile.columns):
        tap = profile.facts.taps[column.tap]
        if not tap.of_places:
            groups.setdefault((column.group, tap.rows), []).append(i)
    return list(groups.values())


def _highest_of_rows(ops: Operators, deviations: str, k: int, columns: int) -> str:
    """The highest deviation of the k rows of each frame: (batch * k, columns) as (batch, columns)."""
    if k == 1:
        return deviations
    return ops.reduce("ReduceMax", ops.reshape(ops.settled(deviations), -1, k, columns), 1, keep=False)


class _Neurons:
    """The neurons of columns. Pooled taps of as many rows a frame come together as one tensor; each tap taken unit by
    unit is its own.
    """

    def __init__(self, ops: Operators, profile: Profile, scores: str | None) -> None:
        self._fragment = ops.fragment
        self._ops = ops
        taps = [
            replace(tap, name=scores, dtype="float32")
            if scores is not None and tap.kind == OUTPUT and tap.layout == "NC"
            else tap
            for tap in profile.facts.taps
        ]
        self._taps = [taps[column.tap] for column in profile.columns]
        taps = [tap for tap in taps if not tap.of_places]
        pooled = [tap for tap in taps if tap.neurons != "unit" or tap.layout == "NC"]
        self._pooled = {group[0].rows or 1: group for group in rows_alike([tap for tap in pooled if tap.rows])}
        self._together: dict[int, str] = {}
        self._alone: dict[Tap, str] = {}
        self._spans: dict[Tap, slice] = {}
        for group in self._pooled.values():
            _, spans = join_neurons(Fragment("trial", self._fragment.opset, self._fragment.convolved), group)
            self._spans |= zip(group, spans, strict=True)

    def rows(self, column: int) -> int:
        """How many rows a frame has at the tap of a column."""
        return self._taps[column].rows or 1

    def arranged(self, columns: Sequence[int]) -> list[int]:
        """Columns of as many rows in the order in which their neurons lie beside each other."""
        ends = {tap: span.stop for tap, span in self._spans.items()}
        return sorted(columns, key=lambda column: ends.get(self._taps[column], np.inf))

    def add(self) -> list[str]:
        """Add the nodes; names of (batch, 1) float32, the sums of all neurons."""
        for k, group in self._pooled.items():
            self._together[k], _ = join_neurons(self._fragment, group)
        for tap in dict.fromkeys(self._taps):
            if tap not in self._spans and not tap.of_places:
                self._alone[tap] = add_neurons(self._fragment, tap)
        names = [*self._together.items(), *((tap.rows or 1, name) for tap, name in self._alone.items())]
        return [self._sum(name, k) for k, name in names]

    def _sum(self, name: str, k: int) -> str:
        """The sum of all neurons of the k rows of each frame, (batch, 1)."""
        total = self._ops.reduce("ReduceSum", name)
        return total if k == 1 else self._ops.reduce("ReduceSum", self._ops.reshape(total, -1, k))

    def of(self, columns: Sequence[int]) -> str:
        """Name of (batch * rows, sum of sizes) float32 for columns in the order of `arranged`."""
        k = self.rows(columns[0])
        whole = sum(tap.size for tap in self._pooled.get(k, ()))
        pieces: list[str] = []
        start = stop = 0
        for tap in [*(self._taps[column] for column in columns), None]:
            span = None if tap is None else self._spans.get(tap)
            if span is not None and span.start == stop and stop > start:
                stop = span.stop
                continue
            if stop > start:
                together = self._together[k]
                pieces.append(together if stop - start == whole else self._ops.part(together, start, stop))
            start, stop = (0, 0) if span is None else (span.start, span.stop)
            if tap is not None and span is None:
                pieces.append(self._alone[tap])
        return self._ops.join(pieces)


def _add_verdict(ops: Operators, threshold: str, score: str) -> None:
    """Score, confidence exp(-score ln 2 / threshold), and the alarm unless score <= threshold < infinity."""
    finite = ops("Less", score, ops.constant(np.inf))
    score = ops("Where", finite, score, ops.constant(np.inf), output="outrider_score")
    above = ops("Greater", score, threshold)
    ops("Or", above, ops("IsNaN", ops("Sub", score, threshold)), output="outrider_alarm")
    share = ops("Exp", ops("Mul", ops("Div", score, threshold), ops.constant(-np.log(2))))
    positive = ops("Where", ops("Greater", score, ops.constant(0)), share, ops.constant(1))
    ops("Where", finite, positive, ops.constant(0), output="outrider_confidence")
