"""What the monitor says of an input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple, overload

import numpy as np

from .boxes import BoxVerdict
from .calibration import Calibration
from .kernels import verdicts as kernels
from .places.regions import Region
from .places.seen import Places

BROKEN_INPUT = "the input holds NaN or Inf"


class Status(IntEnum):
    """OK < WARN < ALARM < FAULT, STALE: anything but OK is not to be trusted as before."""

    OK = 0
    WARN = 1
    ALARM = 2
    FAULT = 3
    STALE = 4

    def __str__(self) -> str:
        return self.name

    def __format__(self, form: str) -> str:
        return format(self.name, form)


class Verdict(NamedTuple):
    """The verdict on one input. A named tuple is the quickest thing to make, and a loop makes one for every frame.

    status: ALARM when score > threshold; WARN when a warning threshold was set and passed; FAULT when the input or
    the monitor is broken; STALE when it came too late.
    score: the deviation after detection logic, >= 0, larger = less covered. threshold: the score allowed.
    confidence: exp(-score ln 2 / threshold) in [0, 1]; 1/2 at the threshold (Rossolini et al., IEEE TSE 2022).
    prediction: the class predicted, -1 for a network without classes. deviation: (columns,) float32, η per
    criterion and tap. layers: the columns that spoke, strongest first. reason: why, in words, where not OK.
    places: where in the frame, of a monitor that judges places, otherwise None. kind: what kind of alarm it is, where
    that was learned (`Monitor.learn_kinds`): ``sensor``, ``adversarial``, ``unfamiliar``, ``unsure`` or ``unknown``;
    empty where OK, and of a frame that was not judged.
    """

    status: Status
    score: float
    threshold: float
    confidence: float
    prediction: int
    deviation: np.ndarray
    layers: tuple[str, ...] = ()
    reason: str = ""
    places: Places | None = None
    kind: str = ""

    @property
    def alarm(self) -> bool:
        """Whether to act: ALARM, FAULT or STALE."""
        return self.status >= Status.ALARM

    @property
    def map(self) -> np.ndarray | None:
        """(height, width) float32, larger = less covered; None of a monitor that judges no places. See `Places`."""
        return None if self.places is None else self.places.map

    @property
    def regions(self) -> tuple[Region, ...]:
        """The connected parts of the map above its level, the largest first."""
        return () if self.places is None else self.places.regions

    @property
    def boxes(self) -> tuple[BoxVerdict, ...]:
        """What is said of each detection of the network, the surest first; none of a network that is no detector."""
        return () if self.places is None else self.places.boxes

    @property
    def missed(self) -> tuple[Region, ...]:
        """The regions of which the network's detections cover less than half."""
        return () if self.places is None else self.places.missed


@dataclass(frozen=True)
class Columns:
    """What the columns of a deviation are, and the value above which each speaks.

    names: e.g. "relu1:unit single_range". limits: (columns,) float32.
    """

    names: tuple[str, ...]
    limits: np.ndarray

    def speaking(self, deviation: np.ndarray) -> tuple[str, ...]:
        """The columns above their limit, the one furthest above it first. deviation: (columns,) float32."""
        places, names = np.empty(len(self.names), np.int64), self.names
        return tuple([names[i] for i in places[: kernels.columns_above(deviation, self.limits, places)].tolist()])


class Verdicts(Sequence[Verdict]):
    """The verdicts on a batch: a sequence of `Verdict` with most of its fields as arrays over the batch.

    A mask or indices choose among them: ``verdicts[verdicts.alarm]``.
    status (n,) int64, score, threshold, confidence (n,) float64, prediction (n,) int64, alarm (n,) bool,
    deviation (n, columns) float32.
    """

    def __init__(
        self, status: np.ndarray, score: np.ndarray, threshold: np.ndarray, confidence: np.ndarray,
        prediction: np.ndarray, deviation: np.ndarray, columns: Columns, reasons: dict[int, str],
        places: Sequence[Places] | None = None, kinds: Mapping[int, str] | None = None,
    ) -> None:  # fmt: skip
        self.status = status
        self.score = score
        self.threshold = threshold
        self.confidence = confidence
        self.prediction = prediction
        self.deviation = deviation
        self.columns = columns
        self._reasons = reasons
        self._places = places
        self._kinds = kinds or {}

    @property
    def alarm(self) -> np.ndarray:
        """Whether to act, (n,) bool."""
        return self.status >= Status.ALARM

    @property
    def maps(self) -> np.ndarray | None:
        """The maps of all frames, (n, height, width) float32; None of a monitor that judges no places."""
        if not self._places or self._places[0].map is None:
            return None
        return np.stack([one.map for one in self._places if one.map is not None])

    def to_dict(self) -> dict[str, list[Any]]:
        """The verdicts as columns of a table, in JSON types but for numbers that are not finite: a list per field."""
        return {
            "status": [Status(status).name for status in self.status.tolist()],
            "alarm": self.alarm.tolist(),
            **{name: getattr(self, name).tolist() for name in ("score", "threshold", "confidence", "prediction")},
            "layers": [list(verdict.layers) for verdict in self],
            "reason": [verdict.reason for verdict in self],
            "kind": [verdict.kind for verdict in self],
        }

    def to_pandas(self) -> Any:
        """`to_dict` as a pandas.DataFrame, a row per frame. Raises ImportError without pandas."""
        try:
            import pandas as pd
        except ImportError:
            raise ImportError("a table of verdicts needs pandas: pip install pandas") from None
        return pd.DataFrame(self.to_dict())

    def __len__(self) -> int:
        return len(self.status)

    def __repr__(self) -> str:
        counts = np.bincount(self.status, minlength=len(Status))
        statuses = ", ".join(f"{count} {status.name}" for status, count in zip(Status, counts, strict=True) if count)
        highest = f"; highest score {self.score.max():.4g}" if len(self) else ""
        return f"Verdicts({len(self)} frames: {statuses or 'none'}{highest})"

    @overload
    def __getitem__(self, index: int) -> Verdict: ...
    @overload
    def __getitem__(self, index: slice | list[int] | np.ndarray) -> list[Verdict]: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, (slice, list, np.ndarray)):
            return [self[int(i)] for i in np.arange(len(self))[index]]
        if not -len(self) <= index < len(self):
            raise IndexError(f"expected an index within {len(self)} verdicts, got {index}")
        index %= len(self)
        status = Status(int(self.status[index]))
        deviation = self.deviation[index]
        layers = () if status == Status.OK else self.columns.speaking(deviation)
        score, threshold = float(self.score[index]), float(self.threshold[index])
        reason, places = "", self._places[index] if self._places is not None else None
        if status != Status.OK:
            reason = self._reasons.get(index) or why(status, score, threshold, layers, places)
        return Verdict(
            status,
            score,
            threshold,
            float(self.confidence[index]),
            int(self.prediction[index]),
            deviation,
            layers,
            reason,
            places,
            self._kinds.get(index, ""),
        )


def why(
    status: Status, score: float, threshold: float, layers: Sequence[str], places: Places | None = None
) -> str:  # fmt: skip
    """The reason of a WARN or ALARM in words."""
    where = f"; most in {layers[0]}" if layers else ""
    if places is not None and places.regions:
        where = f"; the largest region is {places.regions[0]}"
    if status == Status.WARN:
        return f"score {score:.4g} is above the warning level{where}"
    return f"score {score:.4g} is above the threshold {threshold:.4g}{where}"


def thresholds_and_warnings(calibration: Calibration) -> tuple[np.ndarray, np.ndarray]:
    """(classes,) float64 each; warnings are infinite where there are none."""
    thresholds = np.ascontiguousarray(calibration.thresholds, np.float64)
    if calibration.warning_thresholds is None:
        return thresholds, np.full(len(thresholds), np.inf)
    return thresholds, np.ascontiguousarray(calibration.warning_thresholds, np.float64)
