"""The page of a drive."""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ...monitor import Status
from ..log.events import Event, iso
from ..pages import Card, fill, inline, inline_picture
from ..pages.pictures import viewable
from ..printable import counted
from . import figures
from .drive import Drive, Run
from .statistics import latency_buckets

_RUNS, _CARDS, _EVENTS, _SPANS = 12, 24, 300, 40
_MOST_BYTES = 2_000_000
_TYPES = {".png": "png", ".jpg": "jpeg"}


@dataclass(frozen=True)
class FrameCard(Card):
    """An alarmed frame. status: None where the log has no line of it."""

    frame: int
    run: str
    status: Status | None


def render_report(drive: Drive, statistics: dict[str, Any]) -> str:
    """The page as HTML, style, figures and pictures inside. Raises ImportError naming the extra `report`."""
    filters: dict[str, Callable[..., Any]] = {
        "share": share,
        "duration": duration,
        "number": counted,
        "grouped": "{:,}".format,
        "figure": figure,
        "milliseconds": lambda us: "–" if us is None else f"{figure(us / 1e3)}\u202fms",
        "clock": lambda seconds: clock(seconds, 3),
        "moment": lambda wall_ns: (iso(wall_ns) or "?")[:19].replace("T", " "),
    }
    shown = drive.runs[-_RUNS:]
    buckets = latency_buckets(drive)
    deadline = statistics["latency_us"]["deadline"]
    timelines = [(run, figures.timeline(run, f"t{index}")) for index, run in enumerate(shown)]
    histogram = figures.latency_histogram(buckets, deadline, "latency") if buckets else None
    events = [(run, event) for run in drive.runs for event in run.events]
    return fill(
        Path(__file__).with_name("page.html"),
        filters,
        drive=drive,
        numbers=statistics,
        title=_title(statistics),
        alarms=statistics["rates"]["alarms"],
        timelines=timelines,
        hidden_runs=len(drive.runs) - len(shown),
        spans=_span_table,
        span_count=lambda run: len(run.spans()),
        several=len(drive.runs) > 1,
        kinds=lambda run: Counter(event.kind for event in run.events).most_common(),
        histogram=histogram,
        buckets=buckets,
        ceiling=figures.CEILING,
        cards=_cards(drive),
        events=events[-_EVENTS:],
        event_count=len(events),
        Status=Status,
    )


def share(value: float | None) -> str:
    """``1.2 %``, ``0.013 %``; a dash for None. Only 0 reads as 0 %, only 1 as 100 %."""
    if value is None:
        return "–"
    per_cent = 100 * value
    if 99 < per_cent < 100:
        return f"{math.floor(per_cent * 1000) / 1000:g}\u202f%"
    return f"{per_cent:.2g}\u202f%" if per_cent < 10 else f"{per_cent:.3g}\u202f%"


def figure(value: float | None) -> str:
    """Three digits, without an exponent where it can be: ``0.0123``, ``4.56``, ``12,300``; a dash for None."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def duration(seconds: float) -> str:
    """``850 ms``, ``42 s``, ``12 min 5 s``, ``3 h 20 min``."""
    if 0 < seconds < 1:
        return f"{seconds * 1e3:.0f}\u202fms"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}\u202fs"
    if whole < 3600:
        return f"{whole // 60}\u202fmin" + (f" {whole % 60}\u202fs" if whole % 60 else "")
    return f"{whole // 3600}\u202fh" + (f" {whole % 3600 // 60}\u202fmin" if whole % 3600 >= 60 else "")


def clock(seconds: float, digits: int) -> str:
    """``1.034 s``, ``12 min 5.034 s``, ``3 h 20 min 5.034 s``."""
    whole = round(seconds, digits)
    hours, minutes = int(whole // 3600), int(whole % 3600 // 60)
    parts = [f"{hours}\u202fh"] * (hours > 0) + [f"{minutes}\u202fmin"] * (hours + minutes > 0)
    return " ".join([*parts, f"{whole % 60:.{digits}f}\u202fs"])


def _span_table(run: Run) -> list[tuple[str, str, str, Status]]:
    """From, to, for and status of the first spans of a run, with digits enough to tell them apart."""
    spans = run.spans()[:_SPANS]
    shortest = min((end - start for start, end, _ in spans if end > start), default=1.0)
    digits = 3 if shortest >= 1e-3 else 6
    return [
        (clock(start, digits), clock(end, digits), clock(end - start, digits), status) for start, end, status in spans
    ]


def _title(statistics: dict[str, Any]) -> str:
    seconds = sum(run["seconds"] for run in statistics["runs"])
    counts = statistics["counts"]
    if not counts["frames"]:
        return f"{counted(statistics['log']['events'], 'event')} in {duration(seconds)}; the frames were not counted."
    broken = counts["faults"] + counts["stale"]
    silent = f"; {counted(counts['silences'], 'time')} no frame came" if counts["silences"] else ""
    if counts["frames_dropped"]:
        silent += f"; {counted(counts['frames_dropped'], 'frame')} dropped for newer ones"
    if counts["reconnects"]:
        silent += f"; {counted(counts['reconnects'], 'reconnect')}"
    if statistics["unfinished"]:
        alarmed = f"At least {counts['alarms']:,} of at least {counted(counts['frames'], 'frame')} alarmed"
        ended = f"; at least {broken:,} ended in a fault or were stale" if broken else ""
        return f"{alarmed} in {duration(seconds)}{ended}{silent}."
    alarmed = f"{counts['alarms']:,} of {counted(counts['frames'], 'frame')} alarmed in {duration(seconds)}"
    ended = f"{broken:,} ended in a fault or were stale" if broken else "none was faulty"
    return f"{alarmed}; {ended}{silent}."


def _cards(drive: Drive) -> list[FrameCard]:
    wanted = dict(islice(reversed(drive.pictures.items()), _CARDS))
    said: dict[tuple[str, int], Event] = {}
    for run in drive.runs:
        for event in run.events:
            if (run.header.run, event.frame) in wanted and event.status > Status.OK:
                said.setdefault((run.header.run, event.frame), event)
    found = []
    for (run_id, frame), path in reversed(wanted.items()):
        note, ratio, status = "no line in the log", math.inf, None
        if alarm := said.get((run_id, frame)):
            kind = f"{alarm.alarm_kind}: " if alarm.alarm_kind else ""
            note, ratio, status = (kind + alarm.reason)[:200], figures.margin(alarm), alarm.status
        if picture := _picture(path):
            of_stream = f" of {alarm.stream[:100]}" if alarm and alarm.stream else ""
            found.append(FrameCard(picture, f"Frame {frame}{of_stream}", note, ratio, frame, run_id, status))
    return found


def _picture(path: Path) -> str | None:
    """The address of an inline picture; None for a file that is no picture, or too large for one."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            return None
        data, kind = path.read_bytes(), _TYPES.get(path.suffix)
        if kind is None:
            return _array_picture(data)
    except (ImportError, OSError, ValueError):
        return None
    return inline(data, kind) if data.startswith((b"\x89PNG", b"\xff\xd8\xff")) else None


def _array_picture(npy: bytes) -> str:
    """The same for a picture that was saved without Pillow. Raises ValueError for anything else."""
    pixels = np.load(io.BytesIO(npy), allow_pickle=False)
    if not isinstance(pixels, np.ndarray) or pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4) or not pixels.size:
        raise ValueError("expected a picture")
    return inline_picture(viewable(pixels))
