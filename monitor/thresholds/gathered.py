"""Held-out frames that many workers saw, gathered so that a threshold is set as if one had seen them all.

A part holds of each frame what a judge said of it: deviations, 4 bytes a column, and 35 bytes more. So whatever the
logic learns of held-out frames, and whichever threshold is asked for, comes from the same numbers as in one place, bit
for bit. Frames that come twice are left out wherever they are.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..boxes.judge import FrameBoxes
from ..data.changes import program
from ..errors import MismatchError, ProfileError
from ..files import SCORES, packed, read_contents, unpacked, write_whole
from ..files.calibrations import ReadArrays
from ..files.container import FORMAT, Contents
from ..files.content import checked_array
from ..files.profile_file import damage_told, profile_contents
from ..logic import Logic
from ..profile import Profile
from ..shards.plan import Shard, Sharding
from .held_out import HeldOut

if TYPE_CHECKING:
    from typing_extensions import Self

_DTYPES = {
    "deviations": np.float32, "predictions": np.int64, "sure": np.bool_, "uncovered": np.int64, "digests": np.uint64,
    "with_rows": np.bool_, "drives": np.int64, "grids": np.float32,
}  # fmt: skip


@dataclass
class ScorePart:
    """What one worker saw of held-out frames: those of its shard, in their order.

    profile: a digest of the profile that judged them, without its threshold. plan, shard, listing, by: as of `Part`.
    seen: a digest of its frames.
    """

    profile: str
    plan: Sharding
    shard: Shard
    held_out: HeldOut
    listing: str = ""
    seen: str = ""
    by: str = ""

    @classmethod
    def of_frames(cls, profile: str, plan: Sharding, shard: Shard, held_out: HeldOut, listing: str = "") -> Self:
        """The part of some frames."""
        seen = hashlib.blake2b(np.ascontiguousarray(held_out.digests).tobytes(), digest_size=16).hexdigest()
        return cls(profile, plan, shard, held_out, listing, seen, program())

    @property
    def rows(self) -> range:
        """Its rows among all frames."""
        return self.plan.rows_of(self.plan.leaves_of(self.shard))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as a file. Raises ProfileError."""
        write_whole(Path(path), bytes(self))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a file of `save`. Raises ProfileError for anything else, FileNotFoundError."""
        return cls._of(read_contents(path), path)

    def __bytes__(self) -> bytes:
        """What `save` writes."""
        tensors = {name: getattr(self.held_out, name) for name in _DTYPES}
        tensors = {name: array for name, array in tensors.items() if array is not None}
        if self.held_out.boxes is not None:
            tensors |= _packed_boxes(self.held_out.boxes)
        facts = {
            "format": FORMAT,
            "kind": SCORES,
            "by": self.by,
            "profile": self.profile,
            "shard": {
                "worker": self.shard.worker, "of": self.shard.of, "frames": self.plan.frames,
                "batch": self.plan.batch, "listing": self.listing, "digest": self.seen,
            },
        }  # fmt: skip
        return packed(facts, tensors)

    @classmethod
    def of(cls, data: bytes, name: str = "part") -> Self:
        """The part of what `bytes` gives. name: for errors. Raises ProfileError for anything else."""
        return cls._of(unpacked(data, name), name)

    @classmethod
    def _of(cls, contents: Contents, name: str | os.PathLike[str]) -> Self:
        facts, tensors = contents.facts, ReadArrays(contents.arrays)
        kind = facts.get("kind", "profile")
        if kind != SCORES:
            what = "what `outrider calibrate --shard` wrote"
            raise ProfileError(f"{name}: expected scores of held-out frames, {what}, got a {kind}")
        with damage_told(name):
            told = facts["shard"]
            plan, shard = Sharding(int(told["frames"]), int(told["batch"])), Shard(int(told["worker"]), int(told["of"]))
            held_out = _held_out(tensors)
            part = cls.of_frames(str(facts["profile"]), plan.checked(), shard.checked(), held_out, str(told["listing"]))
            part.by = str(facts["by"])
            if part.seen != told["digest"] or len(held_out.digests) > len(part.rows):
                raise ValueError(f"expected at most {len(part.rows)} frames and their digest, got others")
            if unread := sorted(tensors.keys() - tensors.read):
                raise ValueError(f"expected no other arrays, got {', '.join(unread[:5])}")
        return part

    def __str__(self) -> str:
        return f"shard {self.shard}, {len(self.held_out.digests):,} held-out frames"


class Gathered:
    """Held-out frames of all workers, as `Monitor.calibrate` takes them in place of batches.

    parts: of `Monitor.score_part`, as files, in memory or as the bytes of them, in any order. drives: (n,) int64, where
    the parts have them. Raises ProfileError for parts of other profiles or frames, and naming the shards that are
    missing, there twice or broken.
    """

    def __init__(self, parts: Iterable[Any]) -> None:
        found, broken = _read(parts)
        if not found:
            raise ProfileError(f"expected scores of held-out frames, got none{_because(broken)}")
        found.sort(key=lambda one: (one[1].rows.start, one[1].rows.stop))
        _refuse_other(found)
        _refuse_gaps(found, broken)
        parts_in_order = [part.held_out for _, part in found if len(part.held_out.digests)]
        if not parts_in_order:
            raise ProfileError("expected held-out frames, got none in any part")
        self.profile = found[0][1].profile
        joined: dict[str, Any] = {name: _behind_each_other(parts_in_order, name) for name in HeldOut._fields}
        self.held_out = HeldOut(**joined)
        self.drives = self.held_out.drives

    def of(self, profile: str) -> HeldOut:
        """The frames, without their drives. Raises MismatchError where another profile judged them."""
        if profile != self.profile:
            raise MismatchError(
                f"expected held-out frames that this profile judged, got those of another: SHA-256 {profile[:12]}…, and"
                f" {self.profile[:12]}… of theirs"
            )
        return self.held_out._replace(drives=None)


def profile_digest(profile: Profile, logic: Logic) -> str:
    """A digest of what judges frames: a profile without its threshold and history."""
    return hashlib.sha256(packed(*profile_contents(replace(profile, history=()), logic))).hexdigest()


def _held_out(tensors: ReadArrays) -> HeldOut:
    n = len(tensors["digests"])
    found: dict[str, Any] = {}
    for name, dtype in _DTYPES.items():
        if name in ("drives", "grids") and name not in tensors:
            continue
        array = tensors[name]
        axes = {"deviations": 2, "grids": 4}.get(name, 1)
        if array.dtype != dtype or array.ndim != axes or len(array) != n:
            raise ValueError(f"{name}: expected {np.dtype(dtype)} of {n} frames, got {array.dtype} {array.shape}")
        found[name] = array
    if "boxes.counts" in tensors:
        found["boxes"] = _unpacked_boxes(tensors, n)
    return HeldOut(**found)


def _packed_boxes(boxes: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "boxes.counts": np.array([len(one.classes) for one in boxes], np.int64),
        "boxes.classes": np.concatenate([one.classes for one in boxes]),
        "boxes.deviations": np.concatenate([one.deviations for one in boxes]),
    }


def _unpacked_boxes(tensors: ReadArrays, n: int) -> np.ndarray:
    counts = checked_array(tensors, "boxes.counts", (n,), np.int64)
    classes = checked_array(tensors, "boxes.classes", (int(counts.sum()),), np.int64)
    deviations = tensors["boxes.deviations"]
    if deviations.dtype != np.float32 or deviations.ndim != 2 or len(deviations) != len(classes):
        raise ValueError(f"boxes.deviations: expected those of {len(classes)} boxes, got {deviations.shape}")
    ends = np.cumsum(counts)[:-1]
    found = np.empty(n, object)
    for i, pair in enumerate(zip(np.split(classes, ends), np.split(deviations, ends), strict=True)):
        found[i] = FrameBoxes(*pair)
    return found


def _read(parts: Iterable[Any]) -> tuple[list[tuple[str, ScorePart]], dict[str, str]]:
    found: list[tuple[str, ScorePart]] = []
    broken: dict[str, str] = {}
    for number, item in enumerate(parts):
        if isinstance(item, ScorePart):
            found.append((f"shard {item.shard}", item))
            continue
        name = f"part {number}" if isinstance(item, bytes) else os.fspath(item)
        try:
            found.append((name, ScorePart.of(item, name) if isinstance(item, bytes) else ScorePart.load(item)))
        except (ProfileError, FileNotFoundError) as error:
            broken[name] = str(error).removeprefix(f"{name}: ")
    return found, broken


def _because(broken: dict[str, str]) -> str:
    return "".join(f"; {name}: {reason}" for name, reason in broken.items())


def _refuse_other(found: Sequence[tuple[str, ScorePart]]) -> None:
    (name, first), *others = found
    for other_name, other in others:
        mine, theirs = (_alike(one) for one in (first, other))
        lines = [f"{what}: expected {mine[what]}, got {theirs[what]}" for what in mine if mine[what] != theirs[what]]
        if lines:
            raise MismatchError(
                f"{other_name}: expected scores of the same frames and profile as {name}, got others:\n  "
                + "\n  ".join(lines)
            )


def _alike(part: ScorePart) -> dict[str, Any]:
    held_out = part.held_out
    return {
        "profile": part.profile,
        "number of frames": part.plan.frames,
        "size of batches": part.plan.batch,
        "names of frames": part.listing,
        "columns": held_out.deviations.shape[1],
        "drives": held_out.drives is not None,
        "program": part.by,
    }


def _refuse_gaps(found: Sequence[tuple[str, ScorePart]], broken: dict[str, str]) -> None:
    """Raise ProfileError unless each row is in one part."""
    at, frames = 0, found[0][1].plan.frames
    missing: list[str] = []
    before = ""
    for name, part in [*found, ("", None)]:
        rows = range(frames, frames + 1) if part is None else part.rows
        if not rows:
            continue
        if rows.start < at:
            raise ProfileError(
                f"expected scores of different frames, got rows from {rows.start:,} on in {before} and {name}"
            )
        if rows.start > at:
            missing.append(f"{at:,} to {rows.start - 1:,}")
        at, before = rows.stop, name
    if missing or broken:
        rest = f"missing: rows {', '.join(missing)} of {frames:,} frames" if missing else ""
        raise ProfileError(
            f"expected the scores of all shards, got others{_because(broken)}{'; ' if rest else ''}{rest}"
        )


def _behind_each_other(parts: Sequence[HeldOut], name: str) -> np.ndarray | None:
    arrays = [getattr(part, name) for part in parts]
    return None if arrays[0] is None else np.concatenate(arrays)
