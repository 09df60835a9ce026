"""Watch streams: folders, videos, bags, cameras, URLs. Exit status 1 after ALARM, FAULT or STALE, 0 without."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from rich.console import Console
from rich.text import Text

from ....monitor import Monitor
from ....networks import Preprocessing
from ...inputs.learned_pictures import comparing
from ...inputs.streams import ASSUMED_RATE, Folder, Frame, Several, Stream, paced
from ...log.events import Header
from ...log.log import EventLog
from ...log.reader import read_records
from ...loop.guard import Guard
from ...loop.history import DEFAULT
from ...loop.metrics import Counters, Metrics
from ...loop.temporal import KOfN, RegionsKOfN
from ...loop.watch import Watch
from ...printable import counted, printable, without_credentials
from ..cameras import CameraSettings, cameras_of, opened
from ..onlookers import onlookers
from ..opening import open_monitor
from ..reading import walk_line, walk_words
from ..signals import Stop

_TOPICS = "/diagnostics", "/outrider/verdict"
"""Where `Ros2Publisher` publishes unless it is told otherwise."""


def run(options: argparse.Namespace) -> int:
    with Stop() as stop:
        return _watch(options, stop)


def _watch(options: argparse.Namespace, stop: Stop) -> int:
    with ExitStack() as stack:
        named = without_credentials(str(options.settings_in(options) or options.source))
        cameras = cameras_of(options)
        streams = opened(cameras)
        for stream in streams.values():
            stack.callback(stream.close)
        monitor = open_monitor(options, calibrated=True)
        stack.enter_context(closing(monitor.network))
        preprocessing = _preprocessing(options.profile, monitor, list(cameras))
        log = None
        if options.log:
            log = stack.enter_context(EventLog(options.log, source=named, keep_clean=options.keep_clean))
        elif options.keep_clean:
            raise ValueError("expected --keep-clean with --log FILE, where the frames are kept, got it alone")
        names = [name for name in cameras if name != DEFAULT]
        guard = Guard(
            monitor, deadline={name: one.deadline for name, one in cameras.items()}, frozen=options.frozen,
            temporal=_over_time(options, monitor), log=log, log_failure=options.log_failure,
            silence={name: one.silence_of(streams[name]) for name, one in cameras.items()}, streams=names,
        )  # fmt: skip
        stack.enter_context(guard)
        views = onlookers(options, guard, f"{named}, {options.profile}", names, stack)
        watch = Watch(guard, preprocessing, views, streams)
        stop.later()
        began = time.monotonic()
        waiting = _frames(options, cameras, streams, guard, stop)
        for frames in waiting:
            if stop.asked:
                break
            watch.steps(frames)
            if options.limit is not None and watch.frames >= options.limit:
                break
        guard.pause()  # the time that it takes to close streams is not one without a camera
        waiting.close()
        watch.count()
        if not watch.frames and not stop.asked:
            raise ValueError(f"{named}: expected at least one frame, got none")
        seconds = time.monotonic() - began
    folders = {name: one for name, one in streams.items() if isinstance(one, Folder)}
    for name, folder in folders.items():
        if options.json and walk_words(folder):
            sys.stdout.write(walk_line(folder, name) + "\n")
    if not (options.json and options.quiet):
        console = Console(highlight=False, stderr=options.json)
        for line in _summary(options, guard, cameras, streams, seconds):
            console.print(Text(printable(line)), soft_wrap=True)
    if log is not None and not log.health().ok:
        raise OSError(f"{options.log}: expected a whole log, got one that lacks events: {log.health().error}")
    return int(watch.alarmed)


def _over_time(options: argparse.Namespace, monitor: Monitor) -> KOfN:
    """The logic over time. Raises ValueError for regions of a monitor that has none."""
    if options.same_region is None:
        return KOfN(options.alarm, options.clear, options.latch)
    if not monitor.logic.of_places:
        raise ValueError(
            f"{options.profile}: expected a monitor of places for --same-region, got the logic {monitor.logic.name};"
            " profile with neurons pixel (--neurons pixel)"
        )
    share, of = options.same_region
    return RegionsKOfN(options.alarm, options.clear, share, options.latch, of)


def _preprocessing(profile: Path, monitor: Monitor, streams: Sequence[str]) -> dict[str, Preprocessing]:
    """What makes samples of the pictures of each stream.

    Raises ValueError for a network that a stream of pictures cannot be given to.
    """
    network = monitor.network
    if len(network.inputs) > 1:
        raise ValueError(
            f"{profile}: expected a network that takes one picture from a stream, got one of"
            f" {len(network.inputs)} inputs; `outrider check` reads folders side by side, and a Guard in"
            " Python takes frames of several inputs"
        )
    if network.preprocessing is None:
        raise ValueError(
            f"{profile}: expected a profile of pictures, got one of float samples;"
            " give `outrider profile` a flag such as --scale to say how pictures are read"
        )
    return {name: made for name in streams if (made := comparing(monitor, name)) is not None}


def _frames(
    options: argparse.Namespace, cameras: Mapping[str, CameraSettings], streams: Mapping[str, Stream], guard: Guard,
    stop: Stop,
) -> Generator[Mapping[str, Frame], None, None]:  # fmt: skip
    """The frames that wait, by stream, as often as there are any and ten times a second without."""
    if list(cameras) == [DEFAULT]:
        for frame in paced(streams[DEFAULT], stop.wait, rate=options.rate, realtime=options.realtime):
            yield {} if frame is None else {DEFAULT: frame}
        return
    with closing(Several(streams, {name: one.rate for name, one in cameras.items()})) as several:
        ended: set[str] = set()
        for frames in several:
            yield frames
            for name in several.ended - ended:
                guard.pause(name)  # the end of a recording is no silence
            ended |= several.ended


def _summary(
    options: argparse.Namespace, guard: Guard, cameras: Mapping[str, CameraSettings], streams: Mapping[str, Stream],
    seconds: float,
) -> Iterator[str]:  # fmt: skip
    each: dict[str, Metrics] = dict(guard.metrics.streams) or {DEFAULT: guard.metrics}
    total = Counters()
    total.array[:] = sum(metrics.counters.array for metrics in each.values())
    yield _counts(total, f" in {seconds:.1f} s")
    for name, stream in streams.items():
        if isinstance(stream, Folder) and (words := walk_words(stream)):
            yield f"{name}: {words}" if name else words
    yield f"{counted(total.episodes, 'episode')} (alarm, fault or stale)"
    for name, metrics in each.items():
        before = f"{name}: " if name else ""
        if name:
            yield f"{before}{_counts(metrics.counters)}, {counted(metrics.counters.episodes, 'episode')}"
        if metrics.drift is not None and (not name or metrics.drift.rejected):
            yield f"{before}{metrics.drift.message}"
    if total.log_failures:
        yield f"the log failed at {counted(total.log_failures, 'frame')}"
    if options.log and any(isinstance(stream, Folder) and not cameras[name].rate for name, stream in streams.items()):
        yield f"the log takes the pictures as {ASSUMED_RATE:g} a second; --rate says otherwise"
    if options.log:
        runs = _runs(options.log) if options.log.is_file() else 0
        before = f"added to {options.log}, which holds {runs:,} runs; " if runs > 1 else ""
        yield f"{before}`outrider report {options.log}` makes a page of it"
    if options.record:
        yield f"recorded in {options.record}; `rerun {options.record}` shows it"
    if options.ros2:
        yield f"published to ROS 2 as {options.ros2!r} on {' and '.join(_TOPICS)}"


def _counts(counters: Counters, took: str = "") -> str:
    share = f" ({counters.alarms / counters.judged:.2%})" if counters.judged else ""
    return (
        f"{counted(counters.frames, 'frame')}{took}: {counters.alarms:,} above the threshold{share},"
        f" {counted(counters.faults, 'fault')}, {counters.stale:,} stale"
        + (f", {counted(counters.silences, 'time')} no frame came" if counters.silences else "")
        + (f", {counters.frames_dropped:,} dropped for newer ones" if counters.frames_dropped else "")
        + (f", {counted(counters.reconnects, 'reconnect')}" if counters.reconnects else "")
    )


def _runs(log: Path) -> int:
    """How many runs one file of a log holds, as far as it can be read."""
    problems: list[str] = []
    records = read_records(log, unfinished=problems.append, broken=problems.append)
    return len({record.run for _, record in records if isinstance(record, Header)})
