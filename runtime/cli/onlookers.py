"""Who looks on at a watch: a terminal or lines, a recording, ROS 2."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from rich.console import Console

from ...monitor import Status
from ..loop.guard import Guard
from ..loop.watch import View, WatchedFrame
from ..outlets.cameras_view import CamerasView
from ..outlets.live_view import LiveView, StatusLines
from .commands.check import frame_json

if TYPE_CHECKING:
    from ..outlets.ros2 import Ros2Publisher


def onlookers(
    options: argparse.Namespace, guard: Guard, title: str, streams: Sequence[str], stack: ExitStack
) -> list[View]:
    """Those that the options of `outrider watch` ask for, until the stack is left. streams: the names of several."""
    views: list[View] = []
    if options.record:
        from ..outlets.recording import Recording

        recording = Recording(
            options.record, title, streams, preprocessing=guard.monitor.network.preprocessing,
            places=guard.monitor.logic.of_places,
        )  # fmt: skip
        views.append(stack.enter_context(recording))
    if options.ros2:
        from ..outlets.ros2 import Ros2Publisher

        monitor = guard.monitor
        publisher = Ros2Publisher(
            guard, options.ros2, network=monitor.network.fingerprint, profile=monitor.profile_sha256,
            maps="outrider/map" if monitor.logic.of_places else "",
        )  # fmt: skip
        views.append(_Ros2(stack.enter_context(closing(publisher))))
    if options.metrics:
        from ..outlets.prometheus import serve_metrics

        address, port = options.metrics
        try:
            stack.enter_context(closing(serve_metrics(guard.metrics, port, address)))
        except OSError as error:
            raise OSError(f"{address}:{port}: expected to serve metrics there, got {error.strerror or error}") from None
    console = Console(highlight=False)
    if options.json:
        views.append(JsonLines())
    elif not options.quiet:
        if not console.is_terminal:
            views.append(StatusLines(console))
        elif streams:
            views.append(stack.enter_context(CamerasView(title, guard, streams, console)))
        else:
            views.append(stack.enter_context(LiveView(title, guard, console)))
    return views


class JsonLines:
    """A line for every frame, and one with `frame` null for a change of status without a frame.

    The line of the frame at which the calibration no longer holds says so in `drift`. Of a live source `dropped` counts
    the frames left out so far. Of several streams `stream` is the name.
    """

    def __init__(self) -> None:
        self._statuses: dict[str, Status] = {}

    def seen(self, seen: WatchedFrame) -> None:
        self._statuses[seen.stream] = seen.verdict.status
        facts: dict[str, object] = {"number": seen.number, "time": seen.frame.time, "latency": seen.latency}
        if seen.frame.captured is not None:
            facts["dropped"] = seen.dropped
        if seen.drift:
            facts["drift"] = seen.drift
        self._write(seen.stream, frame_json(seen.frame.name, seen.verdict) | facts)

    def idle(self, status: Status, stream: str = "") -> None:
        if status != self._statuses.get(stream, Status.OK):
            self._statuses[stream] = status
            self._write(stream, {"frame": None, "status": status.name.lower(), "alarm": status >= Status.ALARM})

    def _write(self, stream: str, line: dict[str, object]) -> None:
        named = {"stream": stream} if stream else {}
        sys.stdout.write(json.dumps(named | line, allow_nan=False) + "\n")
        sys.stdout.flush()


class _Ros2:
    """Hands every verdict on, with the stamp of the camera where it gave one."""

    def __init__(self, publisher: Ros2Publisher) -> None:
        self._publisher = publisher

    def seen(self, seen: WatchedFrame) -> None:
        frame = seen.frame
        wall_ns = frame.stamp_ns
        if wall_ns is None:
            wall_ns = time.time_ns()
            if frame.captured is not None:
                wall_ns -= time.monotonic_ns() - round(frame.captured * 1e9)
        self._publisher.verdict(seen.verdict, wall_ns, stream=seen.stream)

    def idle(self, status: Status, stream: str = "") -> None:
        """The publisher asks the guard."""
