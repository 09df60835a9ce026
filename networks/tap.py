"""What is observed of a network: its taps, how they become neurons, and how a user picks them."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
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

CODES = frozenset(("uint8", "int8", "uint16", "int16"))
"""Types of quantised codes."""

OUTPUT = "output"
DEFAULT_TAPS = ("auto", "first:unit")
"""Every activation as the adapter's `neurons` says, and the first of them unit by unit, where small noise is seen."""

_RANKS = {"NC": 1, "NLC": 2, "NCL": 2, "NCHW": 3, "NHWC": 3, "NHLC": 3, "NLHC": 3}
_NEURONS = re.compile(r"unit|channel|channel-max|head|pixel|grid[1-9][0-9]*")
_MAPS = ("NLC", "NCL", "NCHW", "NHWC")
_HEADS = ("NHLC", "NLHC")
_LAYOUTS = {"head": _HEADS, "pixel": _MAPS, "grid": _MAPS}
_FIRST = ("NCL", "NCHW")
_SHIFTS = {"int8": 128, "int16": 32768}


@dataclass(frozen=True)
class Tap:
    """One observed tensor and how it becomes neurons.

    name: of the module or tensor. kind: lower-case operator, ``output`` for the class scores.
    shape: of one sample, None where a size is left open. layout: ``NCHW``, ``NHWC``, ``NCL`` (signals), ``NLC``
    (tokens), ``NHLC`` (attention heads x tokens x channels, also where the tensor's first axis is batch * heads),
    ``NLHC`` (also where its last axis is heads * channels) or ``NC``. dtype: of the tensor in the network; integers are
    quantised codes, and signed ones are shifted so that the lowest is 0.
    neurons: ``unit``, every value (in the tensor's own order); ``channel`` and ``channel-max``, the mean or the
    largest value of each channel (of each head); ``gridK``, K x K means of each channel over the windows of adaptive
    average pooling, channel by channel (for NLC, K means along the sequence); ``head``, the root mean square of each
    attention head's output; ``pixel``, the channels at every place on their own, (batch * places, channels).
    Dense (NC) tensors have ``unit`` only.
    paths: the modules whose result the tensor is, innermost first, where the file of a network tells them; a selector
    may say one in place of the name. They do not count when taps are compared.
    """

    name: str
    kind: str
    shape: tuple[int | None, ...]
    layout: str
    dtype: str
    neurons: str
    paths: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if _RANKS.get(self.layout) != len(self.shape):
            raise ValueError(
                f"tap {self.name!r}: expected a layout among {', '.join(_RANKS)} that fits the shape of one sample, "
                f"got {self.layout!r} and {self.shape}"
            )
        check_neurons(self.neurons)
        if self.layout == "NC" and self.neurons != "unit":
            raise ValueError(f"tap {self.name!r}: expected neurons 'unit' for a dense tensor, got {self.neurons!r}")
        fitting = _LAYOUTS.get(self.neurons.rstrip("0123456789"))
        if fitting and self.layout not in fitting:
            raise ValueError(
                f"tap {self.name!r}: expected a layout among {', '.join(fitting)} for neurons {self.neurons!r},"
                f" got {self.layout}"
            )
        if None in (self.shape if self.neurons == "unit" else self._channels):
            raise ValueError(
                f"tap {self.name!r}: expected known sizes for neurons {self.neurons!r}, got {_shown(self.shape)};"
                " fix the input shape, or take channel or grid means"
            )

    @property
    def id(self) -> str:
        """Name and neurons: what tells one tap of a network from the others."""
        return f"{self.name}:{self.neurons}"

    @property
    def size(self) -> int:
        """The number of neurons; for ``pixel``, of one place."""
        if self.neurons == "unit":
            return _product(self.shape)
        if self.neurons == "head":
            return _product(self._channels[:1])
        channels = _product(self._channels)
        if self.neurons.startswith("grid"):
            return channels * self.grid ** (len(self.shape) - 1)
        return channels

    @property
    def quantised(self) -> bool:
        """Whether the tensor holds quantised codes."""
        return "int" in self.dtype

    @property
    def shift(self) -> int:
        """What is added to the codes of a quantised tensor."""
        return _SHIFTS.get(self.dtype, 0)

    @property
    def _channels(self) -> tuple[int | None, ...]:
        if self.layout in _HEADS:
            return self.shape[0 if self.layout == "NHLC" else 1], self.shape[2]
        return self.shape[:1] if self.layout in _FIRST else self.shape[-1:]

    @property
    def map_sizes(self) -> tuple[int | None, ...]:
        """The sizes of a map that are pooled; none for dense tensors and attention heads."""
        if self.layout not in _MAPS:
            return ()
        return self.shape[1:] if self.layout in _FIRST else self.shape[:-1]

    @property
    def grid(self) -> int:
        """K of ``gridK``. Raises ValueError for other neurons."""
        return int(self.neurons.removeprefix("grid"))

    def matches(self, selector: str) -> bool:
        """Whether the selector means this tap; see `Taps.select`."""
        pattern, neurons = split_selector(selector)
        if neurons not in (None, self.neurons) and self.layout != "NC":
            return False
        if any(matches(pattern, name, self.kind) for name in (self.name, *self.paths)):
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
        rows = [("tap", "kind", "shape", "neurons", "taken by", "module" if any(tap.paths for tap in self) else "")]
        rows += (
            (tap.name, tap.kind, _shown(tap.shape), f"{tap.size:,}", tap.neurons, ", ".join(tap.paths[:1]))
            for tap in self
        )
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
            hint = did_you_mean(selector, [*ids, *(name for tap in self for name in (tap.name, *tap.paths))])
            raise ValueError(f"expected a tap, a glob or an @kind, got {selector!r}{hint}; the taps are\n{self}")
        return found


@dataclass(frozen=True)
class Candidate:
    """A tensor that might be tapped; obstacle says why it cannot be, where it cannot. paths: as of `Tap`."""

    name: str
    kind: str
    shape: tuple[int | None, ...] = ()
    layout: str = ""
    dtype: str = ""
    obstacle: str = ""
    paths: tuple[str, ...] = ()

    def tap(self, neurons: str) -> Tap:
        """The tap on this tensor; dense ones are taken unit by unit, whatever is asked."""
        neurons = "unit" if self.layout == "NC" else neurons
        return Tap(self.name, self.kind, self.shape, self.layout, self.dtype, neurons, self.paths)


def candidate(
    name: str, kind: str, shape: Sequence[int | None], dtype: str, *, batch: int, channels_last: bool | None = None
) -> Candidate:
    """A candidate from a tensor seen in a trial run on `batch` samples; shape includes the batch axis.

    channels_last: whether the last axis holds the channels rather than the one behind the batch; left out, it does
    for tensors of three axes.
    """
    sample = tuple(shape[1:])
    layouts = {
        1: "NC",
        2: "NCL" if channels_last is False else "NLC",
        3: "NHWC" if channels_last else "NCHW",
    }
    if "float" not in dtype and dtype not in CODES:
        return Candidate(name, kind, obstacle=f"expected a tensor of floats or of quantised codes, got {dtype}")
    if not shape or shape[0] != batch:
        return Candidate(name, kind, obstacle=f"expected {batch} rows for a batch of {batch}, got shape {tuple(shape)}")
    if len(sample) not in layouts:
        return Candidate(
            name, kind, obstacle=f"expected (batch, channels, height, width), (batch, length, channels) or "
            f"(batch, channels), got {len(shape)} axes: {tuple(shape)}"
        )  # fmt: skip
    layout = layouts[len(sample)]
    if sample[0 if layout in _FIRST else -1] is None:
        return Candidate(
            name, kind, obstacle=f"expected a known number of channels, got shape {_shown(sample)}; fix the input shape"
        )  # fmt: skip
    return Candidate(name, kind, sample, layout, dtype)


def choose(candidates: Sequence[Candidate], selectors: str | Sequence[str], neurons: str | Sequence[str]) -> list[Tap]:
    """The taps that a user asks of an adapter, in the order of the candidates.

    selectors: ``auto`` (every activation), ``first`` (the first of them), ``stages`` (the last of each size of map), a
    name, a module path where the file tells it, a glob over both, an ``@kind``, or several; each may carry its own
    ``:neurons``. Globs and kinds pass over
    tensors that cannot be tapped; a name does not. A name that is also a path means the tensor of that name.
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
    if pattern in _OF_ACTIVATIONS:
        for kinds in (ACTIVATIONS, GATES):
            found = [i for i, c in enumerate(candidates) if c.kind in kinds and not c.obstacle]
            if found:
                return _OF_ACTIVATIONS[pattern](candidates, found)
        names = ", ".join(c.name for c in candidates if not c.obstacle and c.kind != OUTPUT)
        hidden = [c for c in candidates if c.obstacle and c.kind in ACTIVATIONS | GATES][:1]
        why = "".join(f"; {c.name!r} cannot be tapped: {c.obstacle}" for c in hidden)
        raise ValueError(f"expected activations to tap, got none; name tensors among: {names or 'none'}{why}")
    exact = [i for i, c in enumerate(candidates) if c.name == pattern]
    exact = exact or [i for i, c in enumerate(candidates) if pattern in c.paths]
    found = exact or [
        i for i, c in enumerate(candidates) if any(matches(pattern, name, c.kind) for name in (c.name, *c.paths))
    ]
    usable = [i for i in found if not candidates[i].obstacle]
    if usable:
        return usable
    if found:
        refused = candidates[found[0]]
        raise ValueError(f"{refused.name!r} cannot be tapped: {refused.obstacle}")
    known = ", ".join(sorted({f"@{c.kind}" for c in candidates if not c.obstacle}))
    hint = did_you_mean(pattern, [name for c in candidates for name in (c.name, *c.paths)])
    words = ", ".join(_OF_ACTIVATIONS)
    raise ValueError(f"expected {words}, the name of a tensor, a glob or a kind ({known}), got {pattern!r}{hint}")


def _last_of_each_size(candidates: Sequence[Candidate], found: Sequence[int]) -> list[int]:
    """Maps of a single place are of one size with dense tensors. Raises ValueError for sizes left open."""
    last = {}
    for index in found:
        c = candidates[index]
        if None in c.shape:
            raise ValueError(
                f"expected known sizes to tell the stages of the network apart, got {_shown(c.shape)} at {c.name!r};"
                " fix the input shape, or name the taps"
            )
        last[tuple(size for size in c.tap("channel").map_sizes if size != 1)] = index
    return sorted(last.values())


_OF_ACTIVATIONS: dict[str, Callable[[Sequence[Candidate], list[int]], list[int]]] = {
    "auto": lambda _, found: found,
    "first": lambda _, found: found[:1],
    "stages": _last_of_each_size,
}


def stands_for(selector: str, name: str, kind: str, paths: Sequence[str] = ()) -> bool:
    """Whether a selector of `choose` could mean a tensor, whatever its shape."""
    pattern, _ = split_selector(selector)
    if pattern in _OF_ACTIVATIONS:
        return kind in ACTIVATIONS | GATES
    return any(matches(pattern, own, kind) for own in (name, *paths))


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
        raise ValueError(
            f"expected neurons 'unit', 'channel', 'channel-max', 'gridK' (grid4), 'head' or 'pixel', got {neurons!r}"
        )


def did_you_mean(name: str, names: Sequence[str]) -> str:
    """`` (did you mean ...?)`` with the names closest to a mistyped one, or nothing."""
    close = difflib.get_close_matches(name, names, cutoff=0.5)
    return f" (did you mean {' or '.join(map(repr, close))}?)" if close else ""


def reduce_to_neurons(tap: Tap, values: np.ndarray) -> np.ndarray:
    """A tapped tensor (batch, *tap.shape) as neurons: (batch, tap.size) float32, C-contiguous.

    Units of 8-bit codes stay uint8. For ``pixel`` the rows are places, (batch * places, tap.size), frame by frame and
    row by row.
    """
    if tap.dtype == "int8":
        values = np.ascontiguousarray(values).view(np.uint8) ^ np.uint8(128)
    if not (tap.neurons == "unit" and values.dtype == np.uint8):
        values = values.astype(np.float32, copy=False)
    if tap.dtype == "int16":
        values = values + np.float32(tap.shift)
    if tap.layout in _HEADS:
        values = values.reshape(_batch(tap, values), *_with_heads(tap, values))
    if tap.neurons == "pixel":
        values = np.moveaxis(values, 1, -1) if tap.layout in _FIRST else values
        return np.ascontiguousarray(values.reshape(-1, tap.size))
    if tap.neurons != "unit":
        values = _means_of_heads(tap, values) if tap.layout in _HEADS else _means_of_maps(tap, values)
    return np.ascontiguousarray(values.reshape(len(values), -1))


def fill_neurons(tap: Tap, values: np.ndarray, neurons: np.ndarray) -> list[Callable[[], object]]:
    """What writes `reduce_to_neurons` of units or pixels to an array that is there, one call after the other.

    Both arrays are C-contiguous and stay where they are; the calls make none.
    """
    if neurons.dtype == np.uint8:
        codes = values.view(np.uint8).reshape(neurons.shape)
        return [partial(np.bitwise_xor, codes, np.uint8(tap.shift), neurons)]
    first = tap.neurons == "pixel" and tap.layout in _FIRST
    shape = (len(values), *values.shape[2:], tap.size) if first else values.shape
    target = neurons.reshape(shape)
    calls: list[Callable[[], object]] = [partial(np.copyto, np.moveaxis(target, -1, 1) if first else target, values)]
    if tap.shift:
        calls.append(partial(np.add, neurons, np.float32(tap.shift), neurons))
    return calls


def _batch(tap: Tap, values: np.ndarray) -> int:
    return len(values) // (tap.shape[0] or 1) if tap.layout == "NHLC" and values.ndim == 3 else len(values)


def _with_heads(tap: Tap, values: np.ndarray) -> tuple[int | None, ...]:
    """tap.shape with its open length as it is in `values`."""
    length = values.shape[-2] if tap.layout == "NHLC" else values.shape[1]
    return tuple(length if size is None else size for size in tap.shape)


def _means_of_heads(tap: Tap, values: np.ndarray) -> np.ndarray:
    tokens = 2 if tap.layout == "NHLC" else 1
    if tap.neurons == "head":
        return np.sqrt(np.square(values).mean(axis=(tokens, 3)))
    return values.mean(tokens) if tap.neurons == "channel" else values.max(tokens)


def _means_of_maps(tap: Tap, values: np.ndarray) -> np.ndarray:
    if tap.layout not in _FIRST:
        values = np.moveaxis(values, -1, 1)
    axes = tuple(range(2, values.ndim))
    if tap.neurons == "channel":
        return values.mean(axes)
    return values.max(axes) if tap.neurons == "channel-max" else _grid_means(values, tap.grid)


def _grid_means(values: np.ndarray, k: int) -> np.ndarray:
    """Adaptive average pooling of the axes from the third on: window i of n is i n // k to ceil((i + 1) n / k)."""
    for axis in range(2, values.ndim):
        n = values.shape[axis]
        windows = (slice(i * n // k, -((-i - 1) * n // k)) for i in range(k))
        means = [values[(slice(None),) * axis + (window,)].mean(axis) for window in windows]
        values = np.stack(means, axis)
    return values


def _product(sizes: Iterable[int | None]) -> int:
    return math.prod(size for size in sizes if size is not None)


def _shown(shape: Sequence[int | None]) -> str:
    return "x".join("?" if size is None else str(size) for size in shape)


def _aligned(rows: Sequence[Sequence[str]], right: int) -> Iterator[str]:
    """Rows of text as lines with the columns under each other; the column `right` is set flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            cell.rjust(width) if column == right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()
