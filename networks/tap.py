"""What is observed of a network: its taps, how they become neurons, and how a user picks them."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from typing_extensions import Self

ACTIVATIONS = frozenset((
    "biasgelu", "celu", "clip", "elu", "fastgelu", "gelu", "hardswish", "hardtanh", "leakyrelu", "mish", "prelu",
    "quickgelu", "relu", "relu6", "rrelu", "selu", "silu", "softplus", "swish", "threshold", "thresholdedrelu",
))  # fmt: skip
GATES = frozenset(("hardsigmoid", "logsigmoid", "sigmoid", "softsign", "tanh"))
"""Kinds that ``auto`` taps only where a network has none of `ACTIVATIONS`: most often they gate other values."""

OUTPUT = "output"
DEFAULT_TAPS = ("auto", "first:unit")
"""Every activation as the adapter's `neurons` says, and the first of them unit by unit, where small noise is seen."""

_RANKS = {"NC": 1, "NLC": 2, "NCHW": 3, "NHWC": 3}
_NEURONS = re.compile(r"unit|channel|channel-max|grid[1-9][0-9]*")


@dataclass(frozen=True)
class Tap:
    """One observed tensor and how it becomes neurons.

    name: of the module or tensor. kind: lower-case operator, ``output`` for the class scores.
    shape: of one sample. layout: ``NCHW``, ``NHWC``, ``NLC`` or ``NC``. dtype: of the tensor in the network.
    neurons: ``unit``, every value (in the tensor's own order); ``channel`` and ``channel-max``, the mean or the
    largest value of each channel; ``gridK``, K x K means of each channel over the windows of adaptive average
    pooling, channel by channel (for NLC, K means along the sequence). Dense (NC) tensors have ``unit`` only.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    layout: str
    dtype: str
    neurons: str

    def __post_init__(self) -> None:
        if _RANKS.get(self.layout) != len(self.shape):
            raise ValueError(
                f"tap {self.name!r}: expected a layout among {', '.join(_RANKS)} that fits the shape of one sample, "
                f"got {self.layout!r} and {self.shape}"
            )
        check_neurons(self.neurons)
        if self.layout == "NC" and self.neurons != "unit":
            raise ValueError(f"tap {self.name!r}: expected neurons 'unit' for a dense tensor, got {self.neurons!r}")

    @property
    def id(self) -> str:
        """Name and neurons: what tells one tap of a network from the others."""
        return f"{self.name}:{self.neurons}"

    @property
    def size(self) -> int:
        """The number of neurons."""
        if self.neurons == "unit":
            return math.prod(self.shape)
        channels = self.shape[0] if self.layout == "NCHW" else self.shape[-1]
        if self.neurons.startswith("grid"):
            return channels * self.grid ** (len(self.shape) - 1)
        return channels

    @property
    def grid(self) -> int:
        """K of ``gridK``. Raises ValueError for other neurons."""
        return int(self.neurons.removeprefix("grid"))

    def matches(self, selector: str) -> bool:
        """Whether the selector means this tap; see `Taps.select`."""
        pattern, neurons = split_selector(selector)
        if neurons not in (None, self.neurons) and self.layout != "NC":
            return False
        if matches(pattern, self.name, self.kind):
            return True
        return ":" in pattern and self.kind != OUTPUT and fnmatchcase(self.id, pattern)


class Taps(tuple[Tap, ...]):
    """The taps of a network, in the order of its activations; str() is a table."""

    __slots__ = ()

    def __new__(cls, taps: Iterable[Tap] = ()) -> Self:
        self = super().__new__(cls, taps)
        ids = [tap.id for tap in self]
        if len(set(ids)) < len(ids):
            raise ValueError(
                f"expected taps that differ, got {', '.join(sorted({i for i in ids if ids.count(i) > 1}))}"
            )
        return self

    def __str__(self) -> str:
        rows = [("tap", "kind", "shape", "neurons", "taken by")]
        rows += ((tap.name, tap.kind, "x".join(map(str, tap.shape)), f"{tap.size:,}", tap.neurons) for tap in self)
        return "\n".join(_aligned(rows, right=3))

    def select(self, selector: str) -> tuple[int, ...]:
        """The positions of the taps that a selector means.

        A selector is an id (``layer1.0.relu:channel``), a name, a glob over ids or names (``layer1*:channel``,
        ``layer1*``), or a kind (``@relu``, ``@relu:unit``). A dense tap answers to every way to become neurons.
        Globs leave out the class scores: name them or say ``@output``.
        Raises ValueError when nothing matches, with the taps there are.
        """
        found = tuple(index for index, tap in enumerate(self) if tap.matches(selector))
        if not found:
            ids = [tap.id for tap in self]
            hint = did_you_mean(selector, [*ids, *(tap.name for tap in self)])
            raise ValueError(f"expected a tap, a glob or an @kind, got {selector!r}{hint}; the taps are\n{self}")
        return found


@dataclass(frozen=True)
class Candidate:
    """A tensor that might be tapped; obstacle says why it cannot be, where it cannot."""

    name: str
    kind: str
    shape: tuple[int, ...] = ()
    layout: str = ""
    dtype: str = ""
    obstacle: str = ""

    def tap(self, neurons: str) -> Tap:
        """The tap on this tensor; dense ones are taken unit by unit, whatever is asked."""
        neurons = "unit" if self.layout == "NC" else neurons
        return Tap(self.name, self.kind, self.shape, self.layout, self.dtype, neurons)


def candidate(
    name: str, kind: str, shape: Sequence[int], dtype: str, *, batch: int, channels_last: bool = False
) -> Candidate:
    """A candidate from a tensor seen in a trial run on `batch` samples; shape includes the batch axis."""
    sample = tuple(shape[1:])
    layouts = {1: "NC", 2: "NLC", 3: "NHWC" if channels_last else "NCHW"}
    if "float" not in dtype:
        return Candidate(name, kind, obstacle=f"expected a floating-point tensor, got {dtype}")
    if not shape or shape[0] != batch:
        return Candidate(name, kind, obstacle=f"expected {batch} rows for a batch of {batch}, got shape {tuple(shape)}")
    if len(sample) not in layouts:
        return Candidate(
            name, kind, obstacle=f"expected (batch, channels, height, width), (batch, length, channels) or "
            f"(batch, channels), got {len(shape)} axes: {tuple(shape)}"
        )  # fmt: skip
    return Candidate(name, kind, sample, layouts[len(sample)], dtype)


def choose(candidates: Sequence[Candidate], selectors: str | Sequence[str], neurons: str | Sequence[str]) -> list[Tap]:
    """The taps that a user asks of an adapter, in the order of the candidates.

    selectors: ``auto`` (every activation), ``first`` (the first of them), a name, a glob over names, an ``@kind``, or
    several; each may carry its own ``:neurons``. Globs and kinds pass over tensors that cannot be tapped; a name does
    not.
    Raises ValueError for a selector that means none of the candidates.
    """
    ways = [neurons] if isinstance(neurons, str) else list(neurons)
    if not ways:
        raise ValueError("expected one way or more to become neurons, got none")
    for way in ways:
        check_neurons(way)
    chosen: dict[int, dict[str, Tap]] = {}
    for selector in [selectors] if isinstance(selectors, str) else selectors:
        pattern, own = split_selector(selector)
        for index in _meant(candidates, pattern):
            for tap in map(candidates[index].tap, [own] if own else ways):
                chosen.setdefault(index, {})[tap.id] = tap
    return [tap for index in sorted(chosen) for tap in chosen[index].values()]


def _meant(candidates: Sequence[Candidate], pattern: str) -> list[int]:
    if pattern in ("auto", "first"):
        for kinds in (ACTIVATIONS, GATES):
            found = [i for i, c in enumerate(candidates) if c.kind in kinds and not c.obstacle]
            if found:
                return found if pattern == "auto" else found[:1]
        names = ", ".join(c.name for c in candidates if not c.obstacle and c.kind != OUTPUT)
        raise ValueError(f"expected activations to tap, got none; name tensors among: {names or 'none'}")
    exact = [i for i, c in enumerate(candidates) if c.name == pattern]
    found = exact or [i for i, c in enumerate(candidates) if matches(pattern, c.name, c.kind)]
    usable = [i for i in found if not candidates[i].obstacle]
    if usable:
        return usable
    if found:
        refused = candidates[found[0]]
        raise ValueError(f"{refused.name!r} cannot be tapped: {refused.obstacle}")
    known = ", ".join(sorted({f"@{c.kind}" for c in candidates if not c.obstacle}))
    hint = did_you_mean(pattern, [c.name for c in candidates])
    raise ValueError(f"expected the name of a tensor, a glob or a kind ({known}), got {pattern!r}{hint}")


def stands_for(selector: str, name: str, kind: str) -> bool:
    """Whether a selector of `choose` could mean a tensor, whatever its shape."""
    pattern, _ = split_selector(selector)
    return kind in ACTIVATIONS | GATES if pattern in ("auto", "first") else matches(pattern, name, kind)


def matches(pattern: str, name: str, kind: str) -> bool:
    """Whether a selector without neurons means a tensor. A glob never means the class scores."""
    if pattern.startswith("@"):
        return pattern[1:] == kind
    return pattern == name or (kind != OUTPUT and fnmatchcase(name, pattern))


def split_selector(selector: str) -> tuple[str, str | None]:
    """``layer1*:unit`` as (``layer1*``, ``unit``); the second is None where the selector does not say it."""
    pattern, colon, neurons = selector.rpartition(":")
    return (pattern, neurons) if colon and _NEURONS.fullmatch(neurons) else (selector, None)


def check_neurons(neurons: str) -> None:
    """Raise ValueError for an unknown way to become neurons."""
    if not _NEURONS.fullmatch(neurons):
        raise ValueError(f"expected neurons 'unit', 'channel', 'channel-max' or 'gridK' (grid4), got {neurons!r}")


def did_you_mean(name: str, names: Sequence[str]) -> str:
    """`` (did you mean ...?)`` with the names closest to a mistyped one, or nothing."""
    close = difflib.get_close_matches(name, names, cutoff=0.5)
    return f" (did you mean {' or '.join(map(repr, close))}?)" if close else ""


def reduce_to_neurons(tap: Tap, values: np.ndarray) -> np.ndarray:
    """A tapped tensor (batch, *tap.shape) as neurons: (batch, tap.size) float32, C-contiguous."""
    values = values.astype(np.float32, copy=False)
    if tap.neurons != "unit":
        if tap.layout != "NCHW":
            values = np.moveaxis(values, -1, 1)
        axes = tuple(range(2, values.ndim))
        if tap.neurons == "channel":
            values = values.mean(axes)
        elif tap.neurons == "channel-max":
            values = values.max(axes)
        else:
            values = _grid_means(values, tap.grid)
    return np.ascontiguousarray(values.reshape(len(values), -1))


def _grid_means(values: np.ndarray, k: int) -> np.ndarray:
    """Adaptive average pooling of the axes from the third on: window i of n is i n // k to ceil((i + 1) n / k)."""
    for axis in range(2, values.ndim):
        n = values.shape[axis]
        windows = (slice(i * n // k, -((-i - 1) * n // k)) for i in range(k))
        means = [values[(slice(None),) * axis + (window,)].mean(axis) for window in windows]
        values = np.stack(means, axis)
    return values


def _aligned(rows: Sequence[Sequence[str]], right: int) -> Iterator[str]:
    """Rows of text as lines with the columns under each other; the column `right` is set flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            cell.rjust(width) if column == right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()
