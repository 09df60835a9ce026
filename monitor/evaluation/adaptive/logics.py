"""Logics as functions of tensors: the same scores, with gradients. A new logic is one function under its name here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...logic import Logic, Scales

Joining = Callable[[Tensor], tuple[Tensor, Tensor]]
"""deviations (n, columns) float64 -> (scores (n,), pressures (n, any)).

A score is no higher than the threshold where no pressure is. What counts several parts gives one pressure a part, so
that an attack lowers all that stand out and not just the highest.
"""
Make = Callable[[Any, dict[str, Tensor], list[int]], Joining]
"""(logic, scales, where the columns of each group end) -> its twin."""

LOGICS: dict[str, Make] = {}


def twin_of_logic(*names: str) -> Callable[[Make], Make]:
    """Decorates what makes the twin of the logics of these names, see `Logic.name`."""

    def register(make: Make) -> Make:
        LOGICS.update(dict.fromkeys(names, make))
        return make

    return register


def logic_twin(logic: Logic, scales: Scales, groups: np.ndarray, device: torch.device) -> Joining:
    """The twin of a logic with its scales. groups: (columns,). Raises ValueError that names one without a twin."""
    if logic.name not in LOGICS:
        raise ValueError(
            f"expected a logic with a twin, {', '.join(sorted(LOGICS))}, got {logic.name!r}; write one and register it"
            " with twin_of_logic"
        )
    put = {name: torch.from_numpy(np.array(scale, np.float64)).to(device) for name, scale in scales.items()}
    ends = [*(np.flatnonzero(groups[1:] != groups[:-1]) + 1).tolist(), len(groups)]
    return LOGICS[logic.name](logic, put, ends)


@twin_of_logic("sum", "normalised", "z")
def _sums(logic: Any, scales: dict[str, Tensor], ends: list[int]) -> Joining:
    scale = scales.get("scale")

    def join(deviations: Tensor) -> tuple[Tensor, Tensor]:
        values = _scaled(logic, deviations)
        total = (values if scale is None else values / scale).sum(1)
        return total, total[:, None]

    return join


@twin_of_logic("max_z")
def _highest(logic: Any, scales: dict[str, Tensor], ends: list[int]) -> Joining:
    def join(deviations: Tensor) -> tuple[Tensor, Tensor]:
        each = _scaled(logic, deviations) / scales["scale"] + scales["shift"]
        return each.amax(1), each

    return join


@twin_of_logic("votes")
def _votes(logic: Any, scales: dict[str, Tensor], ends: list[int]) -> Joining:
    """The k - 1 highest may be as high as they are."""

    def join(deviations: Tensor) -> tuple[Tensor, Tensor]:
        needed = logic.k or deviations.shape[1]
        ordered = torch.sort(_surprise(deviations, scales), dim=1, descending=True).values[:, needed - 1 :]
        return ordered[:, 0], ordered

    return join


@twin_of_logic("smallest_p")
def _smallest_p(logic: Any, scales: dict[str, Tensor], ends: list[int]) -> Joining:
    def join(deviations: Tensor) -> tuple[Tensor, Tensor]:
        surprises = _surprise(_parts(logic, deviations, scales, ends), scales)
        return surprises.amax(1), surprises

    return join


@twin_of_logic("harmonic_p")
def _harmonic_p(logic: Any, scales: dict[str, Tensor], ends: list[int]) -> Joining:
    """Parts that are each below the threshold have a mean below it."""

    def join(deviations: Tensor) -> tuple[Tensor, Tensor]:
        surprises = _surprise(_parts(logic, deviations, scales, ends), scales)
        score = torch.logsumexp(surprises, 1) - np.log(surprises.shape[1])
        return score.clamp_min(0), surprises

    return join


def _scaled(logic: Any, deviations: Tensor) -> Tensor:
    return torch.log1p(deviations) if getattr(logic, "log", False) else deviations


def _parts(logic: Any, deviations: Tensor, scales: dict[str, Tensor], ends: list[int]) -> Tensor:
    """The sum of the standard scores of each group, and the highest where it has several columns."""
    each = _scaled(logic, deviations) / scales["scale"] - scales["centre"]
    groups = [each[:, start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]
    highest = [group.amax(1) for group in groups if group.shape[1] > 1]
    return torch.stack([*(group.sum(1) for group in groups), *highest], dim=1)


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
