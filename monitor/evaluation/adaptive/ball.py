"""Where an attack may go: close to the images it started from, and within what an image can be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

Mask = np.ndarray | str | None
BACKGROUND = "background"
_FLAT = 0.02  # of the width of the bounds
_SHARE_FLAT = 0.2
_ROUNDING = 1e-6  # of the largest number an image may have


@dataclass(frozen=True)
class Ball:
    """What n images may become: each number moves by at most epsilon and stays within bounds, where a mask allows it.

    start, low, high: (n, *shape) float32.
    """

    start: Tensor
    low: Tensor
    high: Tensor

    @classmethod
    def around(cls, start: Tensor, epsilon: float, bounds: tuple[float, float], mask: Tensor | None = None) -> Ball:
        """mask: (n, *shape) bool, the numbers that may move; all by default."""
        reach = epsilon if mask is None else epsilon * mask
        least, most = bounds
        return cls(start, torch.clamp(start - reach, least, most), torch.clamp(start + reach, least, most))

    def __getitem__(self, rows: Tensor | slice) -> Ball:
        return Ball(self.start[rows], self.low[rows], self.high[rows])

    def __len__(self) -> int:
        return len(self.start)

    def kept(self, images: Tensor) -> Tensor:
        """The images moved back to where they may be."""
        return torch.minimum(torch.maximum(images, self.low), self.high)

    def drawn(self, generator: torch.Generator) -> Tensor:
        """Images drawn uniformly."""
        share = torch.rand(self.start.shape, generator=generator).to(self.start.device)
        return self.low + share * (self.high - self.low)


def refuse_outside(
    images: np.ndarray, start: np.ndarray, epsilon: float, bounds: tuple[float, float]
) -> None:  # fmt: skip
    """Raise RuntimeError for images that an attack may not have made: it would be a fault of the attack.

    Images are float32: what rounding does to bounds and to a sum is none.
    """
    rounding = _ROUNDING * max(map(abs, (1.0, *bounds)))
    moved = float(np.abs(images.astype(np.float64) - start).max(initial=0))
    least, most = float(images.min(initial=bounds[0])), float(images.max(initial=bounds[1]))
    if not (moved <= epsilon + rounding and bounds[0] - rounding <= least and most <= bounds[1] + rounding):
        raise RuntimeError(
            f"expected attacked images within {epsilon:g} of their start and in [{bounds[0]:g}, {bounds[1]:g}],"
            f" got a change of {moved:g} and numbers in [{least:g}, {most:g}]"
        )


def mask_of(images: np.ndarray, mask: Mask, bounds: tuple[float, float] = (0.0, 1.0)) -> np.ndarray | None:
    """(n, *shape) bool, the numbers that may move; None for all.

    mask: an array that fits the images, or ``background`` for what differs from the flat background of each image, its
    median along the border: None where there is little of it. Raises ValueError for another mask.
    """
    if mask is None:
        return None
    if not isinstance(mask, str):
        given = np.asarray(mask, bool)
        try:
            return np.broadcast_to(given, images.shape)
        except ValueError:
            raise ValueError(f"expected a mask that fits images {images.shape}, got shape {given.shape}") from None
    if mask != BACKGROUND:
        raise ValueError(f"expected a mask as an array, {BACKGROUND!r} or None, got {mask!r}")
    if images.ndim != 4 or not len(images):
        return None
    border = np.concatenate([images[:, :, [0, -1]].reshape(*images.shape[:2], -1),
                             images[..., [0, -1]].reshape(*images.shape[:2], -1)], axis=2)  # fmt: skip
    background = np.median(border, axis=2)[:, :, None, None]
    found: np.ndarray = np.abs(images - background) > _FLAT * (bounds[1] - bounds[0])
    return found if 1 - found.mean() >= _SHARE_FLAT else None
