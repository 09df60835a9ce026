"""The files below a folder: which are read, and which are left out and why."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..printable import counted

_NAMED = 5
_BARE = "no suffix"


@dataclass(frozen=True)
class Walk:
    """What was found below a folder.

    files: those to read, in the order of their paths. followed: how many linked folders were read. skipped: how many
    things were left out: files by their suffix (".txt", "no suffix"), others by what they are ("hidden file").
    """

    files: tuple[Path, ...]
    followed: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)


def walk(folder: Path, suffixes: Collection[str], *, deep: bool = True) -> Walk:
    """The files of some suffixes below a folder, or only those right in it.

    Linked folders are followed, each folder once: a loop is noticed by device and inode. Hidden files and folders,
    whose names begin with a dot, are left out, and so are folders that cannot be opened. suffixes: in small letters.
    Raises OSError for a folder that cannot be opened itself.
    """
    root = folder.resolve()
    seen = {_identity(one) for one in root.parents}
    files: list[Path] = []
    skipped: Counter[str] = Counter()
    followed = 0
    folders, links = deque([folder]), deque[Path]()
    while folders or links:  # links last: a folder that is here and linked to as well is read where it is
        linked = not folders
        here = (links if linked else folders).popleft()
        try:
            identity, entries = _identity(here), sorted(os.scandir(here), key=lambda entry: entry.name)
        except OSError:
            if here is folder:
                raise
            skipped["closed folder"] += 1
            continue
        if identity in seen:
            skipped["repeated folder"] += 1
            continue
        seen.add(identity)
        followed += linked
        for entry in entries:
            path, is_folder, is_file = here / entry.name, _is(entry.is_dir), _is(entry.is_file)
            if entry.name.startswith("."):
                skipped["hidden folder" if is_folder else "hidden file"] += 1
            elif is_folder and not deep:
                skipped["folder"] += 1
            elif is_folder:
                (links if entry.is_symlink() else folders).append(path)
            elif not is_file:
                skipped["broken link" if entry.is_symlink() else "special file"] += 1
            elif path.suffix.lower() in suffixes:
                files.append(path)
            else:
                skipped[path.suffix.lower() or _BARE] += 1
    return Walk(tuple(sorted(files)), followed, dict(sorted(skipped.items())))


def left_out(skipped: Mapping[str, int], followed: int = 0) -> str:
    """What a walk did beside reading, in words; empty where it did nothing else."""
    kinds = {suffix: count for suffix, count in skipped.items() if suffix == _BARE or suffix.startswith(".")}
    words = [counted(count, name) for name, count in skipped.items() if name not in kinds]
    if kinds:
        most = sorted(kinds.items(), key=lambda one: -one[1])
        named = ", ".join(f"{suffix} {count:,}" for suffix, count in most[:_NAMED])
        more = ", …" if len(most) > _NAMED else ""
        words.append(f"{counted(sum(kinds.values()), 'file')} of other kinds ({named}{more})")
    said = [f"followed {counted(followed, 'linked folder')}"] if followed else []
    return "; ".join([*said, *([f"left out {', '.join(words)}"] if words else [])])


def _is(kind: Callable[[], bool]) -> bool:
    """Whether an entry is of a kind. Of a link that leads to itself or behind a closed folder, nobody can tell."""
    try:
        return kind()
    except OSError:
        return False


def _identity(folder: Path) -> tuple[int, int]:
    facts = folder.stat()
    return facts.st_dev, facts.st_ino
