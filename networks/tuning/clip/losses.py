"""Losses of SafeR-CLIP (AAAI 2026, arXiv 2511.16743) and Safe-CLIP (ECCV 2024, arXiv 2311.16254).

Both take an encoder of texts and pictures, and pairs of a safe and an unsafe item of either kind. Embeddings need no
unit length: all that is compared is their cosine, in float32.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn import functional

SAFE_CLIP_WEIGHTS = (0.1, 0.1, 0.1, 0.2, 0.25, 0.25, 0.25, 0.5)
"""Of Safe-CLIP's eight losses, in the order of `safe_clip_loss`, as its authors' code has them."""
SAFE_CLIP_SCALE = 100.0
"""What Safe-CLIP's contrastive losses multiply cosines by."""


class Embeddings(NamedTuple):
    """What an encoder makes of n quadruples: four tensors (n, width)."""

    safe_text: torch.Tensor
    unsafe_text: torch.Tensor
    safe_image: torch.Tensor
    unsafe_image: torch.Tensor


class Redirects(NamedTuple):
    """Where the unsafe items of n quadruples are to go: frozen embeddings of safe items, (n, width) each."""

    text: torch.Tensor
    image: torch.Tensor


def redirection(moved: torch.Tensor, unsafe: torch.Tensor, safe: torch.Tensor) -> torch.Tensor:
    """Mean log(1 + exp(cos(moved, unsafe) − cos(moved, safe))): nearer to the safe item than to the unsafe one.

    moved: (n, width) of the tuned encoder, unsafe and safe: (n, width) of the frozen one, of the other kind of item
    (SafeR-CLIP, relative cross-modal redirection).
    """
    return functional.softplus(_cosine(moved, unsafe) - _cosine(moved, safe)).mean()


def distance(moved: torch.Tensor, goal: torch.Tensor) -> torch.Tensor:
    """Mean 1 − cos(moved, goal) of (n, width) tensors: the redirection within a kind, and the preservation."""
    return (1 - _cosine(moved, goal)).mean()


def contrastive(first: torch.Tensor, second: torch.Tensor, scale: float = SAFE_CLIP_SCALE) -> torch.Tensor:
    """CLIP's loss of n pairs, the mean of both directions: row i of `first` (n, width) belongs to row i of `second`."""
    logits = scale * _unit(first) @ _unit(second).T
    own = torch.arange(len(logits), device=logits.device)
    return (functional.cross_entropy(logits, own) + functional.cross_entropy(logits.T, own)) / 2


def safer_clip_loss(
    tuned: Embeddings, frozen: Embeddings, goals: Redirects, *, redirect: float = 1.0, preserve: float = 1.0
) -> tuple[torch.Tensor, dict[str, float]]:
    """SafeR-CLIP's loss and its six parts. The weights of the parts are ours: one for four, one for two.

    redirect: of the relative redirection towards the other kind of item, and of the redirection within a kind.
    preserve: of the distance of safe items from where the frozen encoder has them.
    """
    moving = {
        "text_to_image": redirection(tuned.unsafe_text, frozen.unsafe_image, goals.image),
        "image_to_text": redirection(tuned.unsafe_image, frozen.unsafe_text, goals.text),
        "text_to_text": distance(tuned.unsafe_text, goals.text),
        "image_to_image": distance(tuned.unsafe_image, goals.image),
    }
    keeping = {
        "safe_text": distance(tuned.safe_text, frozen.safe_text),
        "safe_image": distance(tuned.safe_image, frozen.safe_image),
    }
    total = redirect * _sum(moving) + preserve * _sum(keeping)
    return total, {name: part.item() for name, part in {**moving, **keeping}.items()}


def safe_clip_loss(
    tuned: Embeddings,
    frozen: Embeddings,
    *,
    weights: tuple[float, ...] = SAFE_CLIP_WEIGHTS,
    scale: float = SAFE_CLIP_SCALE,
) -> tuple[torch.Tensor, dict[str, float]]:
    """Safe-CLIP's eight losses, their mean by weight and each alone. An unsafe item goes to its own safe partner.

    The authors' code has one encoder for both, in which adapters are put in place, so that its reference is the tuned
    encoder. Here the reference is the frozen one, as the paper has it.
    Raises ValueError for other than eight weights of at least 0, of which one is above.
    """
    if len(weights) != 8 or min(weights) < 0 or not sum(weights) > 0:
        raise ValueError(f"expected eight weights of at least 0, one of them above, got {weights!r}")
    parts = {
        "safe_text": distance(tuned.safe_text, frozen.safe_text),
        "unsafe_text": distance(tuned.unsafe_text, frozen.safe_text),
        "safe_image": distance(tuned.safe_image, frozen.safe_image),
        "unsafe_image": distance(tuned.unsafe_image, frozen.safe_image),
        "safe_text_to_image": contrastive(tuned.safe_text, frozen.safe_image, scale),
        "unsafe_text_to_image": contrastive(tuned.unsafe_text, frozen.safe_image, scale),
        "safe_image_to_text": contrastive(tuned.safe_image, frozen.safe_text, scale),
        "unsafe_image_to_text": contrastive(tuned.unsafe_image, frozen.safe_text, scale),
    }
    weighted = {name: weight * part for weight, (name, part) in zip(weights, parts.items(), strict=True)}
    return _sum(weighted) / sum(weights), {name: part.item() for name, part in parts.items()}


def _sum(parts: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.stack(list(parts.values())).sum()


def _unit(embeddings: torch.Tensor) -> torch.Tensor:
    return functional.normalize(embeddings.float(), dim=-1)


def _cosine(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    return (_unit(first) * _unit(second)).sum(-1)
