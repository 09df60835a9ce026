"""A file that grows by whole lines: repaired when opened, rotated by size, one writer at a time."""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from pathlib import Path

from .events import MAX_LINE, Header, decode

_BLOCK = 1 << 16


class LogFile:
    """Appends lines to `path`. `run.jsonl` is the newest; `run.1.jsonl`, `run.2.jsonl`, … are older, oldest first.

    max_bytes: a file is rotated before it grows beyond. keep: older files kept. A line that a crash cut off is removed
    on opening: `repaired_bytes`. A lock on `.run.jsonl.lock` keeps a second writer out (not on Windows).
    Raises OSError when the folder cannot be written or another writer is at work, ValueError for a file that is no
    event log.
    """

    def __init__(self, path: Path, max_bytes: int, keep: int) -> None:
        self.path, self._max_bytes, self._keep = path, max_bytes, keep
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(path)
        try:
            _refuse_no_file(path)
            self._file = _open(path)
            try:
                self.repaired_bytes = _repair(self._file, path)
                self.size = os.fstat(self._file).st_size
            except BaseException:
                os.close(self._file)
                raise
        except BaseException:
            os.close(self._lock)
            raise
        self._next = 1 + max((number for number, _ in older_files(path)), default=0)
        self._torn: int | None = None

    def append(self, lines: bytes) -> None:
        """All of the lines or none of them. Raises OSError; the lines may then be offered again."""
        if self._torn is not None:
            os.ftruncate(self._file, self._torn)
            self._torn = None
        start = os.fstat(self._file).st_size
        try:
            rest = memoryview(lines)
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError:
            self._undo(start)
            raise
        self.size = start + len(lines)

    def _undo(self, start: int) -> None:
        try:
            os.ftruncate(self._file, start)
        except OSError:
            self._torn = start  # cut off before the next line; until then a reader finds the last one unfinished

    def sync(self) -> None:
        """Wait until the disk holds every line."""
        os.fsync(self._file)

    def full_after(self, count: int) -> bool:
        """Whether `count` more bytes would be too many for this file."""
        return self.size > 0 and self.size + count > self._max_bytes

    def rotate(self) -> None:
        """Set this file aside and begin the next. On OSError this one goes on, whole."""
        os.fsync(self._file)
        aside = numbered(self.path, self._next)
        if aside.exists():
            raise FileExistsError(errno.EEXIST, "expected a free name for the full log file, got a file", str(aside))
        self.path.rename(aside)
        try:
            fresh = _open(self.path)
        except OSError:
            aside.rename(self.path)
            raise
        os.close(self._file)
        self._file, self.size, self._torn = fresh, 0, None
        self._next += 1

    def tidy(self) -> None:
        """Remove the oldest files beyond `keep`, and have the disk know the new names. Raises OSError."""
        for number, old in older_files(self.path):
            if number < self._next - self._keep:
                old.unlink(missing_ok=True)
        _sync_folder(self.path.parent)

    def restore(self) -> bool:
        """Begin anew where others removed, replaced or shortened the file: whether they had.

        Raises OSError, and ValueError for a file of another kind in its place.
        """
        try:
            there = self.path.stat()
        except FileNotFoundError:
            there = None
        ours = os.fstat(self._file)
        if there is None or (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino):
            fresh = _open(self.path)
            try:
                _repair(fresh, self.path)
            except BaseException:
                os.close(fresh)
                raise
            os.close(self._file)
            self._file = fresh
        elif ours.st_size < self.size:
            _repair(self._file, self.path)
        else:
            return False
        self._torn = None
        self.size = os.fstat(self._file).st_size
        return True

    def close(self) -> None:
        """Close the file and let another writer in."""
        try:
            os.close(self._file)
        finally:
            os.close(self._lock)


def numbered(path: Path, number: int) -> Path:
    """``events.jsonl``, 3 -> ``events.3.jsonl``."""
    return path.with_name(f"{path.stem}.{number}{path.suffix}")


def older_files(path: Path) -> list[tuple[int, Path]]:
    """(number, path) of the files that were rotated away from `path`, oldest first."""
    name = re.compile(rf"{re.escape(path.stem)}\.(\d{{1,9}}){re.escape(path.suffix)}")
    matches = ((name.fullmatch(other.name), other) for other in path.parent.iterdir())
    return sorted((int(match[1]), other) for match, other in matches if match and str(int(match[1])) == match[1])


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    return os.open(path, flags, 0o644)


def _refuse_no_file(path: Path) -> None:
    if path.exists() and not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "expected a file or a free name for the event log, got something else", str(path))


def _lock(path: Path) -> int:
    name = path.with_name(f".{path.name}.lock")
    lock = os.open(name, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise BlockingIOError(
                errno.EWOULDBLOCK, "expected to be the only writer of this event log, got another at work", str(path)
            ) from None
    return lock


def _repair(file: int, path: Path) -> int:
    """Remove a last line without its newline; how many bytes it had. Raises ValueError for another kind of file."""
    size = os.fstat(file).st_size
    if not size:
        return 0
    first, newline, _ = _read(file, 0, min(size, MAX_LINE)).partition(b"\n")
    if newline:
        try:
            is_log = isinstance(decode(first)[1], Header)
        except ValueError:
            is_log = False
    else:
        is_log = first.startswith(b'{"seq":'[: len(first)]) or not first.strip(b"\0")
    if not is_log:
        raise ValueError(
            f"{path}: expected an event log or a free name, got a file of another kind; nothing was written"
        )
    end = size
    while end:
        start = max(0, end - _BLOCK)
        place = _read(file, start, end - start).rfind(b"\n")
        if place >= 0:
            end = start + place + 1
            break
        end = start
    if end < size:
        os.ftruncate(file, end)
    return size - end


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
        finally:
            os.close(handle)
