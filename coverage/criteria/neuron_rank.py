"""Neuron-rank coverage: which neurons are usually among a layer's highest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..criterion import Arrays, Criterion, require
from ..kernels.ranks import rank_cost, rank_observe
from ..signature import Signature
from ..stored import refuse


@dataclass(frozen=True)
class NeuronRank(Criterion):
    """NRC of Rossolini et al. (IEEE TSE 2022), a reconstruction from its idea.

    f[class, j] is the share of the class's samples in which neuron j is among the layer's `top` highest, at most a
    quarter of the layer. The deviation is the mean of 1 - f over as many highest neurons of the sample, weighted by
    1 / log2(1 + rank).
    """

    top: int = 32
    name: ClassVar[str] = "neuron_rank"
    merges_exactly: ClassVar[bool] = True
    takes_codes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require(self.top >= 1, "top of at least 1", self.top)

    def _specification(self, neurons: int, classes: int) -> dict[str, tuple[tuple[int, ...], Any, Any]]:
        return {"ranked": ((classes, neurons), np.uint32, 0)}

    def _observe(self, arrays: Arrays, counts: np.ndarray, values: np.ndarray, labels: np.ndarray) -> None:
        rank_observe(values, labels, arrays["ranked"], self._ranks(values.shape[1]))

    def _merge(self, into: Signature, other: Signature) -> None:
        into.arrays["ranked"] += other.arrays["ranked"]

    def _check_stored(self, arrays: Arrays, counts: np.ndarray) -> None:
        ranked = arrays["ranked"]
        refuse(ranked > counts[:, None], "no more ranks than samples", ranked)
        sums, wanted = ranked.sum(axis=1, dtype=np.int64), counts * self._ranks(ranked.shape[1])
        refuse((sums != wanted)[:, None], f"{self._ranks(ranked.shape[1])} ranks a sample", sums[:, None], what="sum")

    def _prepare(self, signature: Signature) -> tuple[np.ndarray, ...]:
        share = signature.arrays["ranked"] / np.maximum(signature.counts, 1)[:, None]
        weights = 1 / np.log2(np.arange(2, self._ranks(signature.neurons) + 2))
        return (1 - share).astype(np.float32), (weights / weights.sum()).astype(np.float32)

    def _with_scratch(self, tables: Any, n: int) -> tuple[np.ndarray, ...]:
        return *tables, np.zeros(self._ranks(tables[0].shape[1]), np.int64)

    def _deviation(self, tables: Any, values: np.ndarray, labels: np.ndarray, out: np.ndarray) -> None:
        rank_cost(values, labels, *tables, out)

    def _ranks(self, neurons: int) -> int:
        return min(self.top, max(1, neurons // 4))
