"""What a terminal shows of a guard that watches several streams: a line for each."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.table import Column, Table
from rich.text import Text

from ...monitor import Status
from ..printable import printable
from .live_view import ARRIVALS, LATENCIES, LINE, REFRESHES, STYLES, clock, per_second, ratio
from .moving_line import moving_line
from .words import reason_of

if TYPE_CHECKING:
    from typing_extensions import Self

    from ..loop.guard import Guard
    from ..loop.metrics import Metrics
    from ..loop.watch import WatchedFrame

_NARROW, _WIDE, _REST = 8, 24, 96


class CamerasView:
    """Of every stream its status, frame rate, score against threshold as a line, latency, counts and reason.

    `seen` only stores; a thread draws eight times a second. title: what is watched. streams: their names, in order.
    """

    def __init__(self, title: str, guard: Guard, streams: Sequence[str], console: Console | None = None) -> None:
        self._title, self._guard = printable(title), guard
        self._console = console or Console()
        self._live = Live(console=self._console, get_renderable=lambda: self, refresh_per_second=REFRESHES)
        self._lock = threading.Lock()
        self._rows = {name: _Row() for name in streams}

    def seen(self, seen: WatchedFrame) -> None:
        with self._lock:
            self._rows[seen.stream].take(seen)

    def idle(self, status: Status, stream: str = "") -> None:
        """The guard is asked when it is drawn."""

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__(None, None, None)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        statuses = self._guard.statuses
        status = self._guard.status
        table = Table(
            *(Column(header, no_wrap=True) for header in ("", "", "", "frames/s", "frame", "ms", "alarms", "dropped")),
            Column("", no_wrap=True, overflow="ellipsis", ratio=1),
            box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", expand=True,
        )  # fmt: skip
        width = min(_WIDE, max(_NARROW, options.max_width - _REST))
        with self._lock:
            longest = max((row.last.seconds for row in self._rows.values() if row.last), default=0.0)
            for name, row in self._rows.items():
                row.draw(
                    table, printable(name), statuses.get(name, Status.OK), self._guard.metrics.streams[name], width
                )
        head = Text.assemble(
            (f" {status.name} ", f"{STYLES[status]} reverse"),
            f"  {clock(longest)}   {len(self._rows)} streams   ",
            (self._title, "dim"),
            no_wrap=True,
            overflow="ellipsis",
        )
        yield Group(head, table)


class _Row:
    """What was seen of one stream."""

    def __init__(self) -> None:
        self.last: WatchedFrame | None = None
        self._ratios: deque[float] = deque(maxlen=LINE)
        self._latencies: deque[float] = deque(maxlen=LATENCIES)
        self._arrivals: deque[float] = deque(maxlen=ARRIVALS)

    def take(self, seen: WatchedFrame) -> None:
        self.last = seen
        self._ratios.append(ratio(seen.verdict))
        self._latencies.append(seen.latency)
        self._arrivals.append(time.monotonic())

    def draw(self, table: Table, name: str, status: Status, metrics: Metrics, width: int) -> None:
        """Add a row to the table. width: of the moving line, in characters."""
        counters, last = metrics.counters, self.last
        reason = "no frame yet" if last is None else printable(reason_of(last.verdict))
        if status is Status.STALE and last is not None and last.verdict.status is not Status.STALE:
            reason = "no frame"
        if metrics.drift is not None and metrics.drift.rejected:
            reason = f"{metrics.drift.message}; {reason}" if reason else metrics.drift.message
        (line,) = moving_line(tuple(self._ratios), width, 1)
        late = np.quantile(self._latencies, 0.99) * 1e3 if self._latencies else 0.0
        table.add_row(
            name, Text(status.name, STYLES[status]), line, f"{per_second(tuple(self._arrivals)):.1f}",
            f"{counters.frames:,}", f"{late:.1f}", f"{counters.alarms:,}", f"{counters.frames_dropped:,}", Text(reason),
        )  # fmt: skip
