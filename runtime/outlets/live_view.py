"""What a terminal shows of a guard at work, and the lines that a file or a pipe gets instead."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.table import Column, Table
from rich.text import Text

from ...monitor import Status, Verdict
from ..printable import counted, printable
from .moving_line import moving_line
from .words import reason_of

if TYPE_CHECKING:
    from typing_extensions import Self

    from ..loop.guard import Guard
    from ..loop.watch import WatchedFrame

STYLES = dict(zip(Status, ("bold green", "bold yellow", "bold red", "bold magenta", "bold blue"), strict=True))
REFRESHES = 8
_BEFORE = Status.OK, 0, 0.0
LINE, LATENCIES, ARRIVALS = 512, 1000, 120
"""Of how many frames scores, latencies and times of arrival are kept."""
_EPISODES = 5


@dataclass
class Episode:
    """Frames in a row of one status, ALARM or worse. words: why it began."""

    number: int
    seconds: float
    status: Status
    frames: int
    words: str


class LiveView:
    """Status, frame rate, score against threshold as a moving line, latency, counts, drift test and the last alarms.

    `seen` only stores; a thread draws eight times a second. title: what is watched.
    """

    def __init__(self, title: str, guard: Guard, console: Console | None = None) -> None:
        self._title, self._guard = printable(title), guard
        self._console = console or Console()
        self._live = Live(console=self._console, get_renderable=lambda: self, refresh_per_second=REFRESHES)
        self._lock = threading.Lock()
        self._last: WatchedFrame | None = None
        self._ratios: deque[float] = deque(maxlen=LINE)
        self._latencies: deque[float] = deque(maxlen=LATENCIES)
        self._arrivals: deque[float] = deque(maxlen=ARRIVALS)
        self._episodes: deque[Episode] = deque(maxlen=_EPISODES)
        self._status = Status.OK

    def seen(self, seen: WatchedFrame) -> None:
        with self._lock:
            self._last = seen
            self._ratios.append(ratio(seen.verdict))
            self._latencies.append(seen.latency)
            self._arrivals.append(time.monotonic())
            self._note(seen.verdict.status, _words(seen.verdict), 1)

    def idle(self, status: Status, stream: str = "") -> None:
        with self._lock:
            if status != self._status:
                self._note(status, "no frame", 0)

    def _note(self, status: Status, words: str, frames: int) -> None:
        if status >= Status.ALARM:
            if status != self._status:
                number, seconds = (self._last.number, self._last.seconds) if self._last else (0, 0.0)
                self._episodes.append(Episode(number, seconds, status, 0, words))
            self._episodes[-1].frames += frames
        self._status = status

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__(None, None, None)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with self._lock:
            last = self._last
            ratios, latencies, arrivals = tuple(self._ratios), tuple(self._latencies), tuple(self._arrivals)
            episodes = [Episode(**vars(episode)) for episode in self._episodes]
        status = self._guard.status
        number, seconds = (last.number, last.seconds) if last else (0, 0.0)
        head = Text.assemble(
            (f" {status.name} ", f"{STYLES[status]} reverse"),
            f"  {per_second(arrivals):.1f} frames/s   frame {number:,}   {clock(seconds)}   ",
            (self._title, "dim"),
            no_wrap=True,
            overflow="ellipsis",
        )
        yield Group(
            head,
            *_now(last.verdict if last else None),
            *_plot(ratios, max(10, options.max_width - 5)),
            self._counts(latencies),
            *self._calibration(),
            *_lines(episodes),
        )

    def _counts(self, latencies: tuple[float, ...]) -> Text:
        counters = self._guard.metrics.counters
        median, late = np.quantile(latencies, [0.5, 0.99]) * 1e3 if latencies else (0.0, 0.0)
        share = f" ({counters.alarms / counters.judged:.2%})" if counters.judged else ""
        calibration = self._guard.monitor.calibration
        warns = calibration is not None and calibration.warning_rate is not None
        warned = f"   above warning level {counters.warnings:,}" if warns else ""
        return Text(
            f"latency {median:.2f} ms median, {late:.2f} ms p99   above threshold {counters.alarms:,}{share}{warned}"
            f"   faults {counters.faults:,}   stale {counters.stale:,}"
            + (f"   dropped {counters.frames_dropped:,}" if counters.frames_dropped else "")
        )

    def _calibration(self) -> list[Text]:
        drift = self._guard.metrics.drift
        if drift is None:
            return []
        return [Text(drift.message, "bold red" if drift.rejected else "dim", no_wrap=True, overflow="ellipsis")]


class StatusLines:
    """The view without a terminal: a line for each change of status, and one when the calibration no longer holds.

    Lines of a stream that has a name begin with it.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._last: dict[str, tuple[Status, int, float]] = {}

    def seen(self, seen: WatchedFrame) -> None:
        self._change(seen.stream, seen.verdict.status, reason_of(seen.verdict), seen.number, seen.seconds)
        if seen.drift:
            self._print(seen.stream, seen.drift)

    def idle(self, status: Status, stream: str = "") -> None:
        _, number, seconds = self._last.get(stream, _BEFORE)
        self._change(stream, status, "no frame", number, seconds)

    def _change(self, stream: str, status: Status, words: str, number: int, seconds: float) -> None:
        before = self._last.get(stream, _BEFORE)[0]
        self._last[stream] = status, number, seconds
        if status != before:
            self._print(stream, f"{before.name} -> {status.name}  {words}".rstrip())

    def _print(self, stream: str, words: str) -> None:
        _, number, seconds = self._last[stream]
        name = f"{stream}  " if stream else ""
        line = printable(f"{name}frame {number}  {clock(seconds)}  {words}")
        self._console.print(Text(line), soft_wrap=True)


def clock(seconds: float) -> str:
    """``1:02:03.4``, hours only where there are any."""
    tenths = round(max(seconds, 0.0) * 10)
    hours, rest = divmod(tenths, 36000)
    minutes, rest = divmod(rest, 600)
    text = f"{minutes:02d}:{rest // 10:02d}.{rest % 10}"
    return f"{hours}:{text}" if hours else text


def ratio(verdict: Verdict) -> float:
    """Score / threshold; NaN where it cannot be said."""
    if verdict.threshold > 0:
        return verdict.score / verdict.threshold
    return 0.0 if verdict.score == 0 else float("nan")


def _words(verdict: Verdict) -> str:
    kind = f"{verdict.kind}: " if verdict.kind else ""
    return printable(kind + (", ".join(verdict.layers[:3]) or verdict.reason))


def per_second(arrivals: tuple[float, ...]) -> float:
    """How often something came, by the last times at which it did."""
    return (len(arrivals) - 1) / max(time.monotonic() - arrivals[0], 1e-9) if len(arrivals) > 1 else 0.0


def _now(verdict: Verdict | None) -> tuple[Text, Text]:
    """The figures of the last frame, and its reason on a line of its own, which a narrow terminal shows too."""
    if verdict is None:
        return Text("no frame yet", "dim"), Text()
    predicted = f"   class {verdict.prediction}" if verdict.prediction >= 0 else ""
    figures = (
        f"score {verdict.score:.4g}   threshold {verdict.threshold:.4g}   monitor's confidence {verdict.confidence:.3f}"
    )
    return Text(figures + predicted), Text(printable(reason_of(verdict)), no_wrap=True, overflow="ellipsis")


def _plot(ratios: tuple[float, ...], width: int) -> list[Text]:
    lines = moving_line(ratios, width)
    labels = {0: "  2× ", len(lines) // 2: "  1× ", len(lines) - 1: "  0  "}
    return [Text.assemble((labels.get(row, "     "), "dim"), line, no_wrap=True) for row, line in enumerate(lines)]


def _lines(episodes: list[Episode]) -> list[RenderableType]:
    """The last alarms, newest first; a row that is too wide loses the end of its words."""
    if not episodes:
        return []
    table = Table.grid(*(Column(no_wrap=index < 4) for index in range(5)), padding=(0, 2, 0, 0))
    for one in reversed(episodes):
        status = Text(one.status.name, STYLES[one.status])
        words = Text(one.words, no_wrap=True, overflow="ellipsis")
        table.add_row(f"frame {one.number:,}", clock(one.seconds), status, counted(one.frames, "frame"), words)
    return [Text("last alarms", "dim"), table]
