"""The attacker who knows the monitor, as a set of an evaluation; see `outrider.monitor.evaluation.adaptive`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ...monitor import Monitor
from ...monitor.evaluation.judged import ADAPTIVE
from .attacks import COUNT, EPSILON, Rows, number, refuse_without_gradients, unit_module


@dataclass
class AdaptiveRun:
    """Attacks on network and monitor together, run batch by batch. The fields are those of an `AttackRun`.

    monitor: calibrated, of a PyTorch network with classes, whose preprocessing treats all channels alike.
    Raises ValueError for another.
    """

    monitor: Monitor
    epsilon: float | str = EPSILON
    count: int = COUNT
    bounds: tuple[float, float] | None = None
    tried: int = 0
    rows: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        network = self.monitor.network
        refuse_without_gradients(network)
        self._unit = unit_module(network, self.bounds)
        factor, shift = (one.cpu().numpy().ravel() for one in (self._unit.factor, self._unit.shift))
        if (factor != factor[0]).any() or (shift != shift[0]).any():
            raise ValueError(
                "expected a preprocessing that treats all channels alike for the adaptive attack, got a mean or std of"
                " its own for each; move them into the module"
            )
        self._bounds = float(shift[0]), float(factor[0] + shift[0])
        self._epsilon = number(self.epsilon) * float(factor[0])

    @property
    def name(self) -> str:
        """Of the set that it makes."""
        return f"{ADAPTIVE} {self.epsilon}"

    def batches(self, clean: Rows) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Samples that deceive the network, without an alarm where one was found; see `AttackRun.batches`."""
        import torch

        from ...monitor.evaluation.adaptive import attack

        self.tried, self.rows = 0, []
        for rows, given, labels in clean:
            if self.tried >= self.count:
                return
            self._unit.unit(torch.from_numpy(np.ascontiguousarray(given)))  # refuses what lies beyond
            samples = np.clip(np.asarray(given, np.float32), *map(np.float32, self._bounds))
            answers = self._answers(samples)
            truth = answers if labels is None else np.asarray(labels, np.int64)
            right = np.flatnonzero(answers == truth)[: self.count - self.tried]
            if not len(right):
                continue
            self.tried += len(right)
            found = attack(
                self.monitor, samples[right], truth[right], self._epsilon, bounds=self._bounds, batch=len(right)
            )
            deceived = np.flatnonzero(self._answers(found.images) != truth[right])
            self.rows += [rows[i] for i in right[deceived]]
            if len(deceived):
                yield found.images[deceived], truth[right][deceived]

    def _answers(self, samples: np.ndarray) -> np.ndarray:
        predictions: np.ndarray = self.monitor.check(samples)[1].prediction
        return predictions
