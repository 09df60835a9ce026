"""Logics as functions of tensors: the same scores, with gradients. A new logic is one function under its name here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...data.groups import Groups, as_groups
from ...logic import Logic, Scales

Joining = Callable[[Tensor], tuple[Tensor, Tensor]]
"""deviations (n, columns) float64 -> (scores (n,), pressures (n, any)).

A score is no higher than the threshold where no pressure is. What counts several parts gives one pressure a part, so
that an attack lowers all that stand out and not just the highest.
"""
Make = Callable[[Any, dict[str, Tensor], Groups], Joining]
"""(logic, scales, groups of columns) -> its twin."""

LOGICS: dict[str, Make] = {}


def twin_of_logic(*names: str) -> Callable[[Make], Make]:
    """Decorates what makes the twin of the logics of these names, see `Logic.name`."""

    def register(make: Make) -> Make:
        LOGICS.update(dict.fromkeys(names, make))
        return make

    return register


def logic_twin(logic: Logic, scales: Scales, groups: Groups | np.ndarray, device: torch.device) -> Joining:
    """The twin of a logic with its scales. groups: as of `Logic.fit`. Raises ValueError that names one without."""
    if logic.name not in LOGICS:
        raise ValueError(
            f"expected a logic with a twin, {', '.join(sorted(LOGICS))}, got {logic.name!r}; write one and register it"
            " with twin_of_logic"
        )
    put = {name: torch.from_numpy(np.array(scale, np.float64)).to(device) for name, scale in scales.items()}
    return LOGICS[logic.name](logic, put, as_groups(groups))


@twin_of_logic("sum", "normalised", "z")
def _sums(logic: Any, scales: dict[str, Tensor], groups: Groups) -> Joining:
    scale = scales.get("scale")

    def join(deviations: Tensor) -> tuple[Tensor, Tensor]:
        values = _scaled(logic, deviations)
        total = (values if scale is None else values / scale).sum(1)
        return total, total[:, None]

    return join


@twin_of_logic("max_z")
def _highest(logic: Any, scales: dict[str, Tensor], groups: Groups) -> Joining:
    def join(deviations: Tensor) -> tuple[Tensor, Tensor]:
        each = _scaled(logic, deviations) / scales["scale"] + scales["shift"]
        return each.amax(1), each

    return join


@twin_of_logic("votes")
def _votes(logic: Any, scales: dict[str, Tensor], groups: Groups) -> Joining:
    """The k - 1 highest may be as high as they are."""

    def join(deviations: Tensor) -> tuple[Tensor, Tensor]:
        needed = logic.k or deviations.shape[1]
        ordered = torch.sort(_surprise(deviations, scales), dim=1, descending=True).values[:, needed - 1 :]
        return ordered[:, 0], ordered

    return join


@twin_of_logic("smallest_p")
def _smallest_p(logic: Any, scales: dict[str, Tensor], groups: Groups) -> Joining:
    def join(deviations: Tensor) -> tuple[Tensor, Tensor]:
        surprises = _surprise(_parts(logic, deviations, scales, groups), scales)
        return surprises.amax(1), surprises

    return join


@twin_of_logic("harmonic_p")
def _harmonic_p(logic: Any, scales: dict[str, Tensor], groups: Groups) -> Joining:
    """Parts that are each below the threshold have a mean below it."""
    votes = torch.from_numpy(groups.votes()).to(scales["scale"].device)

    def join(deviations: Tensor) -> tuple[Tensor, Tensor]:
        parts = [_parts(logic, deviations, scales, groups)]
        if groups.given.any():
            parts.append(_parts_given(logic, deviations, scales, groups))
        surprises = _surprise(torch.cat(parts, dim=1), scales)
        return torch.logsumexp(surprises + votes.log(), 1).clamp_min(0), surprises

    return join


def _scaled(logic: Any, deviations: Tensor) -> Tensor:
    return torch.log1p(deviations) if getattr(logic, "log", False) else deviations


def _parts(logic: Any, deviations: Tensor, scales: dict[str, Tensor], groups: Groups) -> Tensor:
    """The sum of the standard scores of each group, and the highest where it has several columns."""
    return _of_groups(_scaled(logic, deviations) / scales["scale"] - scales["centre"], groups.ends)


def _parts_given(logic: Any, deviations: Tensor, scales: dict[str, Tensor], groups: Groups) -> Tensor:
    """The same of scores that are standard among frames of which the network is as sure."""
    scaled, at = _scaled(logic, deviations), scales["given_at"]
    sure = scaled[:, groups.confidence]
    knot = (torch.searchsorted(at, sure.detach().contiguous(), right=True) - 1).clamp(0, len(at) - 2)
    step = at[knot + 1] - at[knot]
    share = torch.where(step > 0, (sure - at[knot]) / torch.where(step > 0, step, 1.0), 0.0).clamp(0, 1)[:, None]
    middle, spread = (
        table[knot] + share * (table[knot + 1] - table[knot])
        for table in (scales["given_centre"], scales["given_scale"])
    )
    return _of_groups((scaled[:, groups.following] - middle) / spread, groups.ends_of_following)


def _of_groups(each: Tensor, ends: np.ndarray) -> Tensor:
    members = torch.split(each, np.diff(ends, prepend=0).tolist(), dim=1)
    highest = [group.amax(1) for group in members if group.shape[1] > 1]
    return torch.stack([*(group.sum(1) for group in members), *highest], dim=1)


def _surprise(values: Tensor, scales: dict[str, Tensor]) -> Tensor:
    """-log p of each column: linear between the knots of its curve, and along `excess` behind the last."""
    knots, surprise, excess = (scales[name] for name in ("value", "surprise", "excess"))
    columns = torch.arange(values.shape[1], device=values.device)
    above = torch.searchsorted(knots.T.contiguous(), values.detach().T.contiguous(), right=True).T
    above = above.clamp(1, max(len(knots) - 1, 1))
    if len(knots) == 1:
        above = torch.zeros_like(above)
    below = (above - 1).clamp_min(0)
    step = knots[above, columns] - knots[below, columns]
    slope = (surprise[above, columns] - surprise[below, columns]) / torch.where(step > 0, step, 1.0)
    between = surprise[below, columns] + slope * (values - knots[below, columns])
    tail = surprise[-1] + (values - knots[-1]) / excess
    return torch.where(values >= knots[-1], tail, torch.where(values < knots[0], surprise[0] + 0 * values, between))
