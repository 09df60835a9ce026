"""A file that grows by whole lines: repaired when opened, rotated by size, one writer at a time."""

from __future__ import annotations

import errno
import os
import re
import sys
from pathlib import Path

from .events import MAX_LINE, Header, decode

_BLOCK = 1 << 16


class LogFile:
    """Appends lines to `path`. `run.jsonl` is the newest; `run.1.jsonl`, `run.2.jsonl`, … are older, oldest first.

    max_bytes: a file is rotated before it grows beyond. keep: how many older files are kept. Of files with such names
    it touches only those that `older_files` knows by their first line. Opening removes a line that a crash cut off;
    `repaired_bytes` says how long it was. A lock on `.run.jsonl.lock` keeps a second writer out (not on Windows).
    Raises OSError where the folder cannot be written or locked or another writer is at work, ValueError for a file that
    is no event log and for an older file of another log.
    """

    def __init__(self, path: Path, max_bytes: int, keep: int) -> None:
        self.path, self._max_bytes, self._keep = path, max_bytes, keep
        self._new_names = {path.parent, *_missing(path.parent)}
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():
            what = "expected a file or a free name for the event log, got something else"
            raise OSError(errno.EINVAL, what, str(path))
        self._lock = _lock(path)
        try:
            file = _open(path)
            try:
                self.repaired_bytes, header = _repair(file, path)
                self._hold(file)
                older = older_files(path)
            except BaseException:
                os.close(file)
                raise
        except BaseException:
            os.close(self._lock)
            raise
        self._older = [old for _, old in older]
        said = _number(path, header.aside) if header else 0
        self._next = self._free(max(said, 1 + max((number for number, _ in older), default=0)))
        self._torn: int | None = None

    @property
    def aside(self) -> str:
        """The name that the file will get when it is full, for its header."""
        return numbered(self.path, self._next).name

    def append(self, lines: bytes) -> None:
        """All of the lines or none of them. Raises OSError; the lines may then be offered again."""
        if self._torn is not None:
            os.ftruncate(self._file, self._torn)
            self.size, self._torn = self._torn, None
        start = self.size
        try:
            rest = memoryview(lines)
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError:
            try:
                os.ftruncate(self._file, start)
            except OSError:
                self._torn = start  # cut off before the next line; until then a reader finds the last one unfinished
            raise
        self.size = start + len(lines)

    def sync(self) -> None:
        """Wait until the disk holds every line, and the names of the files."""
        os.fsync(self._file)
        while self._new_names:
            folder = next(iter(self._new_names))
            _sync_folder(folder)
            self._new_names.discard(folder)

    def full_after(self, count: int) -> bool:
        """Whether `count` more bytes would be too many for this file."""
        return self.size > 0 and self.size + count > self._max_bytes

    def rotate(self) -> None:
        """Set this file, which was synced, aside and begin the next. On OSError this one goes on, whole."""
        self._next = self._free(self._next)  # where others took the name meanwhile, the file is not known as ours
        aside = numbered(self.path, self._next)
        self.path.rename(aside)
        try:
            fresh = _open(self.path)
        except OSError:
            aside.rename(self.path)
            raise
        os.close(self._file)
        self._torn = None
        self._hold(fresh)
        self._older.append(aside)
        self._next = self._free(self._next + 1)
        self._new_names.add(self.path.parent)

    def _free(self, number: int) -> int:
        """The first number from here on whose name nobody has."""
        while (name := numbered(self.path, number)).exists() or name.is_symlink():
            number += 1
        return number

    def tidy(self) -> None:
        """Remove the oldest files beyond `keep`. Raises OSError for one that stays; the others are removed."""
        problem = None
        for old in self._older[: max(0, len(self._older) - self._keep)]:
            try:
                if _was_set_aside(old):
                    old.unlink(missing_ok=True)
            except OSError as error:
                problem = error
            else:
                self._older.remove(old)
        if problem is not None:
            raise problem

    def restore(self) -> bool:
        """Begin anew where others removed, replaced or shortened the file: whether they had.

        Raises OSError, and ValueError for a file of another kind in its place.
        """
        try:
            there = self.path.stat()
        except FileNotFoundError:
            there = None
        if there is None or (there.st_dev, there.st_ino) != self._identity:
            fresh = _open(self.path)
            try:
                _repair(fresh, self.path)
            except BaseException:
                os.close(fresh)
                raise
            os.close(self._file)
            self._next = self._free(self._next)
            self._new_names.add(self.path.parent)
        elif there.st_size < self.size:
            fresh = self._file
            _repair(fresh, self.path)
        else:
            self.size = there.st_size
            return False
        self._torn = None
        self._hold(fresh)
        return True

    def _hold(self, file: int) -> None:
        """Write to this file from now on."""
        found = os.fstat(file)
        self._file, self._identity, self.size = file, (found.st_dev, found.st_ino), found.st_size

    def close(self) -> None:
        """Close the file and let another writer in."""
        try:
            os.close(self._file)
        finally:
            self.leave()

    def leave(self) -> None:
        """Let go of the lock: at the end, and in a forked child, which would otherwise hold it while it lives."""
        lock, self._lock = self._lock, -1
        if lock >= 0:
            os.close(lock)


def numbered(path: Path, number: int) -> Path:
    """``events.jsonl``, 3 -> ``events.3.jsonl``."""
    return path.with_name(f"{path.stem}.{number}{path.suffix}")


def older_files(path: Path) -> list[tuple[int, Path]]:
    """(number, path) of the files that were rotated away from `path`, oldest first.

    Each says so in its first line. Any other file of such a name is left out: ``drive.20260101.jsonl`` beside
    ``drive.jsonl``, or the log of another writer.
    """
    files = ((_number(path, other.name), other) for other in path.parent.iterdir())
    return sorted((number, file) for number, file in files if number and _was_set_aside(file))


def _number(path: Path, name: str) -> int:
    """``events.jsonl``, ``events.3.jsonl`` -> 3; 0 for other names."""
    match = re.fullmatch(rf"{re.escape(path.stem)}\.([1-9][0-9]{{0,8}}){re.escape(path.suffix)}", name)
    return int(match[1]) if match else 0


def _was_set_aside(path: Path) -> bool:
    """Whether a file has the name that its first line says it gets when it is full."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            header = _header(file.readline(MAX_LINE))
    except OSError:
        return False
    return header is not None and header.aside == path.name


def _header(line: bytes) -> Header | None:
    try:
        record = decode(line)[1]
    except ValueError:
        return None
    return record if isinstance(record, Header) else None


def _missing(folder: Path) -> list[Path]:
    """The folders in which a name is new when `folder` is made."""
    return [above.parent for above in (folder, *folder.parents) if not above.exists()]


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    return os.open(path, flags, 0o644)


def _lock(path: Path) -> int:
    name = path.with_name(f".{path.name}.lock")
    lock = os.open(name, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            if isinstance(error, BlockingIOError):
                why = "expected to be the only writer of this event log, got another at work"
            else:
                why = f"expected a file system that can lock an event log, got: {error.strerror}"
            raise OSError(error.errno, why, str(path)) from None
    return lock


def _repair(file: int, path: Path) -> tuple[int, Header | None]:
    """Remove a last line without its newline: how many bytes it had, and the header of the file.

    Raises ValueError for a file of another kind, and for one that was set aside.
    """
    size = os.fstat(file).st_size
    if not size:
        return 0, None
    first, newline, _ = _read(file, 0, min(size, MAX_LINE)).partition(b"\n")
    header = _header(first) if newline else None
    if header is None and (newline or not (first.startswith(b'{"seq":'[: len(first)]) or not first.strip(b"\0"))):
        raise ValueError(
            f"{path}: expected an event log or a free name, got a file of another kind; nothing was written"
        )
    if header is not None and header.aside == path.name:
        raise ValueError(f"{path}: expected an event log or a free name, got an older file of one; nothing was written")
    end = size
    while end:
        start = max(0, end - _BLOCK)
        last = _read(file, start, end - start).rfind(b"\n")
        if last >= 0:
            end = start + last + 1
            break
        end = start
    if end < size:
        os.ftruncate(file, end)
    return size - end, header


def _read(file: int, start: int, count: int) -> bytes:
    os.lseek(file, start, os.SEEK_SET)
    parts = []
    while count and (part := os.read(file, count)):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _sync_folder(folder: Path) -> None:
    if sys.platform != "win32":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        except OSError as error:
            if error.errno != errno.EINVAL:  # a file system that has no sync of folders
                raise
        finally:
            os.close(handle)
