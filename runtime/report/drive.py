"""A drive, read from the files of its event log."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeGuard

from ...monitor import Status
from ..log.events import Clean, Dropped, Event, Header, Record, Summary
from ..log.file import older_files
from ..log.reader import read_records
from ..log.thumbnails import folder_of, list_thumbnails, picture_run

_STEP_NS = 1_000_000_000
_LEAST_GAP = 0.01


@dataclass
class Run:
    """What one guard wrote between two starts of its process; of several streams of frames, of one of them.

    header: the last one. A stream with a name has a run of its own, whose source ends in that name. clean: what was
    kept of frames that were believed clean. dropped: events lost. missing: lines between its first and
    last that are in no file. steps: where the wall clock stepped against the monotonic clock, as (monotonic seconds
    since the run began, seconds).
    """

    header: Header
    events: list[Event] = field(default_factory=list)
    summaries: list[Summary] = field(default_factory=list)
    clean: list[Clean] = field(default_factory=list)
    dropped: int = 0
    missing: int = 0
    steps: list[tuple[float, float]] = field(default_factory=list)

    @cached_property
    def recorded(self) -> bool:
        """Whether all judged frames come from recordings. The time of the run is then that of the recording."""
        counted = [summary for summary in self.summaries if counter(summary, "frames")]
        records: list[Event | Summary] = [*counted[-1:]] or [event for event in self.events if event.frame]
        return bool(records) and all(_elapsed(record) is not None for record in records)

    def at(self, record: Event | Summary) -> float:
        """Seconds since the run began, by the recording or else by the monotonic clock."""
        if self.recorded:
            return (_elapsed(record) or 0) / 1e9
        return (record.monotonic_ns - self.header.started_monotonic_ns) / 1e9

    @property
    def seconds(self) -> float:
        """From the start to the last line."""
        return max([0.0, *map(self.at, self.events[-1:]), *map(self.at, self.summaries[-1:])])

    @property
    def last(self) -> Summary:
        """The last summary, an empty one where there is none."""
        return self.summaries[-1] if self.summaries else Summary(0, 0, {})

    @property
    def behind(self) -> list[Event]:
        """Events after the last summary, of frames that it does not count."""
        if not self.summaries:
            return self.events
        last, counted = self.last, counter(self.last, "frames")
        return [event for event in self.events if event.frame > counted and event.monotonic_ns > last.monotonic_ns]

    @property
    def unfinished(self) -> bool:
        """Whether the log lacks the end: the last summary is that of a guard at work, or events follow it."""
        return not self.summaries or self.last.values.get("ended") is False or bool(self.behind)

    def gaps(self) -> list[tuple[float, float]]:
        """(start, end) of each time in which no frame came, as events tell; a silence lasts as long as its status."""
        found: list[tuple[float, float]] = []
        for event in self.events:
            if event.kind in ("gap", "silence"):
                start = max(0.0, self.at(event) - max(0.0, event.latency_us) / 1e6)
                until = self.at(event) if event.kind == "gap" else self._end_of_silence(event)
                if found and start <= found[-1][1]:  # a silence that began, and the gap that its end tells of
                    found[-1] = found[-1][0], max(found[-1][1], until) if event.kind == "silence" else until
                else:
                    found.append((start, until))
        counted = max(0.0, (_nanoseconds(self.last, "blind_ns") or 0) / 1e9 - sum(end - start for start, end in found))
        if counted > _LEAST_GAP and not self.recorded and self.summaries and not self.behind:  # not ended by a frame
            end = self.at(self.last)
            found.append((max(end - counted, found[-1][1] if found else 0.0), end))
        return found

    def _end_of_silence(self, event: Event) -> float:
        """When its status ended; at the next frame, or with the log."""
        return next((end for start, end, _ in self.spans() if start <= self.at(event) < end), self.at(event))

    @property
    def sight(self) -> tuple[float, float]:
        """(seconds watched, seconds of them without frames), up to the last summary."""
        watched, blind = (_nanoseconds(self.last, name) for name in ("watched_ns", "blind_ns"))
        if watched is not None and blind is not None:
            return watched / 1e9, min(blind, watched) / 1e9
        seconds = max(0.0, self.at(self.last)) if self.summaries else 0.0  # a log of before
        return seconds, min(seconds, sum(min(end, seconds) - start for start, end in self.gaps() if start < seconds))

    def spans(self) -> list[tuple[float, float, Status]]:
        """(start, end, status) of the loop from the first second to the last. Neighbours of one status are joined.

        Lines may be lost, and older versions did not write down the end of a silence. A status without an end lasts as
        long as the log shows it.
        """
        status = self.events[0].before if self.events else Status.OK
        spans, start = [], 0.0
        for seconds, following in self._changes():
            if following != status:
                now = max(start, seconds)
                spans.append((start, now, status))
                start, status = now, following
        return [*spans, (start, max(start, self.seconds), status)]

    def _changes(self) -> Iterator[tuple[float, Status]]:
        """(seconds, status from then on). Some changes are told by the next event or summary alone."""
        frames = [counter(summary, "frames") for summary in self.summaries]
        for event, later in zip_longest(self.events, self.events[1:]):
            yield self.at(event), event.status
            calm = bisect_right(frames, event.frame)  # summaries that count no frame after it
            shown = max([self.at(event), *map(self.at, self.summaries[calm - 1 : calm])])
            if later is None:
                if event.kind == "silence" and calm < len(frames):
                    yield shown, event.before
            elif later.before != event.status and later.frame > event.frame:
                yield min(shown, self.at(later)), later.before


@dataclass
class Drive:
    """The runs in the order they began, their files, what is wrong with the files, and pictures of frames.

    pictures: {(run, frame): path}, oldest first.
    """

    runs: list[Run]
    files: list[Path]
    problems: list[str]
    pictures: dict[tuple[str, int], Path]


def read_drive(paths: Iterable[str | os.PathLike[str]], *, salvage: bool = False) -> Drive:
    """Read log files in any order, each with the older files that were rotated away from it.

    A file may be given twice; a log may be written to and rotated meanwhile. salvage: leave out broken lines and name
    them in `problems`. Raises ValueError with file and line for a broken line, and for a log without a header, and
    OSError for a file that cannot be read.
    """
    runs: dict[str, dict[int, Record]] = {}
    files: dict[Path, Path] = {}
    problems: list[str] = []
    for path in map(Path, paths):
        read: list[tuple[Path, list[str]]] = []
        for file in _newest_first(path):
            if file.resolve() in files:
                continue
            read.append((file, []))
            try:
                _read(file, runs, read[-1][1], salvage)
            except FileNotFoundError:  # rotated away meanwhile
                if file == path and not (path.parent.is_dir() and older_files(path)):
                    raise
                read.pop()
        for file, found in reversed(read):
            files[file.resolve()] = file
            problems += found
    if not runs:
        raise ValueError(f"{', '.join(map(str, files))}: expected an event log, got no line of one")
    found_runs = [stream for lines in runs.values() for stream in _streams(_run(lines, problems))]
    found_runs.sort(key=lambda run: run.header.started_wall_ns)
    return Drive(found_runs, list(files.values()), problems, _pictures(files.values(), runs))


def _newest_first(path: Path) -> Iterator[Path]:
    """A log and then its older files. What is rotated meanwhile is read twice; nothing is missed."""
    yield path
    yield from (old for _, old in reversed(older_files(path)))


def _read(file: Path, runs: dict[str, dict[int, Record]], problems: list[str], salvage: bool) -> None:
    """Add the lines of a file to those of their runs."""
    run = None
    for seq, record in read_records(file, unfinished=problems.append, broken=problems.append if salvage else None):
        if isinstance(record, Header):
            run = runs.setdefault(record.run, {})
        elif run is None:
            message = f"{file}:1: expected the header of an event log, got another line"
            if not salvage:
                raise ValueError(message)
            problems.append(f"{message}; the lines before the first header are left out")
            run = {}
        run.setdefault(seq, record)


def _run(records: dict[int, Record], problems: list[str]) -> Run:
    headers = [record for _, record in sorted(records.items()) if isinstance(record, Header)]
    header = headers[-1]
    run = Run(header)
    repaired = max(each.repaired_bytes for each in headers)
    if repaired:
        problems.append(
            f"run {header.run[:8]}: a line of {repaired:,} bytes, cut off by a crash of the run before, was removed"
            " when it began"
        )
    expected = 0
    offset = header.started_wall_ns - header.started_monotonic_ns
    for seq in sorted(records):
        if seq > expected:
            what = f"line {expected}" if seq == expected + 1 else f"lines {expected} to {seq - 1}"
            why = "rotated away or not given" if expected == 0 else "missing"
            run.missing += seq - expected if expected else 0
            problems.append(f"run {header.run[:8]}: {what} {why}")
        expected = seq + 1
        record = records[seq]
        if isinstance(record, Header):
            continue
        if isinstance(record, Dropped):
            run.dropped += record.count
        elif isinstance(record, Summary):
            run.summaries.append(record)
        elif isinstance(record, Clean):
            run.clean.append(record)
        else:
            run.events.append(record)
        step = record.wall_ns - record.monotonic_ns - offset
        if abs(step) >= _STEP_NS:
            run.steps.append(((record.monotonic_ns - header.started_monotonic_ns) / 1e9, step / 1e9))
            offset += step
    run.events.sort(key=lambda event: event.monotonic_ns)  # several threads may have put them
    run.clean.sort(key=lambda one: one.clean)
    return run


def _streams(whole: Run) -> list[Run]:
    """A run for each stream of frames, since each has its own status, frames and counters; most have one."""
    of_summaries = (summary.values.get("streams") for summary in whole.summaries)
    told = (name for streams in of_summaries if isinstance(streams, dict) for name in streams)
    found = []
    for name in dict.fromkeys(
        ["", *told, *(event.stream for event in whole.events), *(one.stream for one in whole.clean)]
    ):
        header, summaries = whole.header, whole.summaries
        if name:
            source = f"{header.source}: {name}" if header.source else name
            header = replace(header, run=picture_run(header.run, name), source=source)
            summaries = [part for summary in summaries if (part := _of_stream(summary, name))]
        run = Run(header, [event for event in whole.events if event.stream == name], summaries, missing=whole.missing)
        run.clean = [one for one in whole.clean if one.stream == name]
        elapsed = 0
        for index, event in enumerate(run.events if run.recorded else ()):
            elapsed = _elapsed(event) or elapsed
            run.events[index] = event._replace(elapsed_ns=elapsed)  # an event of the user's own may lack it
        found.append(run)
    if len(found) > 1 and not (found[0].events or found[0].clean or counter(found[0].last, "frames")):
        del found[0]
    found[0].dropped, found[0].steps = whole.dropped, whole.steps
    return found


def _of_stream(summary: Summary, name: str) -> Summary | None:
    """What a summary says of one stream; None where it says nothing."""
    streams = summary.values.get("streams")
    values = streams.get(name) if isinstance(streams, dict) else None
    return (
        replace(summary, values=values | {"ended": summary.values.get("ended")}) if isinstance(values, dict) else None
    )


def _pictures(files: Iterable[Path], runs: Iterable[str]) -> dict[tuple[str, int], Path]:
    known = set(runs)
    pictures = {}
    for folder in dict.fromkeys(folder_of(file) for file in files):
        for path in list_thumbnails(folder):
            run, _, frame = path.stem.partition("-")
            if run.partition(".")[0] in known:
                pictures[run, int(frame)] = path
    return pictures


def _nanoseconds(summary: Summary, name: str) -> int | None:
    """A length of time of a summary; None where it holds none."""
    value = summary.values.get(name)
    return value if is_count(value) else None


def counter(summary: Summary, name: str) -> int:
    """One of the counters of a summary; 0 where that holds no count."""
    counters = summary.values.get("counters")
    count = counters.get(name) if isinstance(counters, dict) else None
    return count if is_count(count) else 0


def _elapsed(record: Event | Summary) -> int | None:
    """Nanoseconds of the recording up to a record."""
    value = record.elapsed_ns if isinstance(record, Event) else record.values.get("elapsed_ns")
    return value if is_count(value) else None


def is_count(value: Any) -> TypeGuard[int]:
    """Whether the value is an integer that counts something."""
    return type(value) is int and 0 <= value < 1 << 63
