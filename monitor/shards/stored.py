"""A part in a file: what a profile file holds, and beside it the sums of its logical shards.

Its facts have the kind "part", which no profile has. The sums of a node of the tree are the arrays ``node.L.I.…``, L
its level and I its index; those of a logical shard that was begun are ``opened.…``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ...coverage import describe_criterion, make_criterion
from ..boxes.learned import BoxColumn, LearnedBoxes
from ..data.class_order import Confusion
from ..errors import ProfileError
from ..files.box_file import packed_boxes, unpacked_boxes
from ..files.calibrations import ReadArrays
from ..files.container import Contents, packed
from ..files.content import checked_array
from ..files.profile_file import PART, assembled, damage_told, profile_contents
from ..profile import Profile
from .plan import Shard, Sharding
from .sums import Opened, Sums, joined, summed
from .tree import Tree

if TYPE_CHECKING:
    from .part import Part

_Made = TypeVar("_Made", bound="Part")
_Arrays = Mapping[str, np.ndarray]
_OPENED = "opened."
_PREFIX = re.compile(r"(node\.(\d+)\.(\d+)\.|opened\.)(.+)")


def packed_part(part: Part) -> bytes:
    """The bytes of a file; the same for the same."""
    profile, columns = part.profile, summed(part.profile.columns)
    pictures = profile.trusted.pictures  # none of a network that takes arrays
    trusted = replace(profile.trusted, pictures=pictures if pictures and pictures.depths else None)
    facts, tensors = profile_contents(replace(profile, boxes=None, trusted=trusted), part.logic)
    of_sums = tuple(f"column.{i}." for i in columns)
    tensors = {name: array for name, array in tensors.items() if not name.startswith(of_sums)}
    nodes = [(f"node.{level}.{index}.", sums) for (level, index), sums in part.sums]
    nodes += [] if part.opened is None else [(_OPENED, part.opened.sums)]
    boxes: dict[str, Any] = {}
    for prefix, sums in nodes:
        boxes[prefix], arrays = _packed_sums(sums)
        tensors |= {prefix + name: array for name, array in arrays.items()}
    tensors["seen"] = np.array(part.seen, np.uint64)
    tensors["confusion"] = part.confusion.counts
    facts |= {
        "kind": PART,
        "by": part.by,
        "summed": columns,
        "shard": {
            "worker": part.shard.worker,
            "of": part.shard.of,
            "frames": part.plan.frames,
            "batch": part.plan.batch,
            "listing": part.listing,
            "digest": part.digest,
            "opened": None if part.opened is None else [part.opened.frames, f"{part.opened.digest:016x}"],
        },
    }
    if profile.boxes is not None:
        of_boxes = [{"criterion": describe_criterion(one.criterion), "tap": one.tap} for one in profile.boxes.columns]
        facts["part_boxes"] = {"columns": of_boxes, "nodes": boxes}
    return packed(facts, tensors)


def _packed_sums(sums: Sums) -> tuple[dict[str, Any] | None, dict[str, np.ndarray]]:
    tensors: dict[str, np.ndarray] = {}
    for i, signature in sums.signatures.items():
        tensors[f"{i}.count"] = signature.counts
        tensors |= {f"{i}.{name}": array for name, array in signature.arrays.items()}
    if sums.boxes is None:
        return None, tensors
    facts, arrays = packed_boxes(sums.boxes, None)
    return facts, tensors | arrays


def unpacked_part(contents: Contents, path: str | os.PathLike[str], make: Callable[..., _Made]) -> _Made:
    """The part of what a file holds. path: for errors. make: `Part`. Raises ProfileError for anything else."""
    kind = contents.facts.get("kind", "profile")
    if kind != PART:
        raise ProfileError(f"{path}: expected a part of a profile, got a {kind}")
    with damage_told(path):
        return _part(contents.facts, contents.arrays, make)


def _part(facts: dict[str, Any], arrays: _Arrays, make: Callable[..., _Made]) -> _Made:
    told, of_boxes = facts["shard"], facts.get("part_boxes")
    plan, shard = Sharding(int(told["frames"]), int(told["batch"])), Shard(int(told["worker"]), int(told["of"]))
    plan.checked()
    shard.checked()
    nodes: dict[str, dict[str, np.ndarray]] = {}
    own = ReadArrays({})
    for name, array in arrays.items():
        if found := _PREFIX.fullmatch(name):
            nodes.setdefault(found[1], {})[found[4]] = array
        else:
            own |= {name: array}
    columns = [int(i) for i in facts["summed"]]
    counts = {i: sum((node[f"{i}.count"] for node in nodes.values()), start=np.int64(0)) for i in columns}
    seen, confusion = own.pop("seen"), own.pop("confusion")
    profile, logic, calibration = assembled(facts, own, counts)
    if calibration is not None or profile.complete or columns != summed(profile.columns):
        raise ValueError("expected a profile that is not finished, and the sums of its columns, got another")
    for i in columns:
        profile.signatures[i].counts[:] = 0
    if of_boxes is not None:
        box_columns = tuple(
            BoxColumn(make_criterion(**one["criterion"]), int(one["tap"])) for one in of_boxes["columns"]
        )
        empty = [one.criterion.empty(profile.facts.taps[one.tap].size, 1) for one in box_columns]
        profile.boxes = LearnedBoxes(box_columns, empty)
    profile.spool.of_all(plan.frames)
    read = {
        prefix: _sums(profile, node, None if of_boxes is None else of_boxes["nodes"][prefix])
        for prefix, node in nodes.items()
    }
    tree = Tree(partial(joined, profile.columns))
    for prefix, sums in read.items():
        if prefix != _OPENED:
            level, index = prefix.split(".")[1:3]
            tree.add((int(level), int(index)), sums)
    part = make(
        profile, logic, plan, shard, tree, str(told["listing"]), str(facts["by"]),
        checked_array({"seen": seen}, "seen", seen.shape[:1], np.uint64).tolist(),
        _opened(told["opened"], read.get(_OPENED)), Confusion.of(confusion),
    )  # fmt: skip
    _check(part, len(nodes) - (_OPENED in nodes), str(told["digest"]))
    return part


def _opened(told: Any, sums: Sums | None) -> Opened | None:
    if (told is None) != (sums is None):
        raise ValueError("expected the sums of a logical shard that was begun, and how far, got one of them")
    return None if told is None or sums is None else Opened(sums, int(told[0]), int(told[1], 16))


def _sums(profile: Profile, arrays: _Arrays, boxes: dict[str, Any] | None) -> Sums:
    """The sums of one node. Raises ValueError for other arrays than theirs."""
    read, signatures = ReadArrays(dict(arrays)), {}
    for i in summed(profile.columns):
        column = profile.columns[i]
        neurons, classes = profile.facts.taps[column.tap].size, profile.facts.classes_of(column.tap)
        counts = checked_array(read, f"{i}.count", (classes,), np.int64)
        names = column.criterion.layout(neurons, classes)
        signatures[i] = column.criterion.restore(neurons, counts, {name: read[f"{i}.{name}"] for name in names})
    found = None
    if boxes is not None:
        own = ReadArrays({name: read[name] for name in read if name.startswith("boxes.")})
        found = unpacked_boxes(boxes, own, profile.facts)[0]
    if unread := sorted(read.keys() - read.read):
        raise ValueError(f"expected no other sums, got {', '.join(unread[:5])}")
    return Sums(signatures, found)


def _check(part: Part, nodes: int, digest: str) -> None:
    """Raise ValueError unless the nodes are those of the logical shards that were learned."""
    found = [leaf for (level, index), _ in part.sums for leaf in range(index << level, (index + 1) << level)]
    first = part.leaves.start
    if len(part.sums) != nodes or found != list(range(first, first + len(part.seen))):
        raise ValueError(f"expected the sums of {len(part.seen)} logical shards from {first} on, got others")
    if len(part.seen) > len(part.leaves) or digest != part.digest:
        raise ValueError(f"expected at most {len(part.leaves)} logical shards and their digest, got others")
