"""Which tap of one network is which tap of another: by module path, by position, and by what they show."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .network import Network, Observation
from .tap import OUTPUT, Tap

_NEARER = 10  # a tap that fits so many times better than the one of the same path or place takes that one's place
_CLEAR = 2  # how many times better than all others a tap must fit to be chosen for its values alone
_STRANGE = 0.5  # tensors that differ by so much of their scale are not the same one
_OPERATORS = {
    "linear": "gemm",
    "matmul": "gemm",
    "relu6": "clip",
    "hardtanh": "clip",
    "batchnorm": "batchnormalization",
}


@dataclass(frozen=True)
class BoundTap:
    """A tap of the first network and the same of the second.

    how: ``name``, ``path`` (of the module), ``position`` (the same place among the taps of one operator, shape and way
    to become neurons; the class scores) or ``value`` (which of several candidates fits the values). difference: the
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


def bind(a: Network, b: Network, frames: np.ndarray | Iterable[np.ndarray] | None = None) -> Binding:
    """Find the taps of `a` among those of `b`.

    Networks of one engine are bound by the names of taps, others by module path, where one of them tells the paths;
    what is left by its place among the taps of the same operator, shape and neurons. frames: (n, *input_shape), or
    batches of them, are run through both: then a tap is bound to another candidate that fits clearly better, and
    what cannot be told by path or place is told by value. The first batch decides, all of them are measured.
    Raises ValueError when the two take or return different shapes, or `frames` holds none.
    """
    if frames is None:
        pairs, unbound = _Matching(a, b, None).result()
        return Binding(tuple(BoundTap(a.taps[i], b.taps[j], how) for (i, j), how in sorted(pairs.items())), unbound)
    batches = iter([frames] if isinstance(frames, np.ndarray) else frames)
    first = next(batches, None)
    if first is None or not len(first):
        raise ValueError("expected frames to compare the networks on, got none")
    pairs = {}
    gaps: dict[tuple[int, int], _Gap] = {}
    output, differ, count = _Gap(), 0, 0
    for batch in itertools.chain([first], batches):
        seen = a.observe(_taken_by(a, batch)), b.observe(_taken_by(b, batch))
        if not count:
            pairs, unbound = _Matching(a, b, seen).result()
            gaps = {(i, j): _Gap.between(a.taps[i], b.taps[j]) for i, j in pairs}
        for (i, j), gap in gaps.items():
            gap.add(seen[0].activations[i], seen[1].activations[j])
        for one, other in _outputs(*seen):
            output.add(one, other)
        if seen[0].logits is not None and seen[1].logits is not None:
            differ += int((seen[0].logits.argmax(1) != seen[1].logits.argmax(1)).sum())
        count += len(batch)
    rows = [BoundTap(a.taps[i], b.taps[j], how, gaps[i, j].relative) for (i, j), how in sorted(pairs.items())]
    classes = None not in (a.classes, b.classes)
    return Binding(tuple(rows), unbound, count, output.relative, differ if classes else None)


def random_frames(network: Network, count: int = 4, seed: int = 0) -> np.ndarray:
    """Frames of noise for a network, (count, *input_shape): standard normal, or any byte where it takes integers.

    Raises ValueError for a network that leaves its input size open.
    """
    shape = tuple(size for size in network.input_shape if size is not None)
    if len(shape) < len(network.input_shape):
        raise ValueError(f"expected a network whose input sizes are known, got {network.input_shape}")
    rng = np.random.default_rng(seed)
    dtype = np.dtype(network.dtype)
    if dtype.kind == "f":
        return rng.standard_normal((count, *shape)).astype(dtype)
    return rng.integers(0, min(256, np.iinfo(dtype).max + 1), (count, *shape)).astype(dtype)


class _Gap:
    """The largest difference of two arrays, and the scale it is measured in, batch by batch."""

    def __init__(self, fit: str = "") -> None:
        self._fit = fit  # which of the two holds codes
        self._line: tuple[float, float] | None = None
        self._difference = 0.0
        self._scale = 0.0

    @classmethod
    def between(cls, a: Tap, b: Tap) -> _Gap:
        return cls("" if a.quantised == b.quantised else "a" if a.quantised else "b")

    def add(self, one: np.ndarray, other: np.ndarray) -> None:
        one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
        if self._fit:
            codes, values = (one, other) if self._fit == "a" else (other, one)
            self._line = self._line or _line(codes, values)
            codes = codes * self._line[0] + self._line[1]
            one, other = values, codes
        with np.errstate(invalid="ignore"):
            differences = np.abs(one - other)
        differences[(one == other) | (np.isnan(one) & np.isnan(other))] = 0
        differences[np.isnan(differences)] = np.inf
        self._difference = max(self._difference, float(differences.max(initial=0)))
        for values in (one, other):
            self._scale = max(self._scale, float(np.abs(values[np.isfinite(values)]).max(initial=0)))

    @property
    def relative(self) -> float:
        return self._difference / self._scale if self._difference and self._scale else self._difference


def _line(codes: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """Slope and offset, least squares over what is finite."""
    finite = np.isfinite(values)
    codes, values = codes[finite], values[finite]
    if not len(codes):
        return 1.0, 0.0
    centred = codes - codes.mean()
    spread = float((centred**2).sum())
    slope = float((centred * (values - values.mean())).sum()) / spread if spread else 0.0
    return slope, float(values.mean() - slope * codes.mean())


class _Matching:
    """Pairs of positions in the taps of two networks, found step by step; nothing is bound twice."""

    def __init__(self, a: Network, b: Network, seen: tuple[Observation, Observation] | None) -> None:
        self._taps = a.taps, b.taps
        self._one_engine = a.engine == b.engine
        self._seen = seen
        self._gaps: dict[tuple[int, int], float] = {}
        scores = [[i for i, tap in enumerate(taps) if tap.kind == OUTPUT] for taps in self._taps]
        self._free = [{i for i, tap in enumerate(taps) if tap.kind != OUTPUT} for taps in self._taps]
        self._pairs: dict[tuple[int, int], str] = {}
        self._scores = dict.fromkeys(zip(*scores, strict=False), "position")

    def result(self) -> tuple[dict[tuple[int, int], str], tuple[UnboundTap, ...]]:
        """How each pair is bound, and the taps that are left."""
        if self._one_engine:
            self._bind_equal("name", lambda tap: (tap.name,))
        self._bind_equal("path", lambda tap: tap.paths if self._one_engine else (*tap.paths, tap.name))
        self._release_misfits()
        same_place = self._same_place()
        for i, j in same_place:
            if self._seen is None or self._gap(i, j) <= _NEARER * self._nearest_other(i, j):
                self._bind(i, j, "position")
        self._bind_near()
        for i, j in same_place:
            if i in self._free[0] and j in self._free[1]:
                self._bind(i, j, "position")
        unbound = [
            UnboundTap(side, self._taps[s][i], self._why(s, i)) for s, side in enumerate("ab") for i in self._left(s)
        ]
        return self._pairs | self._scores, tuple(unbound)

    def _left(self, side: int) -> list[int]:
        return sorted(self._free[side])

    def _bind(self, i: int, j: int, how: str) -> None:
        self._pairs[i, j] = how
        self._free[0].discard(i)
        self._free[1].discard(j)

    def _candidates(self, i: int) -> list[int]:
        """Free taps of the second network that could be tap i of the first."""
        return [j for j in self._left(1) if _comparable(self._taps[0][i], self._taps[1][j])]

    def _bind_equal(self, how: str, names: Callable[[Tap], Sequence[str]]) -> None:
        shared = []
        for i in self._left(0):
            mine = names(self._taps[0][i])
            for j in self._candidates(i):
                theirs = names(self._taps[1][j])
                shared += [(mine.index(name) + theirs.index(name), i, j) for name in set(mine).intersection(theirs)]
        for _, i, j in sorted(shared):
            if i in self._free[0] and j in self._free[1]:
                self._bind(i, j, how)

    def _release_misfits(self) -> None:
        """Give free again what was bound by a name though another tap fits far better."""
        if self._seen is None:
            return
        for (i, j), how in list(self._pairs.items()):
            gap = self._gap(i, j)
            del self._pairs[i, j]
            self._free[0].add(i)
            self._free[1].add(j)
            if gap <= _NEARER * self._nearest_other(i, j):
                self._bind(i, j, how)

    def _same_place(self) -> list[tuple[int, int]]:
        """Free taps in the same place among those of one operator, way and size, where there are equally many."""
        groups: tuple[dict[Any, list[int]], dict[Any, list[int]]] = {}, {}
        for side in (0, 1):
            for i in self._left(side):
                tap = self._taps[side][i]
                groups[side].setdefault((_operator(tap), tap.neurons, tap.size), []).append(i)
        return [
            pair
            for key, mine in groups[0].items()
            if len(mine) == len(theirs := groups[1].get(key, []))
            for pair in zip(mine, theirs, strict=True)
            if _comparable(self._taps[0][pair[0]], self._taps[1][pair[1]])
        ]

    def _bind_near(self) -> None:
        """Bind the pairs that fit clearly better than all others of the two."""
        if self._seen is None:
            return
        for gap, i, j in sorted((self._gap(p, q), p, q) for p in self._left(0) for q in self._candidates(p)):
            free = i in self._free[0] and j in self._free[1]
            if free and gap <= _STRANGE and _CLEAR * gap <= self._nearest_other(i, j):
                self._bind(i, j, "value")

    def _nearest_other(self, i: int, j: int) -> float:
        """The least gap of either tap to another free one."""
        rows = [self._gap(i, other) for other in self._candidates(i) if other != j]
        columns = [self._gap(other, j) for other in self._left(0) if other != i and j in self._candidates(other)]
        return min((*rows, *columns), default=np.inf)

    def _gap(self, i: int, j: int) -> float:
        if (i, j) not in self._gaps:
            gap = _Gap.between(self._taps[0][i], self._taps[1][j])
            if self._seen is not None:
                gap.add(self._seen[0].activations[i], self._seen[1].activations[j])
            self._gaps[i, j] = gap.relative
        return self._gaps[i, j]

    def _why(self, side: int, i: int) -> str:
        tap, others = self._taps[side][i], self._taps[1 - side]
        fitting = [other for other, there in enumerate(others) if _comparable(tap, there)]
        if not fitting:
            return f"no tap there has its {tap.size} neurons taken by {tap.neurons}"
        free = [other for other in fitting if other in self._free[1 - side]]
        names = _some([others[other].id for other in free or fitting])
        if self._seen is None:
            return (
                f"it could be {names}; frames would tell" if free else f"what it could be is bound to others: {names}"
            )
        gaps = {other: self._gap(*((i, other) if side == 0 else (other, i))) for other in fitting}
        nearest = min(fitting, key=lambda other: gaps[other])
        if nearest not in free and gaps[nearest] <= _STRANGE:
            return f"what fits it best is bound to another: {others[nearest].id}"
        if not free:
            return f"what it could be is bound to others: {names}"
        gap = min(gaps[other] for other in free)
        return f"it could be {names}, of which none fits clearly: the nearest differs by {gap:.3g}"


def _comparable(a: Tap, b: Tap) -> bool:
    """Whether two taps could show the same neurons in the same order."""
    if OUTPUT in (a.kind, b.kind) or a.neurons != b.neurons or a.size != b.size:
        return False
    return a.shape == b.shape if a.neurons == "unit" else True


def _operator(tap: Tap) -> str:
    kind = re.sub(r"\dd$", "", tap.kind)
    return _OPERATORS.get(kind, kind)


def _taken_by(network: Network, frames: np.ndarray) -> np.ndarray:
    """Frames in the float dtype of a network, and with the channels first or last as it takes them."""
    dtype = np.dtype(network.dtype)
    taken = network.input_shape
    if len(taken) == 3 and frames.ndim == 4 and not _fits(frames.shape[1:], taken):
        turned = [np.moveaxis(frames, *axes) for axes in ((1, -1), (-1, 1))]
        frames = next((np.ascontiguousarray(t) for t in turned if _fits(t.shape[1:], taken)), frames)
    return frames.astype(dtype, copy=False) if dtype.kind == frames.dtype.kind == "f" else frames


def _fits(shape: tuple[int, ...], open_shape: tuple[int | None, ...]) -> bool:
    return len(shape) == len(open_shape) and all(o in (None, s) for s, o in zip(shape, open_shape, strict=True))


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


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
