"""A calibration in a file: numbers in JSON, and arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..calibration import Calibration
from ..data.groups import Groups
from ..kinds.stored import packed_kinds
from ..logic import Logic
from .content import checked_array, scales_fit

_ARRAYS = (
    "thresholds", "own", "limits", "warning_thresholds", "scores", "predictions", "drives", "raised",
)  # fmt: skip


class ReadArrays(dict[str, np.ndarray]):
    """The arrays of a file, and the names of those that were read."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        super().__init__(arrays)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> np.ndarray:
        self.read.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self else default  # noqa: SIM401 (it would call itself)


def packed_calibration(calibration: Calibration) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Facts and arrays by name."""
    tensors = {f"scale.{name}": array for name, array in calibration.scales.items()}
    for name in _ARRAYS:
        if (array := getattr(calibration, name)) is not None:
            tensors[f"calibration.{name}"] = array
    facts: dict[str, Any] = {
        "false_alarm_rate": calibration.false_alarm_rate,
        "n": calibration.n,
        "n_scales": calibration.n_scales,
        "realised": calibration.realised,
        "interval": list(calibration.interval),
        "leak": calibration.leak,
        "excluded": calibration.excluded,
        "warning_rate": calibration.warning_rate,
    }
    if calibration.group_confidence is not None:
        facts["group_confidence"] = calibration.group_confidence
    if calibration.kinds is not None:
        facts["kinds"], arrays = packed_kinds(calibration.kinds)
        tensors |= arrays
    return facts, tensors


def unpacked_calibration(
    facts: dict[str, Any] | None, tensors: dict[str, np.ndarray], classes: int, groups: Groups, logic: Logic,
    judged: int,
) -> Calibration | None:  # fmt: skip
    """judged: how many columns the logic takes."""
    if facts is None:
        return None
    scales = {name[6:]: tensors[name] for name in tensors if name.startswith("scale.")}
    example = logic.fit(np.zeros((2, judged, *([1, 1] if logic.of_places else [])), np.float32), groups)
    if not scales_fit(scales, example):
        raise ValueError(f"the scales are not those of {logic!r}")
    warning = None
    if facts["warning_rate"] is not None:
        warning = checked_array(tensors, "calibration.warning_thresholds", (classes,), np.float64)
    thresholds = checked_array(tensors, "calibration.thresholds", (classes,), np.float64)
    scores, predictions = _scores(tensors, classes, int(facts["n"]))
    low, high = facts["interval"]
    return Calibration(
        float(facts["false_alarm_rate"]),
        thresholds,
        checked_array(tensors, "calibration.own", (classes,), np.bool_),
        int(facts["n"]),
        int(facts["n_scales"]),
        float(facts["realised"]),
        (float(low), float(high)),
        None if facts["leak"] is None else float(facts["leak"]),
        checked_array(tensors, "calibration.limits", (len(groups.of),), np.float32),
        scales,
        {str(reason): int(count) for reason, count in facts["excluded"].items()},
        facts["warning_rate"],
        warning,
        scores,
        predictions,
        _drives(tensors, scores),
        checked_array(tensors, "calibration.raised", (classes,), np.float64)
        if "calibration.raised" in tensors
        else None,
        float(facts["group_confidence"]) if "group_confidence" in facts else None,
    )


def _drives(tensors: dict[str, np.ndarray], scores: np.ndarray | None) -> np.ndarray | None:
    """The drives of the frames that set the thresholds; None where each frame counted."""
    if "calibration.drives" not in tensors or scores is None:
        return None
    drives = checked_array(tensors, "calibration.drives", scores.shape, np.int64)
    if not np.array_equal(np.unique(drives), np.arange(drives.max() + 1 if drives.max() < len(drives) else 0)):
        raise ValueError("expected drives that are counted from 0, got others")
    return drives


def _scores(tensors: dict[str, np.ndarray], classes: int, n: int) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The scores and classes of the frames that set the thresholds; None in files of older versions."""
    if "calibration.scores" not in tensors and "calibration.predictions" not in tensors:
        return None, None
    shape = tensors["calibration.scores"].shape[:1]
    scores = checked_array(tensors, "calibration.scores", shape, np.float64)
    predictions = checked_array(tensors, "calibration.predictions", shape, np.int64)
    if not 0 < len(scores) <= n or (scores < 0).any() or predictions.max() >= classes:
        raise ValueError(f"expected at most {n} scores that are not negative, of {classes} classes, got others")
    return scores, predictions
