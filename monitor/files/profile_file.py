"""The profile file: safetensors with JSON metadata, never a pickle; docs/reference/file-format.md specifies it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ...coverage import Criterion, Signature, describe_criterion, make_criterion
from ...networks.pictures.facts import PictureFacts
from ..calibration import Calibration
from ..data.changes import Change
from ..data.digests import MOST as MOST_DIGESTS
from ..data.digests import FrameDigests
from ..data.groups import groups_of
from ..data.shared import first_alike
from ..data.spool import FrameSpool
from ..errors import ProfileError
from ..facts.network import NetworkFacts, gives_codes, told_apart
from ..judging.grid import place_columns
from ..kinds.stored import unpacked_kinds
from ..learning import names_of_classes
from ..logic import Logic, describe_logic, make_logic
from ..profile import Column, Profile, TrustedSet
from .box_file import packed_boxes, unpacked_boxes
from .calibrations import ReadArrays, packed_calibration, unpacked_calibration
from .container import FORMAT, Contents, checked_contents, packed, read_contents
from .content import check_calibration, check_trusted, checked_array
from .whole import write_whole

PART, SCORES = "part", "part of scores"
"""The kinds of what workers write, see `shards`."""


def write_profile(
    path: str | os.PathLike, profile: Profile, logic: Logic, calibration: Calibration | None = None
) -> None:
    """Write one file, for its owner alone to read where it is a checkpoint, which holds frames; see `write_whole`."""
    mode = 0o644 if profile.spool.frames is None else 0o600
    write_whole(Path(path), packed(*profile_contents(profile, logic, calibration)), mode=mode)


def profile_contents(
    profile: Profile, logic: Logic, calibration: Calibration | None = None
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The facts in JSON types, and the arrays by name, that a file of a profile holds."""
    tensors: dict[str, np.ndarray] = {}
    firsts = first_alike(profile.columns)
    for i, signature in enumerate(profile.signatures):
        if firsts[i] != i:
            continue
        tensors[f"column.{i}.count"] = signature.counts
        tensors |= {f"column.{i}.{name}": array for name, array in signature.arrays.items()}
    trusted = profile.trusted
    tensors["trusted.per_class"] = trusted.per_class
    if trusted.probe is not None:
        tensors["trusted.probe"] = trusted.probe
    if len(profile.digests.values):
        tensors["trusted.digests"] = profile.digests.values
    if trusted.per_map_class is not None:
        tensors["trusted.per_map_class"] = trusted.per_map_class
    held = profile.spool.frames
    if isinstance(held, tuple):
        tensors |= {f"trusted.frames.{i}": part for i, part in enumerate(held)}
    elif held is not None:
        tensors["trusted.frames"] = held
    facts: dict[str, Any] = {
        "format": FORMAT,
        "complete": profile.complete,
        "network": profile.facts.to_dict(),
        "columns": [
            {"criterion": describe_criterion(column.criterion), "tap": column.tap, "group": column.group}
            for column in profile.columns
        ],
        "logic": describe_logic(logic),
        "trusted": {
            "confidence": trusted.confidence,
            "minimum_per_class": trusted.minimum_per_class,
            "frames": trusted.frames,
            "labelled": trusted.labelled,
            "non_finite": trusted.non_finite,
            "spooled": profile.spool.seen,
        },
        "calibration": None,
    }
    if trusted.pictures is not None:
        facts["trusted"]["pictures"] = trusted.pictures.to_dict()
    if profile.class_names:
        facts["class_names"] = list(profile.class_names)
    if profile.history:
        facts["history"] = [change.to_dict() for change in profile.history]
    if calibration is not None:
        facts["calibration"], arrays = packed_calibration(calibration)
        tensors |= arrays
    if profile.boxes is not None:
        facts["boxes"], arrays = packed_boxes(profile.boxes, None if calibration is None else calibration.boxes)
        tensors |= arrays
    return facts, tensors


def read_profile(
    path: str | os.PathLike, *, key: str | os.PathLike | None = None
) -> tuple[Profile, Logic, Calibration | None]:
    """Read a file of `write_profile`; key: as for `read_contents`.

    Raises ProfileError for anything else, and for what cannot have been learned, before using any of it.
    """
    return unpacked_profile(read_contents(path, key=key), path)


def read_network(path: str | os.PathLike, *, key: str | os.PathLike | None = None) -> NetworkFacts:
    """What a profile says of its network, for a caller who loads it next: the warnings are left to that.

    key: as for `read_contents`. Raises ProfileError, FileNotFoundError.
    """
    facts = checked_contents(path, key=key, arrays=False).facts
    with damage_told(path):
        return NetworkFacts.from_dict(_of_a_network(facts, path)["network"])


def unpacked_profile(contents: Contents, path: str | os.PathLike) -> tuple[Profile, Logic, Calibration | None]:
    """The profile of what a file holds. path: for errors. Raises ProfileError."""
    facts = _of_a_network(contents.facts, path)
    with damage_told(path):
        return assembled(facts, ReadArrays(contents.arrays))


def _of_a_network(facts: dict[str, Any], path: str | os.PathLike) -> dict[str, Any]:
    if facts.get("kind") in (PART, SCORES):
        of, what = facts["shard"], "of its scores" if facts["kind"] == SCORES else "of one"
        raise ProfileError(
            f"{path}: expected a profile, got part {of['worker']} of {of['of']} {what}; `outrider merge` makes one of"
            " all parts"
        )
    if "kind" in facts:
        raise ProfileError(
            f"{path}: expected a profile of a network, got one of {facts['kind']}; load a guard of attention heads with"
            " outrider.monitor.heads.HeadGuard.load"
        )
    return facts


@contextmanager
def damage_told(path: str | os.PathLike) -> Iterator[None]:
    """Raise ProfileError for what a file holds that cannot be."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
        raise ProfileError(f"{path}: expected a profile of format {FORMAT}, got a damaged one: {reason}") from error


def assembled(
    facts: dict[str, Any], tensors: ReadArrays, elsewhere: Mapping[int, np.ndarray] | None = None
) -> tuple[Profile, Logic, Calibration | None]:
    """The profile of facts and arrays. Raises an error of `damage_told` for what cannot have been learned.

    elsewhere: columns whose signatures are not among the arrays, with the samples of each class, (classes,): of these
    the counts alone are in the profile, and none is ready to be compared with.
    """
    network = NetworkFacts.from_dict(facts["network"])
    classes = network.classes or 1
    columns: list[Column] = []
    signatures: list[Signature] = []
    for i, entry in enumerate(facts["columns"]):
        column = Column(make_criterion(**entry["criterion"]), int(entry["tap"]), int(entry["group"]))
        if not 0 <= column.tap < len(network.taps):
            raise ValueError(f"column {i} is of tap {column.tap} of {len(network.taps)}")
        columns.append(column)
        try:
            counts = (elsewhere or {}).get(first_alike(columns)[-1])
            signatures.append(
                _signature(columns, signatures, network, tensors, prepared=elsewhere is None)
                if counts is None
                else _counted(column, network, counts)
            )
        except ValueError as error:
            name = f"{network.taps[column.tap].id} {column.criterion.name}"
            raise ValueError(f"column {i} ({name}): {error}") from error
    groups = [column.group for column in columns]
    if not columns or groups[0] != 0 or any(step not in (0, 1) for step in np.diff(groups)):
        raise ValueError(f"columns are grouped as {groups}")
    for before, column in pairwise(columns):
        if before.group == column.group and not _alike(before.criterion, column.criterion):
            raise ValueError(f"expected one criterion in group {column.group}, got several: {column.criterion!r}")
    trusted = facts["trusted"]
    per_class = checked_array(tensors, "trusted.per_class", (classes,), np.int64)
    probe = tensors.get("trusted.probe")
    if probe is not None:
        probe = checked_array(tensors, "trusted.probe", (len(probe), len(columns)), np.float32)
    per_map_class = None
    if network.map_classes and any(told_apart(network.taps[column.tap]) for column in columns):
        per_map_class = checked_array(tensors, "trusted.per_map_class", (network.map_classes,), np.int64)
    profile = Profile(
        network,
        tuple(columns),
        tuple(signatures),
        TrustedSet(
            float(trusted["confidence"]), int(trusted["minimum_per_class"]), per_class, int(trusted["frames"]),
            bool(trusted["labelled"]), int(trusted["non_finite"]), probe, per_map_class,
            PictureFacts.from_dict(trusted["pictures"]) if "pictures" in trusted else None,
        ),
        bool(facts["complete"]),
        FrameSpool(_spooled(network, tensors), int(trusted["spooled"])),
        tuple(map(Change.from_dict, facts.get("history", ()))),
        _digests(tensors),
        names_of_classes(facts.get("class_names", ()), network),
    )  # fmt: skip
    check_trusted(profile)
    logic = make_logic(**facts["logic"])
    judged = len(place_columns(profile)) if logic.of_places else len(columns)
    if not judged:
        raise ValueError(f"expected a column on places for the logic {logic.name}, got none")
    calibration = unpacked_calibration(facts["calibration"], tensors, classes, groups_of(columns), logic, judged)
    if calibration is not None:
        calibration = replace(calibration, set_by=profile.history[-1].what) if profile.history else calibration
        check_calibration(calibration, profile.history)
        if "kinds" in facts["calibration"]:
            kinds = unpacked_kinds(facts["calibration"]["kinds"], tensors, profile)
            calibration = replace(calibration, kinds=kinds)
    if "boxes" in facts:
        profile.boxes, of_boxes = unpacked_boxes(facts["boxes"], tensors, network)
        calibration = None if calibration is None else replace(calibration, boxes=of_boxes)
    if unread := sorted(tensors.keys() - tensors.read):
        raise ValueError(f"expected no other arrays, got {', '.join(unread[:5])}")
    return profile, logic, calibration


def _alike(a: Criterion, b: Criterion) -> bool:
    """Whether columns may be of one group: those that are compared together must be of one criterion in all."""
    return a == b if a.joined_kernel() else a.name == b.name


def _spooled(network: NetworkFacts, tensors: dict[str, np.ndarray]) -> Any:
    """The frames that a checkpoint holds: an array, a tuple of one for each of several inputs, or None."""
    if len(network.inputs) < 2 or "trusted.frames.0" not in tensors:
        return tensors.get("trusted.frames")
    return tuple(tensors[f"trusted.frames.{i}"] for i in range(len(network.inputs)))


def _digests(tensors: dict[str, np.ndarray]) -> FrameDigests:
    """Those of the frames learned from; none in files of older versions."""
    if "trusted.digests" not in tensors:
        return FrameDigests()
    values = checked_array(tensors, "trusted.digests", tensors["trusted.digests"].shape[:1], np.uint64)
    if not 0 < len(values) <= MOST_DIGESTS or (values[1:] <= values[:-1]).any():
        raise ValueError("expected digests in ascending order, got others")
    return FrameDigests(values)


def _counted(column: Column, network: NetworkFacts, counts: np.ndarray) -> Signature:
    """A signature of nothing but the samples of each class."""
    signature = column.criterion.empty(network.taps[column.tap].size, network.classes_of(column.tap))
    signature.counts += counts
    return signature


def _signature(
    columns: list[Column], signatures: list[Signature], network: NetworkFacts, tensors: dict[str, np.ndarray],
    *, prepared: bool,
) -> Signature:  # fmt: skip
    """That of the last of the columns. prepared: whether it is ready to be compared with.

    It shares the arrays of one before that keeps the same.

    It has arrays of its own in files of older versions, which are checked and then let go.
    """
    column, i, first = columns[-1], len(columns) - 1, first_alike(columns)[-1]
    tap, classes = network.taps[column.tap], network.classes_of(column.tap)
    names = column.criterion.layout(tap.size, classes)
    if first == i or f"column.{i}.count" in tensors:
        counts = checked_array(tensors, f"column.{i}.count", (classes,), np.int64)
        signature = column.criterion.restore(tap.size, counts, {name: tensors[f"column.{i}.{name}"] for name in names})
    if first != i:
        signature = signatures[first].shared(repr(column.criterion))
    if prepared:
        with np.errstate(all="ignore"):
            column.criterion.prepare(signature, codes=gives_codes(tap))
    return signature
