"""What the monitor says of an input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import overload

import numpy as np


class Status(IntEnum):
    """OK < WARN < ALARM < FAULT, STALE: anything but OK is not to be trusted as before."""

    OK = 0
    WARN = 1
    ALARM = 2
    FAULT = 3
    STALE = 4


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on one input.

    status: ALARM when score > threshold; WARN when a warning threshold was set and passed; FAULT when the input or
    the monitor is broken; STALE when it came too late.
    score: the deviation after detection logic, >= 0, larger = less covered. threshold: the score allowed.
    confidence: exp(-score ln 2 / threshold) in [0, 1]; 1/2 at the threshold (Rossolini et al., IEEE TSE 2022).
    prediction: the class predicted, -1 for a network without classes. deviation: (columns,) float32, η per
    criterion and tap. layers: the columns that spoke, strongest first. reason: why, in words, where not OK.
    """

    status: Status
    score: float
    threshold: float
    confidence: float
    prediction: int
    deviation: np.ndarray
    layers: tuple[str, ...] = ()
    reason: str = ""

    @property
    def alarm(self) -> bool:
        """Whether to act: ALARM, FAULT or STALE."""
        return self.status >= Status.ALARM


@dataclass(frozen=True)
class Columns:
    """What the columns of a deviation are, and the value above which each speaks.

    names: e.g. "relu1:unit single_range". limits: (columns,) float32.
    """

    names: tuple[str, ...]
    limits: np.ndarray

    def speaking(self, deviation: np.ndarray) -> tuple[str, ...]:
        """The columns above their limit, the one furthest above it first."""
        with np.errstate(invalid="ignore", divide="ignore"):
            excess = deviation / self.limits
        excess[np.isnan(excess)] = np.inf  # 0 / 0 is filtered below, inf / inf speaks loudest
        order = np.argsort(-excess, kind="stable")
        return tuple(self.names[i] for i in order if deviation[i] > self.limits[i] or np.isinf(deviation[i]))


class Verdicts(Sequence[Verdict]):
    """The verdicts on a batch: a sequence of `Verdict` with the same fields as arrays over the batch.

    status (n,) int64, score, threshold, confidence (n,) float64, prediction (n,) int64, alarm (n,) bool,
    deviation (n, columns) float32.
    """

    def __init__(
        self,
        status: np.ndarray,
        score: np.ndarray,
        threshold: np.ndarray,
        prediction: np.ndarray,
        deviation: np.ndarray,
        columns: Columns,
        reasons: dict[int, str],
    ):
        self.status = status
        self.score = score
        self.threshold = threshold
        self.confidence = confidence(score, threshold)
        self.prediction = prediction
        self.deviation = deviation
        self.columns = columns
        self._reasons = reasons

    @property
    def alarm(self) -> np.ndarray:
        return self.status >= Status.ALARM

    def __len__(self) -> int:
        return len(self.status)

    @overload
    def __getitem__(self, index: int) -> Verdict: ...
    @overload
    def __getitem__(self, index: slice) -> list[Verdict]: ...
    def __getitem__(self, index: int | slice) -> Verdict | list[Verdict]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"expected an index within {len(self)} verdicts, got {index}")
        index %= len(self)
        status = Status(int(self.status[index]))
        deviation = self.deviation[index]
        layers = () if status == Status.OK else self.columns.speaking(deviation)
        return Verdict(
            status,
            float(self.score[index]),
            float(self.threshold[index]),
            float(self.confidence[index]),
            int(self.prediction[index]),
            deviation,
            layers,
            "" if status == Status.OK else self._reason(index, status, layers),
        )

    def _reason(self, index: int, status: Status, layers: tuple[str, ...]) -> str:
        if index in self._reasons:
            return self._reasons[index]
        where = f"; most in {layers[0]}" if layers else ""
        if status == Status.WARN:
            return f"score {self.score[index]:.4g} is above the warning level{where}"
        return f"score {self.score[index]:.4g} is above the threshold {self.threshold[index]:.4g}{where}"


def confidence(score: np.ndarray, threshold: np.ndarray) -> np.ndarray:
    """exp(-score ln 2 / threshold), in [0, 1]: 1 for a score of 0, 1/2 at the threshold, 0 for an infinite score."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(score == 0, 0.0, score / threshold)
    return np.exp2(-np.where(np.isnan(ratio), np.inf, ratio))
