"""What a profile holds, in JSON types: for `outrider inspect`, reports and records."""

from __future__ import annotations

import os
from typing import Any

from ..coverage import describe_criterion
from .calibration import Calibration, count_drives
from .files import FORMAT, read_contents, unpacked_profile
from .logic import Logic, describe_logic
from .profile import Profile


def describe_profile(path: str | os.PathLike) -> dict[str, Any]:
    """What a profile file holds: network, taps, columns with their bytes, trusted set, calibration or None.

    ``sha256`` is that of the whole file, ``digest`` what it says of itself and has, None in an older file. Needs no
    network. Raises ProfileError for a damaged file, FileNotFoundError for none.
    """
    contents = read_contents(path)
    found = describe(*unpacked_profile(contents, path))
    return found | {"format": contents.facts["format"], "sha256": contents.sha256, "digest": contents.digest}


def describe(profile: Profile, logic: Logic, calibration: Calibration | None) -> dict[str, Any]:
    """What a profile in memory holds, as of `describe_profile`."""
    trusted = profile.trusted
    return {
        "format": FORMAT,
        "complete": profile.complete,
        "network": profile.facts.to_dict(),
        "columns": [
            {
                "tap": profile.facts.taps[column.tap].id,
                "criterion": describe_criterion(column.criterion),
                "neurons": signature.neurons,
                "bytes": signature.nbytes,
            }
            for column, signature in zip(profile.columns, profile.signatures, strict=True)
        ],
        "bytes": profile.nbytes,
        "logic": describe_logic(logic),
        "trusted": {
            "frames": trusted.frames,
            "trusted": trusted.accepted,
            "labelled": trusted.labelled,
            "confidence": trusted.confidence,
            "minimum_per_class": trusted.minimum_per_class,
            "per_class": trusted.per_class.tolist(),
            "per_map_class": None if trusted.per_map_class is None else trusted.per_map_class.tolist(),
            "non_finite": trusted.non_finite,
            "pictures": None if trusted.pictures is None else trusted.pictures.to_dict(),
        },
        "class_names": list(profile.class_names),
        "history": [change.to_dict() for change in profile.history],
        "calibration": None if calibration is None else _calibration(calibration),
        "boxes": None if profile.boxes is None else _boxes(profile, calibration),
    }


def _boxes(profile: Profile, calibration: Calibration | None) -> dict[str, Any]:
    """What was learned of detections, and their calibration, of which n counts boxes and drives frames or drives."""
    boxes, facts = profile.boxes, profile.facts
    if boxes is None:
        return {}
    of_boxes = None if calibration is None else calibration.boxes
    return {
        "columns": [
            {"tap": facts.taps[column.tap].id, "criterion": describe_criterion(column.criterion)}
            for column in boxes.columns
        ],
        "bytes": boxes.nbytes,
        "boxes": int(boxes.per_class.sum()),
        "frames": boxes.frames,
        "matched": bool(boxes.matched),
        "left_out": boxes.left_out,
        "per_class": boxes.per_class.tolist(),
        "calibration": None if of_boxes is None else _calibration(of_boxes),
    }


def _calibration(calibration: Calibration) -> dict[str, Any]:
    return {
        "false_alarm_rate": calibration.false_alarm_rate,
        "thresholds": calibration.thresholds.tolist(),
        "own": calibration.own.tolist(),
        "raised": None if calibration.raised is None else calibration.raised.tolist(),
        "n": calibration.n,
        "realised": calibration.realised,
        "interval": list(calibration.interval),
        "leak": calibration.leak,
        "excluded": calibration.excluded,
        "drives": None if calibration.drives is None else count_drives(calibration.drives),
        "group_confidence": calibration.group_confidence,
        "promise": calibration.promise,
        "kinds": None if calibration.kinds is None else calibration.kinds.to_dict(),
        "by_class": None if calibration.scores is None else _by_class(calibration),
    }


def _by_class(calibration: Calibration) -> list[dict[str, Any]]:
    """The rates of the classes that have frames; too_often: whether a rate is clearly above the one asked for."""
    loud = {one.class_index for one in calibration.too_often()}
    return [
        {
            "class": one.class_index,
            "frames": one.frames,
            "alarms": one.alarms,
            "rate": one.rate,
            "interval": list(one.interval),
            "too_often": one.class_index in loud,
        }
        for one in calibration.by_class()
        if one.frames
    ]
