"""A drive, read from the files of its event log."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ...monitor import Status
from ..event_reader import read_records
from ..events import Dropped, Event, Header, Record, Summary
from ..log_file import older_files
from ..thumbnails import folder_of, list_thumbnails

_STEP_NS = 1_000_000_000


@dataclass
class Run:
    """One life of the process that wrote: what lies between two starts.

    dropped: events lost. steps: (time in seconds, seconds) of wall clock against monotonic clock, where it stepped.
    """

    header: Header
    events: list[Event] = field(default_factory=list)
    summaries: list[Summary] = field(default_factory=list)
    dropped: int = 0
    steps: list[tuple[float, float]] = field(default_factory=list)

    def at(self, monotonic_ns: int) -> float:
        """Seconds since the run began, by the clock that never steps."""
        return (monotonic_ns - self.header.started_monotonic_ns) / 1e9

    @property
    def seconds(self) -> float:
        """From the start to the last line."""
        last = [event.monotonic_ns for event in self.events[-1:]]
        last += [summary.monotonic_ns for summary in self.summaries[-1:]]
        return max(0.0, self.at(max(last))) if last else 0.0

    def spans(self) -> list[tuple[float, float, Status]]:
        """(start, end, status) of the loop from the first second to the last, neighbours of one status joined."""
        status = self.events[0].before if self.events else Status.OK
        spans, start = [], 0.0
        for event in self.events:
            if event.status != status:
                now = max(start, self.at(event.monotonic_ns))
                spans.append((start, now, status))
                start, status = now, event.status
        return [*spans, (start, max(start, self.seconds), status)]


@dataclass
class Drive:
    """Runs in the order they began, the files they came from, what is wrong with those, and pictures of frames.

    pictures: {(run, frame): path}, oldest first.
    """

    runs: list[Run]
    files: list[Path]
    problems: list[str]
    pictures: dict[tuple[str, int], Path]


def read_drive(paths: Iterable[str | os.PathLike[str]], *, salvage: bool = False) -> Drive:
    """Read log files, each with the older ones that were rotated away from it, in any order and also twice.

    salvage: lines that are broken are named in `problems` and left out. Otherwise they raise ValueError with file and
    line, as does a log without any header. Raises OSError for a file that cannot be read.
    """
    files = _with_older(map(Path, paths))
    problems: list[str] = []
    headers: dict[str, Header] = {}
    records: dict[str, dict[int, Record]] = {}
    for file in files:
        run = None
        lines = read_records(file, unfinished=problems.append, broken=problems.append if salvage else None)
        for seq, record in lines:
            if isinstance(record, Header):
                run = record.run
                if run not in headers or record.part <= headers[run].part:  # the same part: it says more
                    headers[run] = record
            elif run is None:
                message = f"{file}:1: expected the header of an event log, got another line"
                if not salvage:
                    raise ValueError(message)
                problems.append(f"{message}; the lines before the first header are left out")
                run = ""
            if run:
                records.setdefault(run, {})[seq] = record
    if not headers:
        raise ValueError(f"{', '.join(map(str, files))}: expected an event log, got no line of one")
    runs = [_run(header, records[run], problems) for run, header in headers.items()]
    runs.sort(key=lambda run: run.header.started_wall_ns)
    return Drive(runs, files, problems, _pictures(files, headers))


def _with_older(paths: Iterable[Path]) -> list[Path]:
    found: dict[Path, Path] = {}
    for path in paths:
        path.stat()
        for file in (*(old for _, old in older_files(path)), path):
            found.setdefault(file.resolve(), file)
    return list(found.values())


def _run(header: Header, records: dict[int, Record], problems: list[str]) -> Run:
    run = Run(header)
    expected = 0
    offset = header.started_wall_ns - header.started_monotonic_ns
    for seq in sorted(records):
        if seq > expected:
            what = f"line {expected}" if seq == expected + 1 else f"lines {expected} to {seq - 1}"
            why = "rotated away or not given" if expected == 0 else "missing"
            problems.append(f"run {header.run[:8]}: {what} {why}")
        expected = seq + 1
        record = records[seq]
        if isinstance(record, Header):
            if record.repaired_bytes:
                problems.append(
                    f"run {record.run[:8]}: a line of {record.repaired_bytes:,} bytes, cut off by a crash of the run"
                    " before, was removed when it began"
                )
            continue
        if isinstance(record, Dropped):
            run.dropped += record.count
        elif isinstance(record, Summary):
            run.summaries.append(record)
        else:
            run.events.append(record)
        step = record.wall_ns - record.monotonic_ns - offset
        if abs(step) >= _STEP_NS:
            run.steps.append((run.at(record.monotonic_ns), step / 1e9))
            offset += step
    run.events.sort(key=lambda event: event.monotonic_ns)  # several threads may have put them
    return run


def _pictures(files: Iterable[Path], runs: Iterable[str]) -> dict[tuple[str, int], Path]:
    known = set(runs)
    pictures = {}
    for folder in dict.fromkeys(folder_of(file) for file in files):
        for path in list_thumbnails(folder):
            run, _, frame = path.stem.partition("-")
            if run in known:
                pictures[run, int(frame)] = path
    return pictures
