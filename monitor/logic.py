"""Detection logics: how the deviations of many columns become one score.

A logic is a frozen dataclass of its settings. `fit` learns scales from held-out deviations, `score` applies them.
Every score is >= 0 and larger = less covered, so that it can be read as the η of a confidence. Standard scores are
shifted by a constant to keep that: Σ (η - mean)/std orders inputs as Σ η/std does.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, final

import numpy as np

from .data.groups import Groups, as_groups
from .kernels import scores

Scales = dict[str, np.ndarray]
Scorer = Callable[[], None]
"""Writes the scores of deviations to an array; both stay where they are."""
_TAIL_SHARE = 0.05
_TAIL_LEAST = 10
_KNOTS = 512
_GIVEN_KNOTS = 8
_PRIOR = 10
_CURVE = "value", "surprise", "excess"


class Logic(ABC):
    """Turns deviations (n, columns) into scores (n,); `groups` says which are of one group: `Groups`, or (columns,).

    A logic of places takes grids in their stead, (n, columns, height, width); see `PlaceLogic`.
    """

    name: ClassVar[str]
    of_places: ClassVar[bool] = False
    """Whether it judges the places of maps."""
    learns: ClassVar[bool] = True
    """Whether `fit` looks at the deviations, so that the threshold wants data of its own."""

    @final
    def fit(self, deviations: np.ndarray, groups: Groups | np.ndarray) -> Scales:
        """Scales from held-out deviations (n, columns), finite. Raises ValueError for fewer than 2 samples."""
        if self.learns and len(deviations) < 2:
            raise ValueError(f"expected at least 2 held-out samples to learn scales from, got {len(deviations)}")
        return self._fit(np.asarray(deviations, np.float64), as_groups(groups))

    @final
    def score(self, scales: Scales, deviations: np.ndarray, groups: Groups | np.ndarray) -> np.ndarray:
        """Scores (n,) float64, >= 0; +inf where any column deviates by +inf, and for a score that is no number."""
        deviations = np.asarray(deviations)
        kept = np.float32 if deviations.dtype == np.float32 else np.float64
        deviations = np.ascontiguousarray(deviations, kept)
        score = np.empty(len(deviations))
        self.scorer(scales, as_groups(groups), deviations, score)()
        return score

    @abstractmethod
    def scorer(self, scales: Scales, groups: Groups, deviations: np.ndarray, out: np.ndarray) -> Scorer:
        """What writes the scores of whatever the array then holds. All that it needs is allocated here.

        deviations: (n, columns), float32 or float64, C-contiguous. out: (n,) float64.
        """

    @abstractmethod
    def _fit(self, deviations: np.ndarray, groups: Groups) -> Scales: ...


@dataclass(frozen=True)
class Sum(Logic):
    """Σ η: the published form for one layer."""

    name: ClassVar[str] = "sum"
    learns: ClassVar[bool] = False

    def _fit(self, deviations: np.ndarray, groups: Groups) -> Scales:
        return {}

    def scorer(self, scales: Scales, groups: Groups, deviations: np.ndarray, out: np.ndarray) -> Scorer:
        return partial(scores.scaled_sum, deviations, np.ones(len(groups.of)), 0, out)


@dataclass(frozen=True)
class Normalised(Logic):
    """Σ η / E[η], the mean over held-out data (Sastry and Oore, Gram matrices, ICML 2020)."""

    name: ClassVar[str] = "normalised"

    def _fit(self, deviations: np.ndarray, groups: Groups) -> Scales:
        return {"scale": _positive(deviations.mean(axis=0))}

    def scorer(self, scales: Scales, groups: Groups, deviations: np.ndarray, out: np.ndarray) -> Scorer:
        return partial(scores.scaled_sum, deviations, *_read(scales, "scale"), 0, out)


@dataclass(frozen=True)
class ZScore(Logic):
    """Σ of the columns' standard scores. log: of log(1 + η), which keeps one loud layer from drowning the others."""

    log: bool = True
    name: ClassVar[str] = "z"

    def _fit(self, deviations: np.ndarray, groups: Groups) -> Scales:
        return {"scale": _positive(_scaled(deviations, self.log).std(axis=0))}

    def scorer(self, scales: Scales, groups: Groups, deviations: np.ndarray, out: np.ndarray) -> Scorer:
        return partial(scores.scaled_sum, deviations, *_read(scales, "scale"), int(self.log), out)


@dataclass(frozen=True)
class MaxZ(Logic):
    """The largest of the columns' standard scores."""

    log: bool = True
    name: ClassVar[str] = "max_z"

    def _fit(self, deviations: np.ndarray, groups: Groups) -> Scales:
        values = _scaled(deviations, self.log)
        scale = _positive(values.std(axis=0))
        mean = values.mean(axis=0) / scale
        return {"scale": scale, "shift": mean.max() - mean}

    def scorer(self, scales: Scales, groups: Groups, deviations: np.ndarray, out: np.ndarray) -> Scorer:
        return partial(scores.scaled_highest, deviations, *_read(scales, "scale", "shift"), int(self.log), out)


@dataclass(frozen=True)
class Votes(Logic):
    """Alarm when k of the columns exceed their own threshold; all thresholds are set at one common level.

    k: the votes needed; 1 is "any", 0 stands for "all". The score is the k-th largest -log p of a column, p being
    the share of held-out data that deviates at least as much.
    """

    k: int = 1
    name: ClassVar[str] = "votes"

    def __post_init__(self) -> None:
        if self.k < 0:
            raise ValueError(f"expected k >= 1, or 0 for all, got {self.k}")

    def _fit(self, deviations: np.ndarray, groups: Groups) -> Scales:
        if self.k > deviations.shape[1]:
            raise ValueError(f"expected at most {deviations.shape[1]} votes, one per column, got {self.k}")
        return _fit_surprise(deviations)

    def scorer(self, scales: Scales, groups: Groups, deviations: np.ndarray, out: np.ndarray) -> Scorer:
        highest = np.empty(self.k or len(groups.of))
        return partial(scores.kth_surprise, deviations, *_read(scales, *_CURVE), highest, out)


@dataclass(frozen=True)
class SmallestP(Logic):
    """The smallest held-out p-value over groups (our own choice, made on held-out training data).

    A group is a criterion on one kind of neurons. It has two p-values: of the sum of its columns' standard scores,
    which many layers raise a little, and of the largest of them, which one layer raises a lot. The score is -log p.
    Beyond the upper 5 % of the held-out data p follows an exponential tail, so that scores there still order inputs.
    """

    log: bool = True
    name: ClassVar[str] = "smallest_p"

    def _fit(self, deviations: np.ndarray, groups: Groups) -> Scales:
        return _fit_parts(deviations, groups, self.log)

    def scorer(self, scales: Scales, groups: Groups, deviations: np.ndarray, out: np.ndarray) -> Scorer:
        standard, curve = _read(scales, "scale", "centre"), _read(scales, *_CURVE)
        parts = _parts(groups, len(deviations))
        return partial(scores.highest_surprise, deviations, *standard, groups.ends, int(self.log), *curve, parts, out)


@dataclass(frozen=True)
class HarmonicP(Logic):
    """The harmonic mean of held-out p-values, one vote for each group (after Wilson, PNAS 2019; the parts are ours).

    A group has the parts of `SmallestP`, which share its vote. Where a criterion follows the network's confidence and
    another tells it, the group has two parts more, of scores that are standard among held-out frames of which the
    network was as sure: an attack that makes it sure leaves the layers as they are where it is unsure. The score is
    -log of the mean, log(sum of v exp(s)) of the surprises s = -log p and votes v. Several parts that are a little
    surprised add up, which the smallest p-value alone does not see. It is never more than the highest surprise, and at
    most -log v of it below. Parts need not be independent, as held-out data set the threshold.
    """

    log: bool = True
    name: ClassVar[str] = "harmonic_p"

    def _fit(self, deviations: np.ndarray, groups: Groups) -> Scales:
        scales = _standard_scales(deviations, self.log)
        if groups.given.any():
            scaled = _scaled(deviations, self.log)
            scales |= _fit_given(scaled[:, groups.confidence], scaled[:, groups.following])
        parts = np.empty((len(deviations), len(groups.votes())))
        scores.all_parts(np.ascontiguousarray(deviations), *self._of_parts(scales, groups), parts)
        return scales | _fit_surprise(parts)

    def scorer(self, scales: Scales, groups: Groups, deviations: np.ndarray, out: np.ndarray) -> Scorer:
        votes, curve = groups.votes(), _read(scales, *_CURVE)
        parts = np.empty((len(deviations), len(votes)))
        divide = partial(scores.all_parts, deviations, *self._of_parts(scales, groups), parts)
        join = partial(scores.harmonic_surprise, deviations, votes, *curve, parts, out)

        def score() -> None:  # two calls: each argument of a compiled call takes some bytes
            divide()
            join()

        return score

    def _of_parts(self, scales: Scales, groups: Groups) -> list[Any]:
        """What `all_parts` takes behind the deviations."""
        given = [np.zeros(2), np.zeros((2, 0)), np.zeros((2, 0))]
        if groups.given.any():
            given = _read(scales, "given_at", "given_centre", "given_scale")
        standard = _read(scales, "scale", "centre")
        of_given = groups.following, groups.ends_of_following, groups.confidence
        return [*standard, groups.ends, int(self.log), *of_given, *given]


def make_logic(name: str, **settings: Any) -> Logic:
    """The logic of that name. Raises ValueError for an unknown name or setting."""
    logics = {cls.name: cls for cls in _kinds_of(Logic)}
    if name not in logics:
        raise ValueError(f"expected a logic among {', '.join(sorted(logics))}, got {name!r}")
    fields = {field.name: type(field.default) for field in dataclasses.fields(logics[name])}  # type: ignore[arg-type]
    for key, value in settings.items():
        if key not in fields or type(value) is not fields[key]:
            raise ValueError(f"expected settings of {name} to be {fields}, got {key}={value!r}")
    return logics[name](**settings)


def _kinds_of(base: type[Logic]) -> list[type[Logic]]:
    """The logics that a name may mean, those of places too."""
    return [kind for own in base.__subclasses__() for kind in ([own] if hasattr(own, "name") else _kinds_of(own))]


def describe_logic(logic: Logic) -> dict[str, Any]:
    """{"name": ..., setting: value, ...}: what `make_logic` takes, in JSON types."""
    return {"name": logic.name, **dataclasses.asdict(logic)}  # type: ignore[call-overload]


def _scaled(deviations: np.ndarray, log: bool) -> np.ndarray:
    return np.log1p(deviations) if log else deviations


def _positive(scale: np.ndarray) -> np.ndarray:
    """1 for a column that never moved on held-out data, so that its first move counts as it is."""
    return np.where(scale > 0, scale, 1.0)


def _fit_surprise(values: np.ndarray) -> Scales:
    """-log p as a curve per column: (knots, columns) `value` and `surprise`, then an exponential tail.

    p of a value is (1 + the number of held-out values at least as large) / (n + 1), so equal values share one p.
    """
    n = len(values)
    ordered = np.sort(values, axis=0)
    tail = min(max(int(_TAIL_SHARE * n), _TAIL_LEAST), n - 1)
    rows = np.unique(np.round(np.linspace(0, n - 1 - tail, _KNOTS)).astype(int))
    start = ordered[n - 1 - tail]
    mean_excess = _positive((ordered[n - tail :] - start).mean(axis=0))
    value = ordered[rows]
    below = np.stack([np.searchsorted(*pair) for pair in zip(ordered.T, value.T, strict=True)], axis=1)
    return {"value": value, "surprise": -np.log((1 + n - below) / (n + 1)), "excess": mean_excess}


def _standard_scales(deviations: np.ndarray, log: bool) -> Scales:
    """What standard scores are made with: (columns,) `scale`, and `centre` in units of it."""
    values = _scaled(deviations, log)
    scale = _positive(values.std(axis=0))
    return {"scale": scale, "centre": values.mean(axis=0) / scale}


def _fit_parts(deviations: np.ndarray, groups: Groups, log: bool) -> Scales:
    """The scales of standard scores, and the curves of the parts that a criterion has; see `SmallestP`."""
    scales = _standard_scales(deviations, log)
    parts = _parts(groups, len(deviations))
    standard = _read(scales, "scale", "centre")
    scores.parts_of_groups(np.ascontiguousarray(deviations), *standard, groups.ends, int(log), parts)
    return scales | _fit_surprise(parts)


def _fit_given(sure: np.ndarray, values: np.ndarray) -> Scales:
    """Mean and spread of columns where the network is as sure, at the medians of equal shares of the frames.

    sure: (n,), values: (n, columns). Each mean and variance counts `_PRIOR` frames more as all frames have it.
    """
    of_all, spread = values.mean(axis=0), values.var(axis=0)
    at: list[Any] = []
    centre, variance = [], []
    for rows in np.array_split(np.argsort(sure, kind="stable"), _GIVEN_KNOTS):
        own = values[rows]
        at.append(np.median(sure[rows]) if len(rows) else at[-1])
        centre.append((own.sum(axis=0) + _PRIOR * of_all) / (len(rows) + _PRIOR))
        variance.append((np.square(own - centre[-1]).sum(axis=0) + _PRIOR * spread) / (len(rows) + _PRIOR))
    knots, means, scale = np.array(at), np.array(centre), _positive(np.sqrt(np.array(variance)))
    for knot in np.unique(knots):  # knots at one place say the same
        same = knots == knot
        means[same], scale[same] = means[same].mean(axis=0), scale[same].mean(axis=0)
    return {"given_at": knots, "given_centre": means, "given_scale": scale}


def _read(scales: Scales, *names: str) -> list[np.ndarray]:
    return [np.ascontiguousarray(scales[name], np.float64) for name in names]


def _parts(groups: Groups, n: int) -> np.ndarray:
    """Room for the parts of n rows: one of each group, two where it has several columns."""
    sizes = np.diff(groups.ends, prepend=0)
    return np.empty((n, len(sizes) + int((sizes > 1).sum())))
