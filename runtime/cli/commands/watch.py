"""Watch a stream: a folder, a video, a camera or a bag. Exit status 1 after ALARM, FAULT or STALE, 0 without."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from ....monitor import Status
from ...inputs.learned_pictures import comparing
from ...inputs.streams import ASSUMED_RATE, Folder, Stream, open_stream, paced
from ...log.events import Header
from ...log.log import EventLog
from ...log.reader import read_records
from ...loop.guard import Guard
from ...loop.watch import View, Watch, WatchedFrame
from ...outlets.live_view import LiveView, StatusLines
from ...printable import counted, printable, without_credentials
from ..opening import open_monitor
from ..reading import walk_line, walk_words
from ..signals import Stop
from .check import frame_json

if TYPE_CHECKING:
    from ...outlets.ros2 import Ros2Publisher

_CAMERA_SILENCE, _PATIENCE = 1.0, 10
"""Seconds without a picture that are silence of a camera, and how many times that until it is given up."""

_TOPICS = "/diagnostics", "/outrider/verdict"
"""Where `Ros2Publisher` publishes unless it is told otherwise."""


def run(options: argparse.Namespace) -> int:
    with Stop() as stop:
        return _watch(options, stop)


def _watch(options: argparse.Namespace, stop: Stop) -> int:
    with ExitStack() as stack:
        silence = options.silence or _CAMERA_SILENCE
        stream = open_stream(options.source, topic=options.topic, rate=options.rate, patience=_PATIENCE * silence)
        stack.callback(stream.close)
        monitor = open_monitor(options, calibrated=True)
        stack.enter_context(closing(monitor.network))
        preprocessing = comparing(monitor)
        if len(monitor.network.inputs) > 1:
            raise ValueError(
                f"{options.profile}: expected a network that takes one picture from a stream, got one of"
                f" {len(monitor.network.inputs)} inputs; `outrider check` reads folders side by side, and a Guard in"
                " Python takes frames of several inputs"
            )
        if preprocessing is None:
            raise ValueError(
                f"{options.profile}: expected a profile of pictures, got one of float samples;"
                " give `outrider profile` a flag such as --scale to say how pictures are read"
            )
        log = (
            stack.enter_context(EventLog(options.log, source=without_credentials(options.source)))
            if options.log
            else None
        )
        guard = Guard(
            monitor, deadline=options.deadline, frozen=options.frozen, alarm=options.alarm, clear=options.clear,
            silence=silence if stream.live else options.silence, latch=options.latch, log=log,
            log_failure=options.log_failure,
        )  # fmt: skip
        stack.enter_context(guard)
        watch = Watch(guard, preprocessing, _views(options, guard, stack))
        stop.later()
        began = time.monotonic()
        for frame in paced(stream, stop.wait, rate=options.rate, realtime=options.realtime):
            if stop.asked:
                break
            watch.step(frame)
            if watch.frames == options.limit:
                break
        if not watch.frames and not stop.asked:
            raise ValueError(f"{without_credentials(options.source)}: expected at least one frame, got none")
        seconds = time.monotonic() - began
    if options.json and isinstance(stream, Folder) and walk_words(stream):
        sys.stdout.write(walk_line(stream) + "\n")
    if not (options.json and options.quiet):
        _print(options, guard, stream, seconds)
    if log is not None and not log.health().ok:
        raise OSError(f"{options.log}: expected a whole log, got one that lacks events: {log.health().error}")
    return int(watch.alarmed)


def _views(options: argparse.Namespace, guard: Guard, stack: ExitStack) -> list[View]:
    """Who looks on, until the stack is left."""
    title = f"{without_credentials(options.source)}, {options.profile}"
    views: list[View] = []
    if options.record:
        from ...outlets.recording import Recording

        views.append(stack.enter_context(Recording(options.record, title)))
    if options.ros2:
        from ...outlets.ros2 import Ros2Publisher

        monitor = guard.monitor
        publisher = Ros2Publisher(
            guard, options.ros2, network=monitor.network.fingerprint, profile=monitor.profile_sha256
        )
        views.append(_Ros2(stack.enter_context(closing(publisher))))
    console = Console(highlight=False)
    if options.json:
        views.append(_JsonLines())
    elif not options.quiet:
        live = console.is_terminal
        views.append(stack.enter_context(LiveView(title, guard, console)) if live else StatusLines(console))
    return views


class _JsonLines:
    """A line for every frame, and one with `frame` null for a change of status without a frame.

    The line of the frame at which the calibration no longer holds says so in `drift`.
    """

    def __init__(self) -> None:
        self._status = Status.OK

    def seen(self, seen: WatchedFrame) -> None:
        self._status = seen.verdict.status
        facts = {"number": seen.number, "time": seen.frame.time, "latency": seen.latency}
        drift = {"drift": seen.drift} if seen.drift else {}
        self._write(frame_json(seen.frame.name, seen.verdict) | facts | drift)

    def idle(self, status: Status) -> None:
        if status != self._status:
            self._status = status
            self._write({"frame": None, "status": status.name.lower(), "alarm": status >= Status.ALARM})

    def _write(self, line: dict[str, object]) -> None:
        sys.stdout.write(json.dumps(line, allow_nan=False) + "\n")
        sys.stdout.flush()


class _Ros2:
    """Hands every verdict on."""

    def __init__(self, publisher: Ros2Publisher) -> None:
        self._publisher = publisher

    def seen(self, seen: WatchedFrame) -> None:
        captured = seen.frame.captured
        age_ns = 0 if captured is None else time.monotonic_ns() - round(captured * 1e9)
        self._publisher.verdict(seen.verdict, time.time_ns() - age_ns)

    def idle(self, status: Status) -> None:
        """The publisher asks the guard."""


def _print(options: argparse.Namespace, guard: Guard, stream: Stream, seconds: float) -> None:
    console = Console(highlight=False, stderr=options.json)
    for line in _summary(options, guard, stream, seconds):
        console.print(Text(printable(line)), soft_wrap=True)


def _summary(options: argparse.Namespace, guard: Guard, stream: Stream, seconds: float) -> Iterator[str]:
    counters, drift = guard.metrics.counters, guard.metrics.drift
    share = f" ({counters.alarms / counters.judged:.2%})" if counters.judged else ""
    yield (
        f"{counted(counters.frames, 'frame')} in {seconds:.1f} s: {counters.alarms:,} above the threshold{share},"
        f" {counted(counters.faults, 'fault')}, {counters.stale:,} stale"
        + (f", {counted(counters.silences, 'time')} no frame came" if counters.silences else "")
    )
    if isinstance(stream, Folder) and (words := walk_words(stream)):
        yield words
    yield f"{counted(counters.episodes, 'episode')} (alarm, fault or stale)"
    if counters.log_failures:
        yield f"the log failed at {counted(counters.log_failures, 'frame')}"
    if drift is not None:
        yield drift.message
    if options.log and isinstance(stream, Folder) and options.rate is None:
        yield f"the log takes the pictures as {ASSUMED_RATE:g} a second; --rate says otherwise"
    if options.log:
        runs = _runs(options.log) if options.log.is_file() else 0
        before = f"added to {options.log}, which holds {runs:,} runs; " if runs > 1 else ""
        yield f"{before}`outrider report {options.log}` makes a page of it"
    if options.record:
        yield f"recorded in {options.record}; `rerun {options.record}` shows it"
    if options.ros2:
        yield f"published to ROS 2 as {options.ros2!r} on {' and '.join(_TOPICS)}"


def _runs(log: Path) -> int:
    """How many runs one file of a log holds, as far as it can be read."""
    problems: list[str] = []
    records = read_records(log, unfinished=problems.append, broken=problems.append)
    return len({record.run for _, record in records if isinstance(record, Header)})
