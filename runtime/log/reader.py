"""Reads an event log back, also one that a crash left in mid-line."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from ...monitor import OutriderWarning
from .events import MAX_LINE, Event, Record, decode

Complain = Callable[[str], None]


def read_events(path: str | os.PathLike[str]) -> Iterator[Event]:
    """The events of one file, in the order they were written; see `read_records`."""
    return (record for _, record in read_records(path) if isinstance(record, Event))


def read_records(
    path: str | os.PathLike[str], *, unfinished: Complain | None = None, broken: Complain | None = None
) -> Iterator[tuple[int, Record]]:
    """(seq, record) of every line of one file, in bounded memory.

    A last line without its newline was cut off by a crash or is still being written. It is left out, and `unfinished`
    is called with one sentence; by default it gives an OutriderWarning. Any other line that is no record raises
    ValueError with its number; where `broken` is given, it is called instead and the line is left out. Raises OSError
    for a file that cannot be read.
    """
    unfinished = unfinished or _warn
    with Path(path).open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE):
            number += 1
            if line.endswith(b"\n"):
                try:
                    record = decode(line)
                except ValueError as error:
                    problem = str(error)
                else:
                    yield record
                    continue
            else:
                if not _skip_line(file):
                    unfinished(f"{path}:{number}: the last line is cut off after {len(line):,} bytes and left out")
                    return
                problem = f"longer than {MAX_LINE:,} bytes"
            message = f"{path}:{number}: expected a line of an event log, got one that cannot be read ({problem})"
            if broken is None:
                raise ValueError(message)
            broken(message)


def _skip_line(file: BinaryIO) -> bool:
    """Read on to the next newline: whether there is one before the file ends."""
    while part := file.readline(MAX_LINE):
        if part.endswith(b"\n"):
            return True
    return False


def _warn(message: str) -> None:
    warnings.warn(message, OutriderWarning, stacklevel=4)
