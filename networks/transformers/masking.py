"""A masked head: its attention made uniform, by putting the mean of its values where its output stood.

One-head Defense (NeurIPS 2025) multiplies a head's query projection by 1e-5, so that its output at a position becomes
the mean of the values that the position sees. No weight is edited here: that mean replaces the head's slice of the
output projection's input.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


def seen_positions(mask: Any, padding: Tensor, window: int | None, *, last: bool = False) -> Tensor:
    """(batch, tokens, tokens) bool: which positions (last axis) each position sees in the plain pass.

    last: whether the last position alone is asked about, (batch, 1, tokens).

    mask: what the layer was given: (batch, 1, tokens, keys), bool with True for seen or numbers to add; anything else
    stands for causal attention. padding: (batch, tokens), 0 where there is no token. window: of sliding attention.
    """
    tokens = padding.shape[1]
    if isinstance(mask, Tensor) and mask.ndim == 4 and mask.shape[2] == tokens:
        mask = mask[:, 0, -1:, :tokens] if last else mask[:, 0, :, :tokens]
        seen = mask if mask.dtype == torch.bool else mask > torch.finfo(mask.dtype).min / 2
        return seen.expand(len(padding), -1, -1)
    place = torch.arange(tokens, device=padding.device)
    behind = (place[-1:] if last else place)[:, None] - place
    causal = (behind >= 0) & (behind < window) if window else behind >= 0
    return causal & padding.bool()[:, None]


def means_of_values(values: Tensor, seen: Tensor) -> Tensor:
    """The mean of the values that each position sees: (batch, groups, positions, head_dim), in float32.

    values: (batch, groups, tokens, head_dim). seen: (batch, positions, tokens) bool. Zero where nothing is seen.
    """
    weights = seen.float() / seen.sum(-1, keepdim=True).clamp(min=1)
    return weights[:, None] @ values.float()


def check_plain(heads: Tensor, values: Tensor, layer: int) -> None:
    """Raise ValueError unless each head returns the value of its group, as it must for a prompt of one token.

    It does not where something stands between attention and output projection (a gate, a norm, a sink): then the mean
    of the values is not what a masked head returns. heads: (heads, head_dim). values: (groups, head_dim).
    """
    expected = values.float().repeat_interleave(len(heads) // len(values), 0)
    if not torch.allclose(heads.float(), expected, rtol=1e-2, atol=1e-2 * float(expected.abs().max())):
        raise ValueError(
            f"layer {layer}: expected heads that return the mean of values when masked, got others; a gate, a norm or a"
            " sink stands behind the attention: take the statistic read_out, which masks nothing"
        )


@contextmanager
def replaced(projection: nn.Module, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """While it lasts, the projection works on what `change` makes of its input; in this thread alone."""
    own = threading.get_ident()

    def hook(_module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (change(args[0]), *args[1:]) if threading.get_ident() == own else args

    handle = projection.register_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()
