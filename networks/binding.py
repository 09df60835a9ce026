"""The taps of two networks side by side, and how far the two differ on the same frames."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .inputs import Input, frames_in, parts_of, together
from .matching import Gap, Matching
from .network import Network, Observation, fits
from .tap import Tap


@dataclass(frozen=True)
class BoundTap:
    """A tap of the first network and the same of the second.

    how: ``name``, ``path`` (of the module), ``position`` (the same among the taps of one operator, shape and way to
    become neurons; the class scores) or ``value`` (which of several candidates fits the values). difference: the
    largest absolute difference of the two over all frames, in units of the largest absolute value of either; None
    without frames. Codes of a quantised tap are first brought to the values of the other by the line that fits best.
    """

    a: Tap
    b: Tap
    how: str
    difference: float | None = None


@dataclass(frozen=True)
class UnboundTap:
    """A tap without a counterpart; side: ``a`` or ``b``, the network it is of."""

    side: str
    tap: Tap
    reason: str


@dataclass(frozen=True)
class Binding:
    """The taps of two networks, side by side.

    rows: in the order of the first network's taps. frames: how many both were run on. output: as the difference of a
    tap, over all outputs. predictions_differ: frames whose highest class score is of another class, None without
    classes or frames.
    """

    rows: tuple[BoundTap, ...]
    unbound: tuple[UnboundTap, ...]
    frames: int = 0
    output: float | None = None
    predictions_differ: int | None = None

    @property
    def largest(self) -> float | None:
        """The largest difference of any tap or output, None without frames."""
        return None if self.output is None else max((self.output, *(row.difference or 0.0 for row in self.rows)))

    def missing(self, side: str = "a") -> tuple[UnboundTap, ...]:
        """The taps of one network that the other lacks."""
        return tuple(unbound for unbound in self.unbound if unbound.side == side)


def bind(a: Network, b: Network, frames: Any = None) -> Binding:
    """Find the taps of `a` among those of `b`.

    Networks of one engine are bound by the names of taps, others by module path, where one of them tells the paths.
    What is left is bound by its position among the taps of the same operator, shape and neurons. frames:
    (n, *input_shape), or batches of them, are run through both; of networks with several inputs, a tuple of arrays or a
    mapping by name, or batches of these. Inputs are the same in both by name or, where names differ, by order. Then a
    candidate that fits clearly better is taken, and values tell what neither path nor position tells. The first batch
    decides; all of them are measured. Recurrent networks are reset first.
    Raises ValueError when the two take or return different shapes, or `frames` holds none.
    """
    if frames is None:
        pairs, left = Matching(a, b, None).result()
        rows = [BoundTap(a.taps[i], b.taps[j], how) for (i, j), how in sorted(pairs.items())]
        return Binding(tuple(rows), tuple(UnboundTap(*rest) for rest in left))
    one_batch = isinstance(frames, (np.ndarray, Mapping)) or (len(a.inputs) > 1 and isinstance(frames, tuple))
    batches = (together(parts_of(batch, a.inputs)) for batch in ([frames] if one_batch else frames))
    first = next(batches, None)
    if first is None or not frames_in(first):
        raise ValueError("expected frames to compare the networks on, got none")
    pairs = {}
    gaps: dict[tuple[int, int], Gap] = {}
    output, differ, count = Gap(), 0, 0
    a.reset()
    b.reset()
    for batch in itertools.chain([first], batches):
        seen = a.observe(_taken_by(a, batch, a.inputs)), b.observe(_taken_by(b, batch, a.inputs))
        if not count:
            pairs, left = Matching(a, b, seen).result()
            gaps = {(i, j): Gap.between(a.taps[i], b.taps[j]) for i, j in pairs}
        for (i, j), gap in gaps.items():
            gap.add(seen[0].activations[i], seen[1].activations[j])
        for one, other in _outputs(*seen):
            output.add(one, other)
        if seen[0].logits is not None and seen[1].logits is not None:
            differ += int((seen[0].logits.argmax(1) != seen[1].logits.argmax(1)).sum())
        count += frames_in(batch)
    rows = [BoundTap(a.taps[i], b.taps[j], how, gaps[i, j].relative) for (i, j), how in sorted(pairs.items())]
    unbound = tuple(UnboundTap(*rest) for rest in left)
    differ_in = differ if None not in (a.classes, b.classes) else None
    return Binding(tuple(rows), unbound, count, output.relative, differ_in)


def random_frames(network: Network, count: int = 4, seed: int = 0) -> Any:
    """Frames of noise for a network, (count, *input_shape): standard normal, or any byte where it takes integers.

    Of a network with several inputs, a tuple of arrays. Raises ValueError for a network that leaves input sizes open.
    """
    rng = np.random.default_rng(seed)
    return together([_noise(one, count, rng) for one in network.inputs])


def _noise(one: Input, count: int, rng: np.random.Generator) -> np.ndarray:
    shape = tuple(size for size in one.shape if size is not None)
    if len(shape) < len(one.shape):
        raise ValueError(f"expected a network whose input sizes are known, got {one.shape} for input {one.name}")
    dtype = np.dtype(one.dtype)
    if dtype.kind == "f":
        return rng.standard_normal((count, *shape)).astype(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, (count, *shape)).astype(dtype)
    return rng.integers(0, min(256, np.iinfo(dtype).max + 1), (count, *shape)).astype(dtype)


def _taken_by(network: Network, batch: Any, given: Sequence[Input]) -> Any:
    """A batch in the float dtypes of a network, and with the channels first or last as it takes them.

    given: the inputs in the order of the batch; they are the network's by their names or, where these are others, by
    their order.
    """
    inputs = network.inputs
    parts = batch if isinstance(batch, tuple) else (batch,)
    if len(parts) != len(inputs):
        raise ValueError(f"expected networks of as many inputs, got {len(parts)} and {len(inputs)}")
    named = {one.name: part for one, part in zip(given, parts, strict=True)}
    if set(named) == {one.name for one in inputs}:
        parts = tuple(named[one.name] for one in inputs)
    return together([_fitted(part, one) for part, one in zip(parts, inputs, strict=True)])


def _fitted(frames: np.ndarray, one: Input) -> np.ndarray:
    dtype, taken = np.dtype(one.dtype), one.shape
    if len(taken) == 3 and frames.ndim == 4 and not fits(frames.shape[1:], taken):
        turned = [np.moveaxis(frames, *axes) for axes in ((1, -1), (-1, 1))]
        frames = next((np.ascontiguousarray(t) for t in turned if fits(t.shape[1:], taken)), frames)
    return frames.astype(dtype, copy=False) if dtype.kind == frames.dtype.kind == "f" else frames


def _outputs(a: Observation, b: Observation) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The outputs of two networks side by side. Raises ValueError when they differ in number or shape."""
    mine, theirs = list(_arrays(a.output)), list(_arrays(b.output))
    if [value.shape for value in mine] != [value.shape for value in theirs]:
        shapes = [", ".join(str(value.shape) for value in values) for values in (mine, theirs)]
        raise ValueError(f"expected networks with outputs of the same shapes, got {shapes[0]} and {shapes[1]}")
    return zip(mine, theirs, strict=True)


def _arrays(output: Any) -> Iterator[np.ndarray]:
    if isinstance(output, Mapping):
        output = tuple(output.values())
    if isinstance(output, (tuple, list)):
        for item in output:
            yield from _arrays(item)
    elif hasattr(output, "detach"):
        yield output.detach().cpu().double().numpy()
    elif isinstance(output, np.ndarray) and output.dtype.kind in "biuf":
        yield output
