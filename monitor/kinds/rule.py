"""The rule that names a kind: a mean pattern for each cause, one covariance for all, "unknown" where it is not sure.

Each kind is a mixture of causes of the same weight: mixture discriminant analysis (Hastie and Tibshirani, 1996), with
causes that are known instead of fitted. A pattern is of the kind with the highest probability, unless that is below
`sure` or the pattern lies further from every cause than nearly all that it was learned from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .examples import TOLD, UNKNOWN

Cause = tuple[str, str]
"""The kind and the name of a cause."""
_SHRINK = 0.2
_RIDGE = 1e-3
_LEAST_SPREAD = 1e-2
_NEARLY_ALL = 0.99
_MARGIN = 1.5
"""How much further than nearly all examples a pattern may lie: those of real causes are no copies of them."""


@dataclass(frozen=True, eq=False)
class Rule:
    """The rule. causes: of each mean its kind and name. means: (causes, features) float64. precision: (features,
    features) float64, the inverse of the covariance. far: the squared distance above which nothing is named. sure: the
    probability below which nothing is.
    """

    causes: tuple[Cause, ...]
    means: np.ndarray
    precision: np.ndarray
    far: float
    sure: float

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds that can be named."""
        return tuple(kind for kind in TOLD if any(kind == of for of, _ in self.causes))

    def named(self, patterns: np.ndarray) -> list[str]:
        """The kind of each pattern, (n, features)."""
        distances = self.distances(patterns)
        of_kinds = self.probabilities(distances)
        best = of_kinds.argmax(1)
        known = (of_kinds[np.arange(len(best)), best] >= self.sure) & (distances.min(1) <= self.far)
        return [TOLD[kind] if sure else UNKNOWN for kind, sure in zip(best.tolist(), known.tolist(), strict=True)]

    def distances(self, patterns: np.ndarray) -> np.ndarray:
        """The squared Mahalanobis distance of patterns (n, features) to each cause, (n, causes)."""
        found = np.empty((len(patterns), len(self.means)))
        for i, mean in enumerate(self.means):
            away = patterns - mean
            found[:, i] = ((away @ self.precision) * away).sum(1)
        return found

    def probabilities(self, distances: np.ndarray) -> np.ndarray:
        """Of each kind of `TOLD`, (n, 4): all kinds are taken for as frequent, and so are the causes of a kind."""
        of = [kind for kind, _ in self.causes]
        weight = np.log([of.count(kind) for kind in of])
        logs = -distances / 2 - weight
        each = np.exp(logs - logs.max(1, keepdims=True))
        each /= each.sum(1, keepdims=True)
        found = np.zeros((len(distances), len(TOLD)))
        for i, kind in enumerate(of):
            found[:, TOLD.index(kind)] += each[:, i]
        return found


def fit(patterns: Mapping[Cause, np.ndarray], sure: float) -> Rule:
    """The rule of patterns (n, features) of each cause. The covariance is shrunk by a fifth towards its diagonal."""
    means = np.array([rows.mean(0) for rows in patterns.values()])
    away = [(rows - mean).T @ (rows - mean) / len(rows) for rows, mean in zip(patterns.values(), means, strict=True)]
    covariance = np.mean(away, axis=0)
    variances = np.maximum(np.diag(covariance), _LEAST_SPREAD**2)
    covariance *= 1 - _SHRINK
    covariance[np.diag_indices_from(covariance)] = variances * (1 + _RIDGE)
    precision = np.linalg.inv(covariance)
    rule = Rule(tuple(patterns), means, (precision + precision.T) / 2, np.inf, sure)
    nearest = np.concatenate([rule.distances(rows).min(1) for rows in patterns.values()])
    far = _MARGIN * float(np.quantile(nearest, _NEARLY_ALL))
    return Rule(rule.causes, means, rule.precision, far, sure)


def left_out(patterns: Mapping[Cause, np.ndarray], sure: float) -> np.ndarray:
    """What a rule says of causes that it was not learned from, (4, 5): of each kind the shares named as each, unknown.

    Each cause is left out in turn; the causes of a kind weigh the same. NaN for kinds of a single cause.
    """
    kinds = [kind for kind, _ in patterns]
    found = np.zeros((len(TOLD), len(TOLD) + 1))
    for cause, rows in patterns.items():
        if kinds.count(cause[0]) > 1:
            others = {other: theirs for other, theirs in patterns.items() if other != cause}
            found[TOLD.index(cause[0])] += shares(fit(others, sure).named(rows)) / kinds.count(cause[0])
    found[[kinds.count(kind) < 2 for kind in TOLD]] = np.nan
    return found


def shares(named: Sequence[str]) -> np.ndarray:
    """The share of each of `TOLD`, and of "unknown", (5,)."""
    counts = np.array([named.count(kind) for kind in (*TOLD, UNKNOWN)], np.float64)
    return counts / max(len(named), 1)
