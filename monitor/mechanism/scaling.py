"""More or less of what tuning did: models with the weights W_base + α (W_tuned − W_base) (Jain et al., 2024)."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn


def scaled(base: nn.Module, tuned: nn.Module, alpha: float) -> Any:
    """A new model with W_base + α ΔW in all parameters; neither model is changed.

    α = 0 gives the base and α = 1 the tuned model, bit for bit. Adapters are merged first. Raises ValueError for models
    whose parameters do not fit, and for an α that is not finite.
    """
    return next(scalings(base, tuned, (alpha,)))[1]


def scalings(base: nn.Module, tuned: nn.Module, alphas: Sequence[float]) -> Iterator[tuple[float, Any]]:
    """(α, model) for each α; it is one model whose weights are set anew, so use it before asking for the next."""
    first, second = merged_copy(base), merged_copy(tuned)
    pairs = _paired(first, second)
    model = copy.deepcopy(first).eval()
    targets = dict(model.named_parameters())
    for alpha in alphas:
        if not torch.isfinite(torch.tensor(float(alpha))):
            raise ValueError(f"expected a finite α, got {alpha}")
        with torch.no_grad():
            for name, (low, high) in pairs.items():
                targets[name].copy_(_between(low, high, float(alpha)))
        yield alpha, model


def randomised(base: nn.Module, tuned: nn.Module, seed: int = 0) -> Any:
    """The base with a random change: of each parameter as long as what tuning did to it, in a random direction."""
    first, second = merged_copy(base), merged_copy(tuned)
    model = copy.deepcopy(first).eval()
    targets = dict(model.named_parameters())
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, (low, high) in _paired(first, second).items():
            direction = torch.randn(low.shape, generator=generator).to(low.device)
            length = (high - low).float().norm()
            targets[name].copy_(low + (direction * (length / direction.norm().clamp(min=1e-30))).to(low.dtype))
    return model


def merged_copy(model: nn.Module) -> Any:
    """The model itself, or for one with adapters of peft a copy with these merged into its weights."""
    adapted: Any = model
    return copy.deepcopy(adapted).merge_and_unload() if hasattr(adapted, "merge_and_unload") else adapted


def _between(low: Tensor, high: Tensor, alpha: float) -> Tensor:
    if alpha == 0:
        return low
    return high if alpha == 1 else low + alpha * (high - low)


def _paired(base: nn.Module, tuned: nn.Module) -> dict[str, tuple[Tensor, Tensor]]:
    """The parameters of both by name. Raises ValueError where names or shapes differ."""
    ours, theirs = dict(base.named_parameters()), dict(tuned.named_parameters())
    if ours.keys() != theirs.keys():
        different = sorted(ours.keys() ^ theirs.keys())[:4]
        raise ValueError(f"expected two models with the same parameters, got other names: {', '.join(different)}")
    for name, value in ours.items():
        if value.shape != theirs[name].shape:
            raise ValueError(f"{name}: expected {tuple(value.shape)} in both models, got {tuple(theirs[name].shape)}")
    return {name: (value.detach(), theirs[name].detach().to(value)) for name, value in ours.items()}
