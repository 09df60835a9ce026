"""What the change of a matrix does to the activations of safe and unsafe inputs.

Jain et al. (2024), section 4: the row space of ΔW is aligned with unsafe inputs, so that ‖ΔW a‖ is large for these
alone. Seen along ΔW's right singular vectors v_j it is σ_j ⟨a, v_j⟩ / (‖a‖ ‖v_j‖).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..calibration import auroc
from .weights import WeightChange

_LEAST = 1e-30


@dataclass(frozen=True)
class ChangeEffect:
    """What a change does to each kind of input.

    moved: the median of ‖ΔW a‖. relative: the median of ‖ΔW a‖ / (‖a‖ ‖ΔW‖), from 0 to 1. directions: along the first
    right singular vectors the median of |σ_j ⟨a, v_j⟩| / ‖a‖, (top,) each. ratio: the median of ‖ΔW a‖ of unsafe over
    that of safe inputs. auroc: of ‖ΔW a‖, unsafe above safe. random_ratio, random_auroc: of changes of the same
    spectrum in random directions, the mean over draws: what the activations' own lengths give.
    """

    moved: Mapping[str, float]
    relative: Mapping[str, float]
    directions: Mapping[str, tuple[float, ...]]
    ratio: float
    auroc: float
    random_ratio: float
    random_auroc: float


def moved(delta: Tensor, activations: Tensor) -> Tensor:
    """‖ΔW a‖ of each input, (n,). delta: (out, in). activations: (n, in)."""
    return (activations @ delta.T).norm(dim=1)


def effect(delta: Tensor, activations: Tensor, top: int = 10) -> Tensor:
    """σ_j ⟨a, v_j⟩ / (‖a‖ ‖v_j‖) for the first right singular vectors, (n, top); 0 where a is 0.

    The sign of a singular vector is free: only the column's sign as a whole may turn.
    """
    _, values, right = torch.linalg.svd(delta, full_matrices=False)
    return _along(values[:top], right[:top], activations)


def change_effect(
    change: WeightChange, activations: Mapping[str, np.ndarray], *, top: int = 10, draws: int = 5, seed: int = 0
) -> ChangeEffect:
    """Figures of what the matrix is fed, (n, in) of each kind, safe and unsafe among them.

    Raises ValueError where one of these is missing.
    """
    if missing := {"safe", "unsafe"} - activations.keys():
        raise ValueError(f"expected activations of safe and unsafe inputs, got none of {', '.join(sorted(missing))}")
    delta = change.delta
    fed = {kind: torch.as_tensor(values).to(delta) for kind, values in activations.items()}
    lengths = {kind: moved(delta, a) for kind, a in fed.items()}
    norm = float(delta.norm())
    relative = {
        kind: float((lengths[kind] / (a.norm(dim=1) * max(norm, _LEAST)).clamp(min=_LEAST)).median())
        for kind, a in fed.items()
    }
    generator = torch.Generator().manual_seed(seed)
    _, spectrum, right = torch.linalg.svd(delta, full_matrices=False)
    turned = [_turned(delta, spectrum, generator) for _ in range(draws)]
    drawn = [_compared({kind: moved(one, a) for kind, a in fed.items()}) for one in turned]
    ratio, area = _compared(lengths)
    along = {kind: _along(spectrum[:top], right[:top], a) for kind, a in fed.items()}
    directions = {kind: tuple(one.abs().median(dim=0).values.tolist()) for kind, one in along.items()}
    means = [float(np.mean([one[i] for one in drawn])) if drawn else float("nan") for i in (0, 1)]
    return ChangeEffect(
        {kind: float(values.median()) for kind, values in lengths.items()}, relative, directions, ratio, area, *means
    )


def _along(values: Tensor, right: Tensor, activations: Tensor) -> Tensor:
    """σ_j ⟨a, v_j⟩ / ‖a‖ for singular values (j,) and right singular vectors (j, in): (n, j)."""
    return (activations @ right.T) * values / activations.norm(dim=1, keepdim=True).clamp(min=_LEAST)


def _compared(lengths: Mapping[str, Tensor]) -> tuple[float, float]:
    """(median of unsafe over that of safe, AUROC of unsafe above safe); 1 where both medians are 0."""
    unsafe, safe = (lengths[kind].cpu().double().numpy() for kind in ("unsafe", "safe"))
    above, below = float(np.median(unsafe)), float(np.median(safe))
    ratio = above / below if below > 0 else (1.0 if above == 0 else float("inf"))
    return ratio, auroc(safe, unsafe)


def _turned(delta: Tensor, spectrum: Tensor, generator: torch.Generator) -> Tensor:
    """A change of the same spectrum whose right singular vectors are random; the left ones leave lengths alone."""
    right, _ = torch.linalg.qr(torch.randn(delta.shape[1], len(spectrum), generator=generator).to(delta))
    return spectrum[:, None] * right.T
