"""Which tap of one network is which tap of another: by name, by module path, by position, and by what they show."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .network import Network, Observation
from .selectors import OUTPUT, some
from .tap import Tap

_NEARER = 10  # how many times better than the tap of the same name, path or position another must fit to be taken
_CLEAR = 2  # how many times better than all others a tap must fit to be chosen for its values alone
_STRANGE = 0.5  # tensors that differ by so much of their scale are not the same one
_OPERATORS = {
    "linear": "gemm",
    "matmul": "gemm",
    "relu6": "clip",
    "hardtanh": "clip",
    "batchnorm": "batchnormalization",
}


class Gap:
    """The largest difference of two arrays, and the scale it is measured in, batch by batch."""

    def __init__(self, fit: str = "") -> None:
        self._fit = fit  # which of the two holds codes
        self._line: tuple[float, float] | None = None
        self._difference = 0.0
        self._scale = 0.0

    @classmethod
    def between(cls, a: Tap, b: Tap) -> Gap:
        return cls("" if a.quantised == b.quantised else "a" if a.quantised else "b")

    def add(self, one: np.ndarray, other: np.ndarray) -> None:
        one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
        if one.shape != other.shape:  # other numbers of rows, where these vary
            self._difference = np.inf
            return
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


class Matching:
    """Pairs of positions in the taps of two networks, found step by step; nothing is bound twice."""

    def __init__(self, a: Network, b: Network, seen: tuple[Observation, Observation] | None) -> None:
        self._taps = a.taps, b.taps
        self._one_engine = a.engine == b.engine
        self._seen = seen
        self._gaps: dict[tuple[int, int], float] = {}
        scores = [[i for i, tap in enumerate(taps) if tap.kind == OUTPUT] for taps in self._taps]
        self._free = [{i for i, tap in enumerate(taps) if tap.kind != OUTPUT} for taps in self._taps]
        self._pairs: dict[tuple[int, int], str] = {}
        self._scores = {
            (i, j): "position" for i in scores[0] for j in scores[1] if a.taps[i].neurons == b.taps[j].neurons
        }

    def result(self) -> tuple[dict[tuple[int, int], str], list[tuple[str, Tap, str]]]:
        """How each pair is bound, and the taps that are left: ``a`` or ``b``, the tap, and why."""
        if self._one_engine:
            self._bind_equal("name", lambda tap: (tap.name,))
        self._bind_equal("path", lambda tap: tap.paths if self._one_engine else (*tap.paths, tap.name))
        self._release_misfits()
        same_position = self._same_position()
        for i, j in same_position:
            if self._seen is None or self._gap(i, j) <= _NEARER * self._nearest_other(i, j):
                self._bind(i, j, "position")
        self._bind_near()
        for i, j in same_position:
            if i in self._free[0] and j in self._free[1]:
                self._bind(i, j, "position")
        left = [(side, self._taps[s][i], self._why(s, i)) for s, side in enumerate("ab") for i in self._left(s)]
        return self._pairs | self._scores, left

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

    def _same_position(self) -> list[tuple[int, int]]:
        """Free taps at the same position among those of one operator, way and size, where there are equally many."""
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
            gap = Gap.between(self._taps[0][i], self._taps[1][j])
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
        names = some([others[other].id for other in free or fitting])
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
    if OUTPUT in (a.kind, b.kind) or a.neurons != b.neurons or a.size != b.size or a.rows != b.rows:
        return False
    return a.neurons != "unit" or a.shape == b.shape


def _operator(tap: Tap) -> str:
    kind = re.sub(r"\dd$", "", tap.kind)
    return _OPERATORS.get(kind, kind)
