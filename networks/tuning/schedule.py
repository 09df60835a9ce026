"""How long, how fast and in which order a model is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass

_PRECISIONS = "float32", "bfloat16"


@dataclass(frozen=True)
class Schedule:
    """Steps of AdamW with a linear warm-up, then a cosine, after Jain et al. (NeurIPS 2024, arXiv 2407.10264).

    steps: updates. batch: examples of each. rate: the highest learning rate. warmup: share of the steps. floor: the
    rate that the cosine ends at. clip: the largest norm of the gradient. seed: of the order and of dropout.
    save_every: steps between checkpoints. precision: ``float32``, or ``bfloat16`` by autocast.
    Raises ValueError for a value out of its range.
    """

    steps: int
    batch: int
    rate: float
    warmup: float = 0.1
    floor: float = 1e-6
    weight_decay: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float = 1.0
    seed: int = 0
    save_every: int = 100
    precision: str = "float32"

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("batch", 1), ("seed", 0), ("save_every", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"expected {name} to be a whole number of at least {least}, got {value!r}")
        if not 0 < self.rate < math.inf:
            raise ValueError(f"expected a rate above 0, got {self.rate!r}")
        if not 0 <= self.warmup <= 1:
            raise ValueError(f"expected a warmup from 0 to 1, a share of the steps, got {self.warmup!r}")
        if not 0 <= self.floor <= self.rate:
            raise ValueError(f"expected a floor from 0 to the rate {self.rate:g}, got {self.floor!r}")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"expected a weight_decay of at least 0, got {self.weight_decay!r}")
        betas: tuple[float, ...] = tuple(self.betas)
        object.__setattr__(self, "betas", betas)
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"expected two betas from 0 to below 1, got {self.betas!r}")
        if not self.clip > 0:
            raise ValueError(f"expected a clip above 0, inf for none, got {self.clip!r}")
        if self.precision not in _PRECISIONS:
            raise ValueError(f"expected a precision among {', '.join(_PRECISIONS)}, got {self.precision!r}")

    def rate_at(self, step: int) -> float:
        """The learning rate of a step, counted from 0. From ``steps`` on it is the floor."""
        warm = math.ceil(self.warmup * self.steps)
        if step < warm:
            return self.rate * (step + 1) / warm
        if step >= self.steps:
            return self.floor
        turned = math.cos(math.pi * (step - warm) / (self.steps - warm))
        return self.floor + (self.rate - self.floor) * 0.5 * (1 + turned)
