"""Detection logics as operations on tensors: the formulas of `outrider.monitor.logic`, in float64 as there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data.groups import Groups
from ..logic import Logic, Scales
from .forms import Tables

_STEEPEST = 1e300  # of a slope: a distance of 0 along it is 0, and not NaN


class Joining(Tables):
    """Deviations (n, columns) float64, finite -> scores (n,) float64."""

    def put(self, **tables: Any) -> None:
        """Keep tables of float64 as buffers."""
        for name, table in tables.items():
            self.register_buffer(name, torch.from_numpy(np.array(table, np.float64, order="C")))

    def forward(self, deviations: Tensor) -> Tensor:
        raise NotImplementedError


class Summed(Joining):
    """Σ of deviations, or of their logarithms, over a scale."""

    def __init__(self, logic: Any, scales: Scales, groups: Groups) -> None:
        super().__init__()
        self.log = getattr(logic, "log", False)
        self.put(scale=scales.get("scale", np.ones(len(groups.of))))

    def forward(self, deviations: Tensor) -> Tensor:
        return (_scaled(deviations, self.log) / self.scale).sum(1)


class HighestZ(Joining):
    """The highest standard score."""

    def __init__(self, logic: Any, scales: Scales, groups: Groups) -> None:
        super().__init__()
        self.log = logic.log
        self.put(scale=scales["scale"], shift=scales["shift"])

    def forward(self, deviations: Tensor) -> Tensor:
        return (_scaled(deviations, self.log) / self.scale + self.shift).amax(1)


class SurpriseCurve(Joining):
    """-log p of each value, (n, columns), along a curve of its own: linear between knots, and by `excess` behind them.

    The knot before a value is found by counting those that are not above it.
    """

    def __init__(self, scales: Scales) -> None:
        super().__init__()
        knots, surprise = scales["value"].T, scales["surprise"].T
        steps = np.diff(knots, axis=1)
        with np.errstate(over="ignore"):
            rises = np.diff(surprise, axis=1) / np.where(steps > 0, steps, np.inf)
            slopes = np.minimum(np.concatenate([rises, 1 / scales["excess"][:, None]], axis=1), _STEEPEST)
        self.put(knots=knots, surprise=surprise, slopes=slopes)
        self.register_buffer("first", torch.arange(knots.shape[0]) * knots.shape[1])

    def forward(self, deviations: Tensor) -> Tensor:
        passed = (deviations.unsqueeze(2) >= self.knots).to(torch.int64).sum(2)
        place = (passed - 1).clamp_min(0) + self.first
        knots, surprise, slopes = (table.reshape(-1)[place] for table in (self.knots, self.surprise, self.slopes))
        return surprise + slopes * torch.relu(deviations - knots)


class KthVote(Joining):
    """The k-th highest surprise of a column."""

    def __init__(self, logic: Any, scales: Scales, groups: Groups) -> None:
        super().__init__()
        self.curve = SurpriseCurve(scales)
        self.k = logic.k or len(groups.of)

    def forward(self, deviations: Tensor) -> Tensor:
        surprises = self.curve(deviations)
        if self.k == 1:
            return surprises.amax(1)
        return torch.topk(surprises, self.k, 1, sorted=True).values[:, self.k - 1]


class Parts(Joining):
    """(n, parts): sums of standard scores, a group each, then the highest of each group of several columns.

    given: whether those follow that are standard among frames of which the network is as sure.
    """

    def __init__(self, logic: Any, scales: Scales, groups: Groups, *, given: bool) -> None:
        super().__init__()
        self.log = logic.log
        self.ends = _lengths(groups.ends)
        self.given = given and bool(groups.given.any())
        self.put(scale=scales["scale"], centre=scales["centre"])
        if self.given:
            self.sure, self.ends_given = groups.confidence, _lengths(groups.ends_of_following)
            self.register_buffer("following", torch.from_numpy(groups.following.astype(np.int64)))
            at, tables = scales["given_at"], [scales["given_centre"], scales["given_scale"]]
            steps = np.diff(at)
            per_step = np.where(steps > 0, 1 / np.where(steps > 0, steps, 1), 0)
            self.put(at=at, per_step=per_step, given_centre=tables[0], given_scale=tables[1])

    def forward(self, deviations: Tensor) -> Tensor:
        scaled = _scaled(deviations, self.log)
        found = _of_groups(scaled / self.scale - self.centre, self.ends)
        if self.given:
            found += _of_groups(self.as_sure(scaled), self.ends_given)
        return torch.stack(found, 1)

    def as_sure(self, scaled: Tensor) -> Tensor:
        """Scores that are standard among frames of which the network is as sure."""
        sure = scaled[:, self.sure]
        inner = self.at[1:-1]
        knot = (sure.unsqueeze(1) >= inner).to(torch.int64).sum(1)
        share = ((sure - self.at[knot]) * self.per_step[knot]).clamp(0, 1).unsqueeze(1)
        centre, spread = (
            table[knot] + share * (table[knot + 1] - table[knot]) for table in (self.given_centre, self.given_scale)
        )
        return (scaled.index_select(1, self.following) - centre) / spread


class HighestPart(Joining):
    """The highest surprise of a part."""

    def __init__(self, logic: Any, scales: Scales, groups: Groups) -> None:
        super().__init__()
        self.parts, self.curve = Parts(logic, scales, groups, given=False), SurpriseCurve(scales)

    def forward(self, deviations: Tensor) -> Tensor:
        return self.curve(self.parts(deviations)).amax(1)


class HarmonicMean(Joining):
    """-log of the mean of the p-values of parts, harmonic and by votes."""

    def __init__(self, logic: Any, scales: Scales, groups: Groups) -> None:
        super().__init__()
        self.parts, self.curve = Parts(logic, scales, groups, given=True), SurpriseCurve(scales)
        self.put(votes=groups.votes())

    def forward(self, deviations: Tensor) -> Tensor:
        surprises = self.curve(self.parts(deviations))
        highest = torch.relu(surprises.amax(1, keepdim=True))
        total = (self.votes * torch.exp(surprises - highest)).sum(1)
        return torch.relu(highest[:, 0] + torch.log(total))


LOGICS: dict[str, Callable[[Any, Scales, Groups], Joining]] = {
    "sum": Summed,
    "normalised": Summed,
    "z": Summed,
    "max_z": HighestZ,
    "votes": KthVote,
    "smallest_p": HighestPart,
    "harmonic_p": HarmonicMean,
}
"""By the name of a logic, what makes its form."""


def joining_of(logic: Logic, scales: Scales, groups: Groups) -> Joining:
    """The form of a logic with its scales. Raises ValueError that names a logic without one."""
    if logic.name not in LOGICS:
        raise ValueError(
            f"expected a logic with a form on the device, {', '.join(sorted(LOGICS))}, got {logic.name!r}; calibrate"
            " with one of these, or judge on the host with a Monitor"
        )
    return LOGICS[logic.name](logic, scales, groups)


def _scaled(deviations: Tensor, log: bool) -> Tensor:
    return torch.log1p(deviations) if log else deviations


def _lengths(ends: np.ndarray) -> list[int]:
    found: list[int] = np.diff(ends, prepend=0).tolist()
    return found


def _of_groups(scores: Tensor, lengths: list[int]) -> list[Tensor]:
    members = torch.split(scores, lengths, 1)
    highest = [group.amax(1) for group in members if group.shape[1] > 1]
    return [*(group.sum(1) for group in members), *highest]
