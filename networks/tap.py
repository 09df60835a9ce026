"""What is observed of a network: its taps, and the tensors that could be tapped."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, ClassVar

from .neurons import FIRST, HEADS, MAPS, check_neurons, map_sizes, window_of
from .renamed import warn_of_name
from .selectors import OUTPUT, meant, nothing_meant, shown, split_selector

if TYPE_CHECKING:
    from typing_extensions import Self

CODES = frozenset(("uint8", "int8", "uint16", "int16"))
"""Types of quantised codes."""

RANKS = {"NC": 1, "NLC": 2, "NCL": 2, "NCHW": 3, "NHWC": 3, "NHLC": 3, "NLHC": 3, "NCDHW": 4, "NDHWC": 4}
"""The layouts of taps, with the axes that a frame has in each."""
_LAYOUTS = {"head": HEADS, "pixel": MAPS, "grid": MAPS, "sample": MAPS}
_SHIFTS = {"int8": 128, "int16": 32768}


@dataclass(frozen=True)
class Tap:
    """One observed tensor and how it becomes neurons.

    name: of the module or tensor. kind: lower-case operator, ``output`` for the class scores, also for a map of those
    of every place.
    shape: of one sample, None where a size is left open. layout: ``NCHW``, ``NHWC``, ``NCL`` (signals), ``NLC``
    (tokens), ``NCDHW`` and ``NDHWC`` (video and volumes), ``NHLC`` (attention heads x tokens x channels, also where the
    tensor's first axis is batch * heads), ``NLHC`` (also where its last axis is heads * channels) or ``NC``. dtype: of
    the tensor in the network; integers are quantised codes, and signed ones are shifted so that the lowest is 0.
    neurons: ``unit``, every value (in the tensor's own order); ``channel`` and ``channel-max``, the mean or the
    largest value of each channel (of each head); ``sampleK``, the mean of each channel over at most K places along each
    axis of the map, n / K apart, rounded up; ``gridK``, K x K means of each channel over the windows of
    adaptive average pooling, channel by channel (K along a sequence, K x K x K in a volume); ``head``, the root mean
    square of each attention head's output; ``pixel``, the channels at every place on their own, (batch * places,
    channels);
    ``pixelK``, K from 2, the means of the channels over windows of K x K values, each window a place. Windows begin at
    multiples of K, and the last of an axis may hold fewer values; no window is larger than the whole map.
    Dense (NC) tensors have ``unit`` only.
    paths: the modules whose result the tensor is, innermost first, where the file of a network tells them; a selector
    may say one instead of the name. They do not count when taps are compared.
    rows: how many rows of the tensor each frame has, one behind the other, 1 or more, None where that varies from frame
    to frame (the regions of a detector). They are samples of one frame, as places are: the neurons are (batch * rows,
    size), of places (batch * rows * places, size). shape is that of one row.
    """

    name: str
    kind: str
    shape: tuple[int | None, ...]
    layout: str
    dtype: str
    neurons: str
    paths: tuple[str, ...] = field(default=(), compare=False)
    rows: int | None = 1
    obstacle: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if RANKS.get(self.layout) != len(self.shape):
            raise ValueError(
                f"tap {self.name!r}: expected a layout among {', '.join(RANKS)} that fits the shape of one sample, "
                f"got {self.layout!r} and {self.shape}"
            )
        check_neurons(self.neurons)
        if self.rows is not None and (type(self.rows) is not int or self.rows < 1):
            raise ValueError(f"tap {self.name!r}: expected 1 row or more a frame, or None, got {self.rows!r}")
        if self.layout == "NC" and self.neurons != "unit":
            raise ValueError(f"tap {self.name!r}: expected neurons 'unit' for a dense tensor, got {self.neurons!r}")
        fitting = _LAYOUTS.get(self.neurons.rstrip("0123456789"))
        if fitting and self.layout not in fitting:
            raise ValueError(
                f"tap {self.name!r}: expected a layout among {', '.join(fitting)} for neurons {self.neurons!r},"
                f" got {self.layout}"
            )
        if None in (self.shape if self.neurons == "unit" or self.sampled else self._channels):
            raise ValueError(
                f"tap {self.name!r}: expected known sizes for neurons {self.neurons!r}, got {shown(self.shape)};"
                " fix the input shape, or take channel or grid means"
            )
        sizes = [math.inf if size is None else size for size in self.map_sizes]
        if self.window is not None and 1 < self.window > max(sizes):
            raise ValueError(
                f"tap {self.name!r}: expected a map of at least {self.window} values along an axis for neurons"
                f" {self.neurons!r}, got {shown(self.map_sizes)}; take smaller windows, or channel"
            )

    @property
    def id(self) -> str:
        """Name and neurons: what tells one tap of a network from the others."""
        return f"{self.name}:{self.neurons}"

    @property
    def size(self) -> int:
        """The number of neurons; of one place, where neurons are of places."""
        channels = self._channels[:1] if self.neurons == "head" else self._channels
        sizes = self.shape if self.neurons == "unit" else channels
        size = math.prod(size for size in sizes if size is not None)
        return size * self.grid ** (len(self.shape) - 1) if self.neurons.startswith("grid") else size

    @property
    def head_channels(self) -> int | None:
        """How many neurons each attention head has, one head behind the other; None for other neurons."""
        by_channel = self.layout in HEADS and self.neurons in ("channel", "channel-max")
        return self.shape[2] if by_channel else None

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
        if self.layout in HEADS:
            return self.shape[0 if self.layout == "NHLC" else 1], self.shape[2]
        return self.shape[:1] if self.layout in FIRST else self.shape[-1:]

    @property
    def map_sizes(self) -> tuple[int | None, ...]:
        """The sizes of a map that are pooled; none for dense tensors and attention heads."""
        return map_sizes(self.layout, self.shape)

    @property
    def of_scores(self) -> bool:
        """Whether the neurons are class scores, those of a frame or of every place of a map."""
        return self.kind == OUTPUT and (self.layout == "NC" or self.of_places)

    @property
    def window(self) -> int | None:
        """How many values of the map along each axis make a place: K of ``pixelK``, 1 of ``pixel``; None for others."""
        return window_of(self.neurons)

    @property
    def of_places(self) -> bool:
        """Whether the neurons are of places: ``pixel`` or ``pixelK``."""
        return self.window is not None

    @property
    def place_sizes(self) -> tuple[int | None, ...] | None:
        """The sizes of the map of places, which are rows of neurons; None where neurons are not of places.

        They are those of `map_sizes` over the window, rounded up; None along an axis whose size is open.
        """
        window = self.window
        if window is None:
            return None
        return tuple(None if size is None else -(-size // window) for size in self.map_sizes)

    @property
    def sampled(self) -> int | None:
        """How many places along each axis of a map are read: K of ``sampleK``; None for neurons of all places."""
        return int(self.neurons.removeprefix("sample")) if self.neurons.startswith("sample") else None

    @property
    def grid(self) -> int:
        """K of ``gridK``. Raises ValueError for other neurons."""
        return int(self.neurons.removeprefix("grid"))

    def differences(self, other: Tap) -> list[str]:
        """A part of a sentence for each fact in which another tap of this id differs.

        A map of class scores is of kind ``output`` since it can be tapped as such; before, it was of its operator's.
        """
        if other.kind == OUTPUT and other.layout != "NC":
            other = replace(other, kind=self.kind)
        pairs = ((f.name, getattr(self, f.name), getattr(other, f.name)) for f in fields(self) if f.compare)
        return [f"expected {name} {expected}, got {got}" for name, expected, got in pairs if expected != got]

    def matches(self, selector: str) -> bool:
        """The old way to ask whether a selector means this tap."""
        warn_of_name("Tap.matches", "Taps.select")
        try:
            return bool(Taps([self]).select(selector))
        except ValueError:
            return False


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
            (tap.name, tap.kind, _shown(tap), f"{tap.size:,}", tap.neurons, ", ".join(tap.paths[:1])) for tap in self
        )
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ("  ".join(f"{c:{s}{w}}" for c, s, w in zip(row, "<<<><<", widths, strict=True)) for row in rows)
        return "\n".join(map(str.rstrip, lines))

    def select(self, selector: str) -> tuple[int, ...]:
        """The positions of the taps that a selector means; the selectors are those of ``taps=``.

        The id or name of a tap means that tap, also where it is a word. With ``:neurons`` a selector means the taps
        taken so; a dense tap answers to every way. A glob is also held against ids (``layer1*:grid*``).
        Raises ValueError when nothing matches, with the taps there are.
        """
        ids = [tap.id for tap in self]
        found = [index for index, tap in enumerate(self) if selector in (tap.id, tap.name)]
        if not found:
            pattern, neurons = split_selector(selector)
            found = [
                index
                for index in meant(self, pattern, ids)
                if neurons in (None, self[index].neurons) or self[index].layout == "NC"
            ]
        if not found:
            raise ValueError(f"{nothing_meant(selector, self, ids)}; the taps are\n{self}")
        return tuple(found)


def _shown(tap: Tap) -> str:
    return shown(tap.shape) if tap.rows == 1 else f"{tap.rows or '?'} of {shown(tap.shape)}"


@dataclass(frozen=True)
class Candidate:
    """A tensor that might be tapped; obstacle says why it cannot be, where it cannot. paths, rows: as of `Tap`."""

    name: str
    kind: str
    shape: tuple[int | None, ...] = ()
    layout: str = ""
    dtype: str = ""
    obstacle: str = ""
    paths: tuple[str, ...] = ()
    rows: int | None = 1

    def tap(self, neurons: str) -> Tap:
        """The tap on this tensor; dense ones are taken unit by unit, whatever is asked."""
        neurons = "unit" if self.layout == "NC" else neurons
        return Tap(self.name, self.kind, self.shape, self.layout, self.dtype, neurons, self.paths, self.rows)


def candidate(
    name: str,
    kind: str,
    shape: Sequence[int | None],
    dtype: str,
    *,
    batch: int,
    channels_last: bool | None = None,
    again: tuple[int, int | None] | None = None,
) -> Candidate:
    """A candidate from a tensor seen in a trial run on `batch` frames; shape includes the first axis.

    channels_last: whether the last axis holds the channels rather than the one behind the batch; left out, it does
    for tensors of three axes. again: another number of frames and the length of the first axis in a run on as many
    other frames, which tells what it is where it is not the batch; see `rows_of`.
    """
    sample = tuple(shape[1:])
    first = "NCL" if channels_last is False else "NLC"
    layouts = {1: "NC", 2: first, 3: "NHWC" if channels_last else "NCHW", 4: "NDHWC" if channels_last else "NCDHW"}
    layout = layouts.get(len(sample), "")
    rows, obstacle = rows_of(batch, shape[0], again) if shape else (1, f"expected {batch} rows, got a single number")
    if "float" not in dtype and dtype not in CODES:
        obstacle = f"expected a tensor of floats or of quantised codes, got {dtype}"
    elif obstacle:
        obstacle = f"{obstacle}, got shape {tuple(shape)}" if shape else obstacle
    elif not layout:
        expected = "(batch, channels, depth, height, width) or one with fewer of these, or (batch, length, channels)"
        obstacle = f"expected {expected}, got {len(shape)} axes: {tuple(shape)}"
    elif sample[0 if layout in FIRST else -1] is None:
        obstacle = f"expected a known number of channels, got shape {shown(sample)}; fix the input shape"
    else:
        return Candidate(name, kind, sample, layout, dtype, rows=rows)
    return Candidate(name, kind, obstacle=obstacle)


def rows_of(batch: int, first: int | None, again: tuple[int, int | None] | None = None) -> tuple[int | None, str]:
    """How many rows of a tensor each frame has, None where that varies (`Tap.rows`); and why it has none, or "".

    first: the length of its first axis in a run on `batch` frames, None where it is open. again: another number of
    frames and the length in a run on these. They should be other frames than the first: a detector may find as many
    regions in every empty one. Lengths in proportion to the frames are so many rows a frame; those in no proportion
    vary; one length for both belongs to no frame.
    Without a second run, and where as many frames have as many rows, the first axis is the batch or nothing is known.
    """
    if again is None or again == (batch, first):
        return 1, "" if first == batch else f"expected {batch} rows for a batch of {batch}"
    other, length = again
    if first is None or length is None:
        return 1, "expected a known number of rows; fix the input shape"
    if first * other == length * batch and first:
        rows, rest = divmod(first, batch)
        return (None if rest else rows), ""
    if first == length and first:
        return 1, f"expected rows that belong to frames: {batch} and {other} frames have as many"
    return None, ""
