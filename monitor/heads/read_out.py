"""The read-out of a head: its own output at the last prompt token, from the plain pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ...coverage import CoverageBitmap, Criterion, Mahalanobis, SingleRange
from .discriminant import cross_validated_lda, fit_lda
from .statistic import Arrays, Head, Layout, Scorer, Statistic

if TYPE_CHECKING:
    from ...networks.transformers import Decoder, Prefill

KINDS = ("lda", "ranges", "bitmap", "mahalanobis")


@dataclass(frozen=True)
class ReadOut(Statistic):
    """What is learned of each chosen head's output. The prompt's score is the mean over the heads.

    kind: "lda" learns a discriminant from both kinds of prompts; a head's score is standardised on them. The others
    learn what safe prompts cover, with a criterion of `outrider.coverage`, and a head's score is its deviation:
    "ranges" (`SingleRange(magnitude=True)`), "bitmap" (`CoverageBitmap`), "mahalanobis". Unsafe prompts then only help
    to choose heads. shrinkage: of the covariance of "lda" and "mahalanobis" towards a multiple of the identity.
    Our reconstruction of the single-head guard for models whose deflection does not separate.
    """

    kind: str = "lda"
    shrinkage: float = 0.3
    name: ClassVar[str] = "read_out"
    measured: ClassVar[str] = "read_out"
    passes: ClassVar[str] = "none"
    usual_heads: ClassVar[int] = 8

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"expected a kind of read-out among {', '.join(KINDS)}, got {self.kind!r}")
        if not 0 < self.shrinkage <= 1:
            raise ValueError(f"expected shrinkage in (0, 1], got {self.shrinkage!r}")

    @property
    def criterion(self) -> Criterion:
        """The criterion of the kinds that learn from safe prompts alone. Raises ValueError for "lda"."""
        if self.kind == "ranges":
            return SingleRange(magnitude=True)
        if self.kind == "bitmap":
            return CoverageBitmap()
        if self.kind == "mahalanobis":
            return Mahalanobis(self.shrinkage)
        raise ValueError("expected a read-out that learns from safe prompts alone, got one of kind lda")

    def measure(self, decoder: Decoder, prefill: Prefill, heads: Sequence[Head]) -> np.ndarray:
        layers, places = zip(*heads, strict=True)
        return np.asarray(prefill.heads[:, list(layers), list(places)])

    def layout(self, heads: int, head_dim: int) -> Layout:
        if self.kind == "lda":
            return {"weights": ((heads, head_dim), np.float32), "bias": ((heads,), np.float64)}
        arrays = self.criterion.layout(head_dim, 1)
        return {"count": ((heads, 1), np.int64)} | {
            name: ((heads, *array.shape), array.dtype) for name, array in arrays.items()
        }

    def fit(self, values: np.ndarray, unsafe: np.ndarray) -> Arrays:
        if self.kind == "lda":
            weights, bias = fit_lda(values, unsafe, self.shrinkage)
            scores = np.einsum("nhd,hd->nh", values, weights) + bias
            mean, scale = scores.mean(axis=0), scores.std(axis=0)
            scale[~(scale > 0)] = 1
            return {"weights": (weights / scale[:, None]).astype(np.float32), "bias": (bias - mean) / scale}
        criterion, covered = self.criterion, []
        for head in range(values.shape[1]):
            signature = criterion.empty(values.shape[2], 1)
            safe = np.ascontiguousarray(values[~unsafe, head], np.float32)
            criterion.observe(signature, safe, np.zeros(len(safe), np.int64))
            covered.append(signature)
        stacked = {name: np.stack([one.arrays[name] for one in covered]) for name in covered[0].arrays}
        return {"count": np.stack([one.counts for one in covered])} | stacked

    def scorer(self, model: Arrays) -> Scorer:
        if self.kind == "lda":
            weights, bias = model["weights"].astype(np.float64), model["bias"]
            return lambda values: np.einsum("nhd,hd->nh", values, weights) + bias
        criterion, names = self.criterion, [name for name in model if name != "count"]
        heads = len(model["count"])
        neurons = model["mean" if self.kind == "mahalanobis" else "low"].shape[-1]
        signatures = [
            criterion.restore(neurons, model["count"][i], {name: model[name][i] for name in names})
            for i in range(heads)
        ]

        def deviations(values: np.ndarray) -> np.ndarray:
            labels, found = np.zeros(len(values), np.int64), np.empty(values.shape[:2])
            for head, signature in enumerate(signatures):
                rows = np.ascontiguousarray(values[:, head], np.float32)
                found[:, head] = criterion.deviation(signature, rows, labels)
            return found

        return deviations

    def cross_validate(self, values: np.ndarray, labels: np.ndarray, folds: np.ndarray) -> np.ndarray:
        if self.kind == "lda":
            return cross_validated_lda(values, labels, folds, self.shrinkage)
        return super().cross_validate(values, labels, folds)
