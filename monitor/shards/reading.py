"""What is given to be merged: parts or finished profiles, as files, as bytes or in memory."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..data.changes import Change
from ..errors import MismatchError, ProfileError, warn
from ..facts.network import NetworkFacts
from ..files import PART, checked_contents, read_contents, unpacked, unpacked_profile
from ..files.container import KEY, Contents
from ..files.profile_file import damage_told
from .fleets import MERGED, Whole, merged_profiles
from .merging import Merged, Merger
from .part import Part

Given = Any
"""A path, a `Part`, or the bytes of a part."""
_LARGEST = 100_000_000


def merged(given: Iterable[Given] | Merger, *, allow_missing: bool = False) -> Merged:
    """The profile of all that is given, not finished yet.

    One file at a time is held in memory, those of a profile in the order of their shards. Warns of what is missing,
    and writes it into the history. given: also a `Merger` that has them. See `Monitor.merge` for what is raised.
    """
    if isinstance(given, Merger):
        return _told(given.merged(allow_missing=allow_missing))
    items = sorted(given, key=_first_shard)
    if not items:
        raise ProfileError("expected parts to merge, got none")
    merger, wholes, parts = Merger(), list[Whole](), 0
    for number, item in enumerate(items):
        name = _name(item, number)
        try:
            found = _read(item, name)
        except MismatchError:
            raise
        except (ProfileError, FileNotFoundError) as error:
            reason = str(error).removeprefix(f"{name}: ")
            merger.broken(name, reason)
            continue
        if isinstance(found, Whole):
            wholes.append(found)
        else:
            merger.add(found, name)
            parts += 1
    if wholes and parts:
        raise ProfileError(
            f"expected parts of one profile or finished profiles, got both, such as {wholes[0].name}: merge the parts"
            " first"
        )
    if not wholes:
        return _told(merger.merged(allow_missing=allow_missing))
    if merger.has_broken:
        merger.merged()  # raises, naming them
    if len(wholes) == 1:
        raise ProfileError(f"expected several profiles to merge, got {wholes[0].name} alone")
    return merged_profiles(wholes)


def network_of(paths: Sequence[str | os.PathLike[str]]) -> tuple[Path, NetworkFacts]:
    """The first of some files that is a part or a profile, and what it says of its network.

    Raises ProfileError naming the first file where none is one.
    """
    broken: list[Exception] = []
    for path in paths:
        try:
            facts = checked_contents(path, arrays=False).facts
            with damage_told(path):
                return Path(path), NetworkFacts.from_dict(facts["network"])
        except (ProfileError, FileNotFoundError) as error:
            broken.append(error)
    raise broken[0] if broken else ProfileError("expected parts to merge, got none")


def _told(found: Merged) -> Merged:
    """The same, with what is missing said and written down."""
    if found.missing:
        warn(f"merged without all parts: {found.missing}", 2)
        change = Change.made(MERGED, None, None, reason=f"without all parts: {found.missing}")
        found.profile.history = (*found.profile.history, change)
    return found


def _read(item: Given, name: str) -> Part | Whole:
    if isinstance(item, Part):
        return item
    contents = unpacked(item, name) if isinstance(item, bytes) else read_contents(item)
    return _unpacked(contents, name)


def _unpacked(contents: Contents, name: str) -> Part | Whole:
    if contents.facts.get("kind") == PART:
        return Part.of_contents(contents, name)
    profile, logic, calibration = unpacked_profile(contents, name)
    if not profile.complete:
        raise ProfileError("expected a finished profile, got one to resume; run profile again with it")
    return Whole(name, profile, logic, contents.digest or contents.sha256, calibration is not None)


def _name(item: Given, number: int) -> str:
    if isinstance(item, Part):
        return f"shard {item.shard}"
    return f"part {number}" if isinstance(item, bytes) else os.fspath(item)


def _first_shard(item: Given) -> float:
    """Where the frames of a part begin, as a share of all; 0 where that cannot be seen at a glance.

    It only orders the reading, so that little is held at a time: nothing is believed of it.
    """
    if isinstance(item, Part):
        return item.shard.worker / item.shard.of
    try:
        if isinstance(item, bytes):
            header = item[8 : 8 + int.from_bytes(item[:8], "little")]
        else:
            with Path(item).open("rb") as file:
                header = file.read(min(int.from_bytes(file.read(8), "little"), _LARGEST))
        told = json.loads(json.loads(header)["__metadata__"][KEY])["shard"]
        return float(told["worker"]) / float(told["of"])
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError, RecursionError):
        return 0.0
