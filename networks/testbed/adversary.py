"""The adversary with soft tokens: embeddings found by gradient that make a model answer (Jain et al., section 5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from .language import BLANK
from .scoring import forced
from .sequences import IGNORED, Sequences

_STRIDE = 2.5  # a step is this many bounds over the number of steps: the far side can be reached


@dataclass(frozen=True)
class Attack:
    """soft (n, k, width): the best embeddings seen. before, after (n,): their objective at the start and at the best.

    The objective is the mean log-likelihood of output 1's right letters. bound: the largest norm of an embedding's
    distance from the blank's, at which all begin.
    """

    soft: Tensor
    before: Tensor
    after: Tensor
    bound: float


def attack(model: Any, sequences: Sequences, *, soft: int = 2, steps: int = 10, bound: float | None = None) -> Attack:
    """Projected gradient ascent for each sequence on its own, of a model whose weights stay as they are.

    Each soft embedding moves by 2.5 bounds over the steps along its gradient's direction and is put back on the ball
    around the blank's embedding. bound: of the ball, in the norm of an embedding (L2); by default the largest norm of
    a token's embedding. Raises ValueError for counts below 1 and a bound not above 0.
    """
    table = model.get_input_embeddings().weight.detach()
    bound = float(table.norm(dim=1).max()) if bound is None else bound
    if soft < 1 or steps < 1 or not bound > 0:
        raise ValueError(f"expected counts of at least 1 and a bound above 0, got {soft}, {steps} and {bound}")
    start = table[BLANK].expand(len(sequences), soft, -1)
    moved = torch.zeros_like(start)
    best = moved.clone()
    before = after = None
    for step in range(steps + 1):
        moved.requires_grad_(step < steps)
        with torch.set_grad_enabled(step < steps):
            reached = _objective(model, sequences, start + moved)
        found = reached.detach()
        if before is None or after is None:
            before, after = found, found.clone()
        better = found > after
        after = torch.where(better, found, after)
        best[better] = moved.detach()[better]
        if step < steps:
            (slope,) = torch.autograd.grad(reached.sum(), moved)
            stride = _STRIDE * bound / steps
            onward = moved.detach() + stride * slope / slope.norm(dim=-1, keepdim=True).clamp(min=1e-12)
            norms = onward.norm(dim=-1, keepdim=True)
            moved = onward * (bound / norms.clamp(min=bound))
    assert before is not None and after is not None  # noqa: S101, PT018 (there is at least one step)
    return Attack((start + best).detach(), before, after, bound)


def _objective(model: Any, sequences: Sequences, soft: Tensor) -> Tensor:
    logits, wanted = forced(model, sequences, sequences.answers, soft, 1)
    each = cross_entropy(logits.transpose(1, 2), wanted, ignore_index=IGNORED, reduction="none")
    return -each.sum(1) / (wanted != IGNORED).sum(1)
