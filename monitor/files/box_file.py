"""What a profile file holds of detections: signatures of the features under boxes, and their calibration."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...coverage import describe_criterion, make_criterion
from ..boxes.judge import LOGIC
from ..boxes.learned import MOST_CLASSES, BoxColumn, LearnedBoxes
from ..calibration import Calibration
from ..data.groups import as_groups
from ..facts.network import NetworkFacts, told_apart
from .calibrations import ReadArrays, packed_calibration, unpacked_calibration
from .content import check_calibration_of_boxes, checked_array

_PREFIX = "boxes."


def packed_boxes(boxes: LearnedBoxes, calibration: Calibration | None) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The facts in JSON types, and the arrays by their names in a file."""
    tensors = {"count": boxes.per_class}
    for i, signature in enumerate(boxes.signatures):
        tensors |= {f"{i}.{name}": array for name, array in signature.arrays.items()}
    facts: dict[str, Any] = {
        "columns": [{"criterion": describe_criterion(column.criterion), "tap": column.tap} for column in boxes.columns],
        "frames": boxes.frames,
        "matched": boxes.matched,
        "left_out": boxes.left_out,
        "calibration": None,
    }
    if calibration is not None:
        facts["calibration"], arrays = packed_calibration(calibration)
        tensors |= arrays
    return facts, {f"{_PREFIX}{name}": array for name, array in tensors.items()}


def unpacked_boxes(
    facts: dict[str, Any], tensors: ReadArrays, network: NetworkFacts
) -> tuple[LearnedBoxes, Calibration | None]:
    """What `packed_boxes` wrote. Raises KeyError, TypeError or ValueError for what cannot have been learned."""
    if network.detections is None or network.extent is None:
        raise ValueError("expected boxes of a network with detections and a known input size, got others")
    own = ReadArrays({name.removeprefix(_PREFIX): tensors[name] for name in tensors if name.startswith(_PREFIX)})
    columns = tuple(BoxColumn(make_criterion(**one["criterion"]), int(one["tap"])) for one in facts["columns"])
    counts = checked_array(own, "count", own["count"].shape[:1], np.int64)
    if not columns or not 0 < len(counts) <= MOST_CLASSES:
        raise ValueError(f"expected boxes of 1 to {MOST_CLASSES:,} classes at a tap or more, got {len(counts)} classes")
    signatures = []
    for i, (criterion, index) in enumerate(columns):
        if not (0 <= index < len(network.taps) and told_apart(network.taps[index])):
            raise ValueError(f"expected boxes at a tap of places, got tap {index} of {len(network.taps)}")
        neurons = network.taps[index].size
        names = criterion.layout(neurons, len(counts))
        signatures.append(criterion.restore(neurons, counts, {name: own[f"{i}.{name}"] for name in names}))
    matched, frames, left_out = facts["matched"], int(facts["frames"]), int(facts["left_out"])
    if matched not in (None, False, True) or left_out < 0 or not 0 <= frames <= counts.sum():
        raise ValueError(f"expected at most {counts.sum()} frames with boxes, got {frames}, or a wrong count left out")
    if bool(counts.sum()) != bool(frames):
        raise ValueError(f"expected frames of {counts.sum()} boxes, got {frames}")
    boxes = LearnedBoxes(columns, signatures, frames, matched, left_out)
    with np.errstate(all="ignore"):
        boxes.prepare()
    found = facts["calibration"]
    groups = as_groups(np.zeros(len(columns), np.int64))
    calibration = unpacked_calibration(found, own, len(counts), groups, LOGIC, len(columns))
    if calibration is not None:
        check_calibration_of_boxes(calibration)
    if unread := sorted(own.keys() - own.read):
        raise ValueError(f"expected no other arrays of boxes, got {', '.join(unread[:5])}")
    return boxes, calibration
