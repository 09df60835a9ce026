"""Operations that pass over a map once, on an accelerator by a kernel of Triton, elsewhere by their plain twins.

`relu_pooled` stands in the place of a ReLU that is tapped: the network passes over that map anyway. `pooled_outside`
pools and compares. Both are operators of PyTorch, `torch.ops.outrider`, with fake implementations, so that compilers
see their shapes. Without Triton the twins are all there is.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

MEAN, HIGHEST = "mean", "max"
_WORK = 4096  # numbers of a block at a time
_PROGRAMS = 1024  # so many keep a large accelerator busy
_SPLITS = 1, 4, 16, 64  # few, so that the splits of many maps are added up together
_MANY = 2**20  # numbers, from which on a launch takes less time than the pass
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
HAS_TRITON = importlib.util.find_spec("triton") is not None and hasattr(torch.library, "triton_op")


class Cut(NamedTuple):
    """How a map is cut into blocks: channels and places of a block, splits of the places, places of a split."""

    channels: int
    places: int
    splits: int
    of_split: int


def cut_of(shape: torch.Size, places_first: bool, whole: bool = False) -> Cut:
    """The cut of a map (n, channels, places). places_first: whether places lie side by side. whole: without splits."""
    n, channels, places = shape
    if places_first:
        wide = min(_power(places), 1024)
        block = max(min(_WORK // wide, _power(channels)), 1)
    else:
        block = min(_power(channels), 128)
        wide = max(_WORK // block, 1)
    programs = n * -(-channels // block)
    wanted = 1 if whole else max(min(_PROGRAMS // programs, places // (2 * wide)), 1)
    splits = max(one for one in _SPLITS if one <= wanted)
    return Cut(block, wide, splits, -(-places // splits))


def _power(n: int) -> int:
    return 1 << max(n - 1, 0).bit_length()


def as_rows(x: Tensor) -> tuple[Tensor, bool] | None:
    """A map (n, channels, *sizes) as (n, channels, places), and whether places lie side by side; None for gaps."""
    if x.ndim < 3 or x.numel() == 0:
        return None
    if x.is_contiguous():
        return x.view(x.shape[0], x.shape[1], -1), True
    last = x.movedim(1, -1)
    if last.is_contiguous():
        return last.view(x.shape[0], -1, x.shape[1]).transpose(1, 2), x.shape[1] == 1
    return None


def relu_pooled_plain(x: Tensor, y: Tensor, how: str) -> Tensor:
    """The twin of `relu_pooled`, of one split."""
    torch.clamp_min(x, 0, out=y)
    return pooled_plain(y, how).unsqueeze(1)


def pooled_plain(x: Tensor, how: str) -> Tensor:
    """(n, channels) float32 of a map (n, channels, *sizes): the mean or the highest of each channel, NaN above all."""
    places = x.reshape(x.shape[0], x.shape[1], -1).float()
    return places.amax(2) if how == HIGHEST else places.mean(2)


def pooled_outside_plain(x: Tensor, low: Tensor, high: Tensor, labels: Tensor, how: str) -> tuple[Tensor, Tensor]:
    """The twin of `pooled_outside`."""
    pooled = pooled_plain(x, how)
    inside = (low[labels] <= pooled) & (pooled <= high[labels])
    return pooled, torch.where(inside, 0.0, 1.0)


def _run(
    x: Tensor, y: Tensor, how: str, relu: bool, bounds: tuple[Tensor, Tensor, Tensor] | None = None
) -> tuple[Tensor, Tensor]:
    """What was pooled, (n, splits, channels), and what is outside, (n, channels)."""
    from .one_pass import KERNEL

    tracing = not INTERPRETED and torch.compiler.is_compiling()
    found = as_rows(x)
    if found is None:
        raise ValueError(f"expected a map without gaps, (n, channels, *sizes), got strides {x.stride()}")
    values, places_first = found
    n, channels, places = values.shape
    cut = cut_of(values.shape, places_first, whole=bounds is not None)
    pooled = torch.empty((n, cut.splits, channels), dtype=torch.float32, device=x.device)
    low, high, labels = bounds or (pooled, pooled, pooled)
    outside = torch.empty((n, channels) if bounds else (0,), dtype=torch.float32, device=x.device)
    launched = torch.library.wrap_triton(KERNEL) if tracing else KERNEL
    launched[(n, -(-channels // cut.channels), cut.splits)](
        values, y, pooled, low, high, labels, outside,
        channels, places, cut.of_split, cut.splits, *values.stride(), 1.0 / places,
        RELU=relu, HIGHEST=how == HIGHEST, COMPARE=bounds is not None, CHANNELS=cut.channels, PLACES=cut.places,
    )  # fmt: skip
    return pooled, outside


if HAS_TRITON:

    @torch.library.triton_op("outrider::relu_pooled", mutates_args={"y"})
    def relu_pooled(x: Tensor, y: Tensor, how: str) -> Tensor:
        """Write the ReLU of a map to `y`, of its layout, and return what was pooled, (n, splits, channels) float32.

        how: ``mean`` or ``max``. The parts of a mean are to be added up, and the highest of the others taken. y may be
        the map itself outside of a compiled program.
        """
        return _run(x, y, how, relu=True)[0]

    @torch.library.triton_op("outrider::pooled_outside", mutates_args={})
    def pooled_outside(x: Tensor, low: Tensor, high: Tensor, labels: Tensor, how: str) -> tuple[Tensor, Tensor]:
        """What each channel of a map pools to, and 1 where that is not within [low, high] of the frame's class.

        low, high: (classes, channels) float32. labels: (n,) int64. Returns (n, channels) float32 twice.
        """
        pooled, outside = _run(x, x, how, False, (low, high, labels))
        return pooled[:, 0].clone(), outside

    @relu_pooled.register_fake
    def _(x: Tensor, y: Tensor, how: str) -> Tensor:
        found = as_rows(x)
        splits = 1 if found is None else cut_of(found[0].shape, found[1]).splits
        return x.new_empty((x.shape[0], splits, x.shape[1]), dtype=torch.float32)

    @pooled_outside.register_fake
    def _(x: Tensor, low: Tensor, high: Tensor, labels: Tensor, how: str) -> tuple[Tensor, Tensor]:
        return tuple(x.new_empty(x.shape[:2], dtype=torch.float32) for _ in range(2))  # type: ignore[return-value]

    if not INTERPRETED:  # which runs the kernel on the CPU
        relu_pooled.register_kernel("cpu")(relu_pooled_plain)
        pooled_outside.register_kernel("cpu")(pooled_outside_plain)
else:
    relu_pooled, pooled_outside = relu_pooled_plain, pooled_outside_plain


def takes(x: Tensor) -> bool:
    """Whether the kernel itself is to pass over a map now, beside PyTorch's dispatcher.

    It does on CUDA, where a graph is captured or the map is large: for a small one the launch takes longer than two of
    PyTorch's own. Compilers fuse the twin by themselves, and exporters know it.
    """
    if not (x.is_cuda and HAS_TRITON) or x.dtype not in (torch.float32, torch.float16, torch.bfloat16):
        return False
    traced = torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined]
    if traced or (torch.is_grad_enabled() and x.requires_grad):
        return False
    return (x.numel() >= _MANY or torch.cuda.is_current_stream_capturing()) and as_rows(x) is not None


def relu_pooled_now(x: Tensor, y: Tensor, how: str) -> Tensor:
    """`relu_pooled` without PyTorch's dispatcher, for a map that the kernel `takes`."""
    return _run(x, y, how, relu=True)[0]


def joined(parts: Sequence[Tensor], how: str) -> list[Tensor]:
    """(n, channels) of what `relu_pooled` returned for several maps; those of as many splits go together."""
    found: list[Tensor] = [one[:, 0] for one in parts]
    for splits in {one.shape[1] for one in parts} - {1}:
        lot = [i for i, one in enumerate(parts) if one.shape[1] == splits]
        whole = torch.cat([parts[i] for i in lot], 2)
        whole = whole.amax(1) if how == HIGHEST else whole.sum(1)
        for i, own in zip(lot, torch.split(whole, [parts[i].shape[2] for i in lot], 1), strict=True):
            found[i] = own
    return found
