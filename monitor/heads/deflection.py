"""The deflection of a head: by what angle the final hidden state turns when the head sees its past uniformly.

One-head Defense (NeurIPS 2025) masks a head by query × 1e-5, which makes its output the mean of the values so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from .discriminant import fit_logistic
from .statistic import Arrays, Head, Layout, Scorer, Statistic

if TYPE_CHECKING:
    from ...networks.transformers import Decoder, Prefill


def deflection_angle(plain: np.ndarray, masked: np.ndarray) -> np.ndarray:
    """The angle between two vectors along the last axis, in degrees, float64; NaN where one has no direction.

    2 · atan2(|a − b|, |a + b|) of unit vectors (Kahan): right to the last digits for small angles, unlike arccos.
    """
    a, b = np.asarray(plain, np.float64), np.asarray(masked, np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        a = a / np.linalg.norm(a, axis=-1, keepdims=True)
        b = b / np.linalg.norm(b, axis=-1, keepdims=True)
        return np.degrees(2 * np.arctan2(np.linalg.norm(a - b, axis=-1), np.linalg.norm(a + b, axis=-1)))


class _Angle(Statistic):
    """A head's score is its deflection in degrees. Nothing is learned."""

    learns: ClassVar[bool] = False

    def layout(self, heads: int, head_dim: int) -> Layout:
        return {}

    def fit(self, values: np.ndarray, unsafe: np.ndarray) -> Arrays:
        return {}

    def scorer(self, model: Arrays) -> Scorer:
        return lambda values: values[..., 0].astype(np.float64)

    def cross_validate(self, values: np.ndarray, labels: np.ndarray, folds: np.ndarray) -> np.ndarray:
        return values[..., 0].T[..., None].astype(np.float64)


@dataclass(frozen=True)
class Full(_Angle):
    """The published way (One-head Defense, NeurIPS 2025): a second whole pass with the head masked at all positions."""

    name: ClassVar[str] = "full"
    measured: ClassVar[str] = "full"
    passes: ClassVar[str] = "a whole pass"

    def measure(self, decoder: Decoder, prefill: Prefill, heads: Sequence[Head]) -> np.ndarray:
        masked = [decoder.full(prefill, head) for head in heads]
        return np.stack([deflection_angle(prefill.final, other) for other in masked], axis=1)[..., None]


@dataclass(frozen=True)
class Exact(_Angle):
    """Equal to `full`, restarted at the head's own layer; the layers below are those of the plain pass."""

    name: ClassVar[str] = "exact"
    measured: ClassVar[str] = "exact"
    passes: ClassVar[str] = "the layers above"

    def keep(self, heads: Sequence[Head]) -> int | None:
        return min(layer for layer, _ in heads)

    def measure(self, decoder: Decoder, prefill: Prefill, heads: Sequence[Head]) -> np.ndarray:
        masked = [decoder.exact(prefill, head) for head in heads]
        return np.stack([deflection_angle(prefill.final, other) for other in masked], axis=1)[..., None]


@dataclass(frozen=True)
class LastQuery(_Angle):
    """Our cheaper variant: the head is masked for the last prompt token only, run over the plain pass's cache.

    A different statistic from `full`: head and threshold are chosen for it anew. It follows prompt length.
    """

    name: ClassVar[str] = "last_query"
    measured: ClassVar[str] = "last_query"
    passes: ClassVar[str] = "one token"

    def measure(self, decoder: Decoder, prefill: Prefill, heads: Sequence[Head]) -> np.ndarray:
        return _last_query(decoder, prefill, heads)


@dataclass(frozen=True)
class DeflectionProfile(Statistic):
    """Logistic regression on the logarithms of all heads' `last_query` angles.

    penalty: the weight of |w|² / 2 on standardised columns, see `fit_logistic`. A head's score is what it adds to the
    log-odds; the sum and the bias are the prompt's.
    """

    penalty: float = 1.0
    name: ClassVar[str] = "deflection_profile"
    measured: ClassVar[str] = "last_query"
    passes: ClassVar[str] = "one token"
    joint: ClassVar[bool] = True
    FLOOR: ClassVar[float] = 1e-3
    """Degrees added before the logarithm, because a head may not deflect at all."""

    def __post_init__(self) -> None:
        if not self.penalty > 0:
            raise ValueError(f"expected a positive penalty, got {self.penalty!r}")

    def measure(self, decoder: Decoder, prefill: Prefill, heads: Sequence[Head]) -> np.ndarray:
        return _last_query(decoder, prefill, heads)

    def layout(self, heads: int, head_dim: int) -> Layout:
        return {
            "weights": ((heads,), np.float64),
            "middles": ((heads,), np.float64),
            "bias": ((1,), np.float64),
        }

    def fit(self, values: np.ndarray, unsafe: np.ndarray) -> Arrays:
        logs = np.log(values[..., 0].astype(np.float64) + self.FLOOR)
        weights, bias = fit_logistic(logs, unsafe, self.penalty)
        middles = logs.mean(axis=0)
        return {"weights": weights, "middles": middles, "bias": np.array([bias + middles @ weights])}

    def scorer(self, model: Arrays) -> Scorer:
        weights, middles = model["weights"], model["middles"]
        return lambda values: (np.log(values[..., 0].astype(np.float64) + self.FLOOR) - middles) * weights

    def combine(self, model: Arrays, scores: np.ndarray) -> np.ndarray:
        return np.asarray(scores.sum(axis=1) + model["bias"][0])


def _last_query(decoder: Decoder, prefill: Prefill, heads: Sequence[Head]) -> np.ndarray:
    every = len(heads) == decoder.layers * decoder.heads and list(heads) == all_heads(decoder)
    masked = decoder.last_query(prefill, None if every else list(heads))
    return deflection_angle(prefill.final[:, None], masked)[..., None]


def all_heads(decoder: Decoder) -> list[Head]:
    """Every (layer, head) of a model, layer by layer."""
    return [(layer, head) for layer in range(decoder.layers) for head in range(decoder.heads)]
