"""The change of weights ΔW = W_tuned − W_base, and how much of it lies outside what the base's matrix can say.

Jain et al. (2024), section 4, claim that ΔW's left singular vectors lie in the left null space of W_base. Their
released code projects W_tuned's vectors, takes their mean off and reads rows of U for columns. Here it is done from
the definition: ΔW's own vectors, as columns, weighted by their energy.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from .reading import matrix_modules
from .separation import ENERGY

_ROUNDING = 1e-6


@dataclass(frozen=True)
class WeightChange:
    """A matrix of the base and what tuning added to it, both (out, in), so that they act as W a.

    layer: from 0. name: as in ``3.mlp.c_fc``.
    """

    layer: int
    name: str
    base: Tensor
    delta: Tensor


@dataclass(frozen=True)
class OutsideShare:
    """How much of a change lies outside the span of the base's top left singular vectors.

    share: of ΔW's energy, in [0, 1]; NaN where nothing changed. rank: how many vectors of the base hold its energy.
    random_change: the mean share of changes of the same spectrum in random directions. random_base: the mean share of
    ΔW itself outside the span of random matrices. top: the share of ΔW's first singular vectors one by one.
    relative: ‖ΔW‖ / ‖W‖. change_rank: how many directions of ΔW hold its energy.
    """

    share: float
    rank: int
    random_change: float
    random_base: float
    top: tuple[float, ...]
    relative: float
    change_rank: int


def weight_changes(base: Any, tuned: Any, *, attention: bool = False) -> list[WeightChange]:
    """The matrices of all layers and their changes, in float32. attention: also those outside the MLPs.

    GPT-2 keeps its matrices transposed; here they are not. Raises ValueError for models of other shapes or names.
    """
    ours, theirs = (matrix_modules(model, attention=attention) for model in (base, tuned))
    if ours.keys() != theirs.keys():
        different = sorted(ours.keys() ^ theirs.keys())[:4]
        raise ValueError(
            f"expected two models with the same matrices, got other names: {', '.join(different)}; merge adapters first"
        )
    changes = []
    for name, (layer, module) in ours.items():
        first, second = oriented(module), oriented(theirs[name][1])
        if first.shape != second.shape:
            raise ValueError(f"{name}: expected a matrix of {tuple(first.shape)}, got {tuple(second.shape)}")
        changes.append(WeightChange(layer, name, first, second.to(first.device) - first))
    return changes


def oriented(module: Any) -> Tensor:
    """The matrix of a Linear or of GPT-2's Conv1D as (out, in), float32, without its gradient."""
    weight: Tensor = module.weight.detach().float()
    # The name is asked for: a Linear has in_features and out_features, Conv1D only nf, its outputs.
    return weight.T if type(module).__name__ == "Conv1D" else weight


def span_of_top(matrix: Tensor, energy: float = ENERGY) -> Tensor:
    """The least number of left singular vectors that hold the share of a matrix's energy, (out, rank)."""
    left, values, _ = torch.linalg.svd(matrix, full_matrices=False)
    return left[:, : _rank(values, energy)]


def outside(
    change: WeightChange, *, energy: float = ENERGY, draws: int = 5, top: int = 10, seed: int = 0
) -> OutsideShare:
    """How much of a change lies outside the base's span, beside random changes and random bases. See `OutsideShare`."""
    span = span_of_top(change.base, energy)
    left, values, _ = torch.linalg.svd(change.delta, full_matrices=False)
    total = float((values**2).sum())
    relative = float(change.delta.norm() / change.base.norm())
    if total == 0:
        return OutsideShare(*(float("nan"), span.shape[1], float("nan"), float("nan"), (), relative, 0))
    weights = values**2 / total
    generator = torch.Generator().manual_seed(seed)
    random_change, random_base = [], []
    for other in _random_spans(tuple(change.base.shape), energy, draws, seed):
        turned, _ = torch.linalg.qr(torch.randn(*left.shape, generator=generator).to(left.device))
        random_change.append(float(weights @ _beyond(span, turned)))
        random_base.append(float(weights @ _beyond(other.to(left.device), left)))
    each = _beyond(span, left)
    return OutsideShare(
        float(weights @ each),
        span.shape[1],
        sum(random_change) / max(1, draws),
        sum(random_base) / max(1, draws),
        tuple(each[:top].tolist()),
        relative,
        _rank(values, energy),
    )


def _beyond(span: Tensor, vectors: Tensor) -> Tensor:
    """Of each unit vector, a column, the squared length outside an orthonormal span: (columns,) in [0, 1]."""
    return (1 - (span.T @ vectors).square().sum(0)).clamp(0, 1)


@lru_cache(maxsize=8)
def _random_spans(shape: tuple[int, int], energy: float, draws: int, seed: int) -> tuple[Tensor, ...]:
    """The spans of so many random matrices; those of one shape are drawn once."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(span_of_top(torch.randn(*shape, generator=generator), energy) for _ in range(draws))


def _rank(values: Tensor, energy: float) -> int:
    squares = values.double() ** 2
    share = squares.cumsum(0) / squares.sum()
    return min(int((share < energy - _ROUNDING).sum()) + 1, len(values))
