"""How much farther a layer is from its class than from all classes together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..blocks import Compare, in_blocks, scratch
from ..criterion import Comparer, require
from ..kernels.distances import whitened
from ..kernels.distances.in_blocks import from_centre, relative_distance_along
from ..signature import Signature
from .mahalanobis import Mahalanobis

_FLAT = 1e-9  # of the largest spread of the class means; along less they do not differ


@dataclass(frozen=True)
class RelativeMahalanobis(Mahalanobis):
    """Ren et al. (2021): squared distance to the predicted class less that to all samples taken as one class.

    R = M²(x | class) - M²(x). Both distances agree wherever the class means do not differ, so that at most classes - 1
    directions are compared: R is the square of a norm there, and a number for each class. The deviation is R above the
    lowest that any class can have. The covariance of all samples is that within classes, shrunk as in `Mahalanobis`,
    and that between their means.
    What is kept is as in `Mahalanobis`.
    Raises ValueError for a network without classes. Where samples of one class alone were seen, both distances are the
    same and every deviation is 0.
    """

    name: ClassVar[str] = "relative_mahalanobis"
    follows_confidence: ClassVar[bool] = True

    def _specification(self, neurons: int, classes: int) -> dict[str, tuple[tuple[int, ...], Any, Any]]:
        require(classes > 1, f"2 classes or more for {self.name} (take mahalanobis for a network without)", classes)
        return super()._specification(neurons, classes)

    def _prepare(self, signature: Signature) -> tuple[np.ndarray, ...]:
        with np.errstate(over="ignore"):
            return tuple(np.ascontiguousarray(table, np.float32) for table in self._closed_form(signature))

    def _closed_form(self, signature: Signature) -> tuple[np.ndarray, ...]:
        """(centre, directions, targets, offsets) as `relative_distance` takes them, float64.

        W whitens what is within classes. In that space, from the mean of all samples and along the axes of the spread λ
        of the class means, m is a mean and q a sample. M²(x | class) is the sum of (q - m)², and M²(x) that of
        q² / (1 + λ). With t = m √((1 + λ) / λ), their difference is (√(λ / (1 + λ)) q - t)² - m² / λ.
        """
        counts = signature.counts.astype(np.float64)
        seen, share = counts > 0, counts / max(counts.sum(), 1)
        rank = min(len(counts) - 1, signature.neurons)
        centre = share @ signature.arrays["mean"]
        whitening = self._whitening(signature)
        means = (signature.arrays["mean"] - centre) @ whitening.T
        spread, axes = np.linalg.eigh((means * share[:, None]).T @ means)
        spread, axes = spread[::-1][:rank], axes[:, ::-1][:, :rank]
        apart = (spread > _FLAT * spread[0]) & (np.arange(rank) < seen.sum() - 1)
        spread = np.where(apart, spread, 1)
        directions = np.where(apart, np.sqrt(spread / (1 + spread)) * (whitening.T @ axes), 0)
        along = np.where(apart, means @ axes, 0)
        below = (np.square(along) / spread).sum(axis=1)
        offsets = np.maximum(np.max(below, where=seen, initial=0) - below, 0)
        return centre, directions.ravel(), along * np.sqrt((1 + spread) / spread), offsets[:, None]

    def _with_scratch(self, tables: Any, n: int) -> tuple[np.ndarray, ...]:
        return *tables, np.empty(tables[2].shape[1], np.float32)

    def _many_rows(self, tables: Any, n: int, rows_a_frame: int) -> Comparer:
        centre, flat, targets, offsets = tables
        directions = flat.reshape(len(centre), -1)

        def bound(rows: int) -> Compare:
            steps, along = scratch(rows, len(centre)), scratch(rows, directions.shape[1])
            np.matmul(steps, directions, out=along)  # BLAS takes its memory at the first product

            def compare(values: np.ndarray, labels: np.ndarray, first: int, out: np.ndarray) -> None:
                from_centre(values, centre, first, steps)
                np.matmul(steps, directions, out=along)
                relative_distance_along(along, labels, targets, offsets, first, out)

            return compare

        return in_blocks(n, rows_a_frame, len(centre), bound)

    def joined_kernel(self) -> Callable[..., None]:
        return whitened.relative_distance_of_columns

    def tells_nothing(self, signature: Signature) -> str:
        return "all trusted samples are of one class" if (signature.counts > 0).sum() == 1 else ""

    def parts(self, tables: Any, values: np.ndarray, label: int, out: np.ndarray) -> bool:
        whitened.relative_parts(values, label, *tables, out)
        return True

    def _deviation(self, tables: Any, values: np.ndarray, labels: np.ndarray, out: np.ndarray) -> None:
        whitened.relative_distance(values, labels, *tables, out)
