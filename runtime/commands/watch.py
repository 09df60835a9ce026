"""Watch a stream: a folder, a video, a camera or a bag. Exit status 0 when all was covered, 1 after alarms."""

from __future__ import annotations

import argparse
import json
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from ...monitor import Monitor, Status
from ...networks import Preprocessing
from .. import arguments
from ..event_log import EventLog
from ..guard import Guard
from ..live_view import LiveView, StatusLines
from ..opening import add_network_arguments, open_monitor
from ..progress import interrupt_later
from ..streams import open_stream, paced
from ..watch import Seen, View, Watch
from .check import frame_json

if TYPE_CHECKING:
    from typing_extensions import Self

    from ..ros2 import Ros2Publisher

_CAMERA_SILENCE, _PATIENCE = 1.0, 10
"""Seconds without a picture that are silence of a camera, and how many times that until it is given up."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("profile", type=Path, metavar="PROFILE", help="what `outrider calibrate` wrote")
    parser.add_argument(
        "source", metavar="SOURCE", help="folder of pictures, video, camera's index, .mcap file, ROS 2 or ROS 1 bag"
    )
    add_network_arguments(parser)
    parser.add_argument("--topic", help="of sensor_msgs/Image or CompressedImage, where a bag has several")
    parser.add_argument("--limit", type=arguments.positive, metavar="N", help="end after so many frames")
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument(
        "--rate", type=arguments.above_zero, metavar="FPS", help="frames a second; files go as fast as they can without"
    )
    pace.add_argument("--realtime", action="store_true", help="a file at the pace at which it was recorded")

    guard = parser.add_argument_group("the guard, as in Python")
    guard.add_argument("--deadline", type=arguments.above_zero, metavar="S", help="seconds to a verdict, or STALE")
    guard.add_argument("--frozen", type=arguments.positive, metavar="N", help="the same picture N times is STALE")
    guard.add_argument(
        "--silence", type=arguments.above_zero, metavar="S", help="seconds without a frame, or STALE; 1 for a camera"
    )
    guard.add_argument(
        "--alarm", type=arguments.k_of_n, default=(1, 1), metavar="K/N", help="K of N frames make an alarm"
    )
    guard.add_argument("--clear", type=arguments.k_of_n, default=(1, 1), metavar="K/N", help="K of N clean ones end it")
    guard.add_argument("--latch", action="store_true", help="an alarm stays to the end")

    parser.add_argument("--ros2", metavar="NAME", help="publish status and verdicts to ROS 2 under this name")
    kept = parser.add_argument_group("what is kept")
    kept.add_argument("--log", type=Path, metavar="FILE", help="event log, for `outrider report`")
    kept.add_argument("--record", type=Path, metavar="FILE", help="recording for Rerun, .rrd")
    parser.add_argument("--json", action="store_true", help="one line of JSON per frame, as they are judged")


def run(options: argparse.Namespace) -> int:
    with ExitStack() as stack:
        silence = options.silence or _CAMERA_SILENCE
        stream = open_stream(options.source, topic=options.topic, rate=options.rate, patience=_PATIENCE * silence)
        stack.callback(stream.close)
        monitor = open_monitor(options)
        stack.enter_context(closing(monitor.network))
        preprocessing = _preprocessing(options, monitor)
        log = stack.enter_context(EventLog(options.log)) if options.log else None
        guard = Guard(
            monitor, deadline=options.deadline, frozen=options.frozen, alarm=options.alarm, clear=options.clear,
            silence=silence if stream.live else options.silence, latch=options.latch, log=log,
        )  # fmt: skip
        stack.enter_context(guard)
        interrupted = stack.enter_context(interrupt_later())
        watch = Watch(guard, preprocessing, [stack.enter_context(view) for view in _views(options, guard)], log)
        began = time.monotonic()
        for frame in paced(stream, interrupted.wait, rate=options.rate, realtime=options.realtime):
            if interrupted.is_set():
                break
            watch.step(frame)
            if watch.frames == options.limit:
                break
        if not watch.frames and not interrupted.is_set():
            raise ValueError(f"{options.source}: expected at least one frame, got none")
        seconds = time.monotonic() - began
    if not options.json:
        _print(options, guard, seconds)
    if log is not None and not log.health().ok:
        raise OSError(f"{options.log}: expected a whole log, got one that lacks events: {log.health().error}")
    return int(watch.alarmed)


def _preprocessing(options: argparse.Namespace, monitor: Monitor) -> Preprocessing:
    if monitor.network.preprocessing is None:
        raise ValueError(
            f"{options.profile}: expected a profile of pictures, got one of float samples;"
            " give `outrider profile` a flag such as --scale to say how pictures are read"
        )
    return monitor.network.preprocessing


def _views(options: argparse.Namespace, guard: Guard) -> list[View]:
    title = f"{options.source}, {options.profile}"
    views: list[View] = []
    if options.record:
        from ..recording import Recording

        views.append(Recording(options.record, title))
    if options.ros2:
        from ..ros2 import Ros2Publisher

        monitor = guard.monitor
        publisher = Ros2Publisher(
            guard, options.ros2, network=monitor.network.fingerprint, profile=monitor.profile_sha256
        )
        views.append(_Ros2(publisher))
    console = Console(highlight=False)
    if options.json:
        views.append(_JsonLines())
    elif not options.quiet:
        views.append(LiveView(title, guard, console) if console.is_terminal else StatusLines(console))
    return views


class _JsonLines:
    """A line for every frame, and one with `frame` null for a change of status without a frame."""

    def __init__(self) -> None:
        self._status = Status.OK

    def seen(self, seen: Seen) -> None:
        self._status = seen.verdict.status
        facts = {"number": seen.number, "time": seen.frame.time, "latency": seen.latency}
        self._write(frame_json(seen.frame.name, seen.verdict) | facts)

    def idle(self, status: Status) -> None:
        if status != self._status:
            self._status = status
            self._write({"frame": None, "status": status.name.lower(), "alarm": status >= Status.ALARM})

    def _write(self, line: dict[str, object]) -> None:
        sys.stdout.write(json.dumps(line, allow_nan=False) + "\n")
        sys.stdout.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class _Ros2:
    """Hands every verdict on. Of a loop without frames the publisher knows from the guard."""

    def __init__(self, publisher: Ros2Publisher) -> None:
        self._publisher = publisher

    def seen(self, seen: Seen) -> None:
        captured = seen.frame.captured
        age_ns = 0 if captured is None else time.monotonic_ns() - round(captured * 1e9)
        self._publisher.verdict(seen.verdict, time.time_ns() - age_ns)

    def idle(self, status: Status) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._publisher.close()


def _print(options: argparse.Namespace, guard: Guard, seconds: float) -> None:
    counters = guard.metrics.counters
    share = f" ({counters.alarms / counters.judged:.2%})" if counters.judged else ""
    console = Console(highlight=False)
    console.print(
        f"{counters.frames:,} frames in {seconds:.1f} s, {counters.alarms:,} above the threshold{share},"
        f" {counters.faults:,} faults, {counters.stale:,} stale; alarms of the loop: {counters.episodes:,}",
        soft_wrap=True,
    )
    if options.log:
        console.print(f"`outrider report {options.log}` makes a page of it", soft_wrap=True)
