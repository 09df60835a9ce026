"""Photographs as a camera would spoil them: darker, in fog, out of focus, with grain or a sticker."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

SEED = 0


def changed(images: np.ndarray, kind: str) -> np.ndarray:
    """Images (n, channels, height, width) float32 in [0, 1] changed as KINDS names it, the same in every run."""
    found: np.ndarray = KINDS[kind](torch.from_numpy(images), np.random.default_rng(SEED)).clamp(0, 1).numpy()
    return np.ascontiguousarray(found, np.float32)


def _grain(x: Tensor, rng: np.random.Generator) -> Tensor:
    return x + torch.from_numpy(rng.normal(0, 0.1, x.shape).astype(np.float32))


def _dark(x: Tensor, _rng: np.random.Generator) -> Tensor:
    return x * 0.3


def _blur(x: Tensor, _rng: np.random.Generator) -> Tensor:
    return functional.avg_pool2d(x, 5, 1, 2, count_include_pad=False)


def _fog(x: Tensor, rng: np.random.Generator) -> Tensor:
    """A white veil, 40 to 80 % thick, that changes slowly over the image."""
    coarse = torch.from_numpy(rng.uniform(0.4, 0.8, (len(x), 1, 4, 4)).astype(np.float32))
    thick = functional.interpolate(coarse, x.shape[2:], mode="bilinear")
    return x * (1 - thick) + 0.9 * thick


def _sticker(x: Tensor, rng: np.random.Generator) -> Tensor:
    """A square of one colour, a third as wide as the image, anywhere within the middle two thirds."""
    side, size = x.shape[-1] // 3, x.shape[-1]
    x = x.clone()
    for image in x:
        top, left = rng.integers(size // 6, size - size // 6 - side + 1, 2)
        colour = torch.from_numpy(rng.random((x.shape[1], 1, 1)).astype(np.float32))
        image[:, top : top + side, left : left + side] = colour
    return x


def _shuffled(x: Tensor, rng: np.random.Generator) -> Tensor:
    """Cut in sixteen pieces, which change places."""
    n, channels, size, _ = x.shape
    piece = size // 4
    pieces = x.reshape(n, channels, 4, piece, 4, piece).permute(0, 2, 4, 1, 3, 5).reshape(n, 16, channels, piece, piece)
    order = torch.from_numpy(np.stack([rng.permutation(16) for _ in range(n)]))
    pieces = torch.gather(pieces, 1, order[:, :, None, None, None].expand_as(pieces))
    return pieces.reshape(n, 4, 4, channels, piece, piece).permute(0, 3, 1, 4, 2, 5).reshape(x.shape)


KINDS: dict[str, Callable[[Tensor, np.random.Generator], Tensor]] = {
    "grain": _grain, "dark": _dark, "blur": _blur, "fog": _fog, "sticker": _sticker, "shuffled": _shuffled,
}  # fmt: skip
