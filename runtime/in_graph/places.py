"""Columns of places as nodes: the class at each place, how far each place deviates, and the worst of a frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ...monitor.facts.network import told_apart
from ...monitor.judging.places import Axes, count, middles, place_axes
from ...monitor.profile import Profile
from ...networks import Tap
from ...networks.onnx.pooling import add_neurons
from . import criteria
from .group import Group, row
from .operators import LOST, Operators


class Placed(NamedTuple):
    """Columns of one resolution. columns: of the profile.

    deviations: name of (batch * places, columns) float32, which may hold anything where there is nothing to say. kept:
    name of as many bools, whether there is: a finite deviation of a class that can be compared.
    """

    columns: tuple[int, ...]
    axes: Axes
    deviations: str
    kept: str


class _Resolution(NamedTuple):
    columns: tuple[int, ...]
    axes: Axes
    adds: list[Callable[[str], str]]
    known: str | None


def obstacle(tap: Tap) -> str:
    """Why the places of a tap cannot be judged inside a graph, or ""."""
    if not tap.of_places or told_apart(tap):
        return ""
    return f"places of {'volumes' if len(tap.map_sizes) > 2 else 'several rows a frame'}"


class MapOfScores(NamedTuple):
    """A map of class scores, by the name of its tensor. shape: of a frame. axis: of the classes, with the batch."""

    name: str
    shape: tuple[int | None, ...]
    axis: int = 1


class PlaceColumns:
    """The columns of places of a profile. What needs the classes alone is added when it is made, the rest by `add`.

    score_map: that tells the classes of places apart. prediction: name of (batch,) int64, the classes of the frames
    where no map does, or None. as_map: whether a logic of places judges them; then a place of a class that cannot be
    compared is left out of the frame's deviation, else it makes that infinite.
    """

    def __init__(
        self, ops: Operators, profile: Profile, columns: Sequence[int], score_map: MapOfScores | None,
        prediction: str | None, *, as_map: bool,
    ) -> None:  # fmt: skip
        self._ops, self._as_map = ops, as_map
        self._taps = {i: profile.facts.taps[profile.columns[i].tap] for i in columns}
        covered = profile.trusted.covered_of_map
        resolutions: dict[Axes, list[int]] = {}
        for i, tap in self._taps.items():
            resolutions.setdefault(place_axes(tap) or (), []).append(i)
        self._resolutions = []
        for axes, members in resolutions.items():
            known = None
            if covered is None or score_map is None:
                classes = self._of_frames(prediction, count(axes))
                seen = np.stack([profile.signatures[i].counts > 0 for i in members], axis=1)
            else:
                classes = self._of_map(score_map, axes)
                seen = np.stack([covered & (profile.signatures[i].counts > 0) for i in members], axis=1)
            if not seen.all():
                known = row(ops, seen, classes)
            groups = [Group(profile.columns[i].criterion, [profile.signatures[i]], classes, many=True) for i in members]
            adds = [criteria.prepare(ops, group) for group in groups]
            self._resolutions.append(_Resolution(tuple(members), axes, adds, known))
        self.highest: list[tuple[tuple[int, ...], str]] = []
        """Columns, and the name of their (batch, columns) float32 deviations; filled by `add`."""
        self.placed: list[Placed] = []
        """The deviations of all places; filled by `add`."""

    def _of_frames(self, prediction: str | None, places: int) -> str | None:
        """The class of its frame for every place, (batch * places,)."""
        return None if prediction is None else repeated(self._ops, prediction, places)

    def _of_map(self, scores: MapOfScores, axes: Axes) -> str:
        """The class with the highest score at the middle of every place, (batch * places,)."""
        ops, spatial = self._ops, [axis for axis in (1, 2, 3) if axis != scores.axis]
        sizes = [scores.shape[axis - 1] for axis in spatial]
        if None in sizes:
            raise ValueError(
                f"{scores.name}: expected a map of class scores of known size, got {scores.shape}; fix the input shape"
            )
        there = scores.name
        for axis, size, at in zip(spatial, sizes, middles(axes, tuple(size or 0 for size in sizes)), strict=True):
            if at.tolist() != list(range(size or 0)):
                there = ops("Gather", there, ops.constant(at, np.int64), axis=axis)
        last = ops("Transpose", ops.to_float(there), perm=(0, *spatial, scores.axis))
        return ops.reshape(ops("ArgMax", last, axis=3, keepdims=0), -1)

    def add(self) -> list[str]:
        """Add the nodes; names of (batch, 1) float32, the sums of all neurons."""
        ops, sums = self._ops, []
        rows: dict[str, str] = {}
        for one in self._resolutions:
            parts = []
            for i, add in zip(one.columns, one.adds, strict=True):
                tap = self._taps[i]
                if tap.id not in rows:
                    rows[tap.id] = add_neurons(ops.fragment, tap)
                    sums.append(self._per_frame("ReduceSum", ops.reduce("ReduceSum", rows[tap.id]), one, 1))
                parts.append(add(rows[tap.id]))
            deviations = ops.join(parts)
            finite = kept = ops("Less", deviations, ops.constant(LOST))
            if one.known is not None:
                kept = ops("And", finite, one.known)
            self.placed.append(Placed(one.columns, one.axes, deviations, kept))
            left_out = self._as_map and one.known is not None
            settled = ops("Where", finite if left_out else kept, deviations, ops.constant(np.inf))
            if left_out:
                settled = ops("Where", str(one.known), settled, ops.constant(0))
            worst = self._per_frame("ReduceMax", settled, one, len(one.columns))
            self.highest.append((one.columns, ops("Relu", worst) if self._as_map else worst))
        return sums

    def _per_frame(self, op: str, name: str, of: _Resolution, columns: int) -> str:
        """What is reduced over the places of each frame: (batch * places, columns) as (batch, columns)."""
        return self._ops.reduce(op, self._ops.reshape(name, -1, count(of.axes), columns), 1, keep=False)


def repeated(ops: Operators, prediction: str, k: int) -> str:
    """The prediction of each of the k rows of every frame, (batch * k,) int64."""
    return ops.reshape(ops("Add", ops.reshape(prediction, -1, 1), ops.constant(np.zeros((1, k)), np.int64)), -1)
