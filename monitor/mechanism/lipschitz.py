"""How strongly the first output answers to small changes of the input embeddings: a local Lipschitz constant.

‖∂ max-logit of the first output / ∂ input embeddings‖_F (Jain et al., 2024, section 4).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from .inputs import TokenInputs
from .reading import Progress, device_of, forward


def lipschitz(model: Any, inputs: TokenInputs, *, batch: int = 32, progress: Progress | None = None) -> np.ndarray:
    """The norm of the gradient at each input, (n,) float64. What stands behind the prompt has no part in it.

    No parameter of the model gets a gradient. Raises ValueError for a model in training mode.
    """
    found = []
    embed = model.get_input_embeddings()
    for rows, some in inputs.batches(batch, 1, device_of(model)):
        with torch.no_grad():
            embedded = embed(some.tokens)
        embedded = embedded.detach().requires_grad_(True)
        keep = int(some.tokens.shape[1] - some.last.min())
        with torch.enable_grad():
            logits = forward(model, some, keep, embedded)
            place = some.last - (some.tokens.shape[1] - keep)
            highest = logits[torch.arange(len(some), device=logits.device), place].max(dim=1).values
            (gradient,) = torch.autograd.grad(highest.float().sum(), embedded)
        gradient = torch.where(some.mask.bool()[..., None], gradient, torch.zeros_like(gradient))
        found.append(gradient.float().flatten(1).norm(dim=1).double().cpu().numpy())
        if progress is not None:
            progress(min(rows.stop, len(inputs)), len(inputs))
    return np.concatenate(found)


def median_interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float, float]:
    """The median, and an interval that holds the true one with at least this chance, from order statistics.

    It is the narrowest pair of order statistics k and n + 1 − k whose binomial coverage is enough (Conover, 1999); the
    whole range where there are too few values. Raises ValueError for none.
    """
    from scipy.stats import binom

    ordered = np.sort(np.asarray(values, np.float64))
    n = len(ordered)
    if not n:
        raise ValueError("expected at least one value, got none")
    # P(X_(k) ≤ median ≤ X_(n+1−k)) = 1 − 2 P(Binomial(n, ½) < k)
    k = 1
    while 2 * (k + 1) <= n + 1 and 1 - 2 * binom.cdf(k, n, 0.5) >= level:
        k += 1
    return float(np.median(ordered)), float(ordered[k - 1]), float(ordered[n - k])
