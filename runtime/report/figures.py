"""The figures of a report, as SVG in the colours of the page."""

from __future__ import annotations

import io
import math
import re
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ...monitor import Status
from ...networks.packages import require
from ..log.events import Event
from ..loop.metrics import LATENCIES, quantile
from .drive import Run
from .statistics import pairs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CEILING = 4.0
"""Scores above so many thresholds are drawn at the edge."""
_POINTS = 1500
_MINUTES_FROM = 120.0
"""Runs of so many seconds or more are drawn over minutes."""
# What matplotlib draws in these colours takes those of the page, light or dark.
_INK, _MUTED, _LINE, _ZONE, _BAND = "#010101", "#020202", "#030303", "#040404", "#050505"
_COLOURS = dict(zip(Status, ("#060606", "#070707", "#080808", "#090909", "#0a0a0a"), strict=True))
_PAGE = {_INK: "ink", _MUTED: "muted", _LINE: "line", _ZONE: "zone", _BAND: "band"} | {
    colour: status.name.lower() for status, colour in _COLOURS.items()
}


def timeline(run: Run, name: str) -> str:
    """Score against threshold over a run, and its status below. name: of the figure, unlike all others on the page."""
    unit, seconds = ("minutes", 60.0) if run.seconds >= _MINUTES_FROM else ("seconds", 1.0)
    with _figure(9.6, 3.1, rows=(5, 1)) as (figure, axes):
        above, below = axes
        above.axhspan(1, CEILING * 1.06, color=_ZONE, linewidth=0)
        above.axhline(1, color=_INK, linewidth=1, dashes=(3, 2))
        _draw_margins(above, run, seconds)
        for status in (Status.OK, Status.WARN, Status.ALARM):
            chosen = [event for event in run.events if event.status == status and not math.isnan(event.score)]
            chosen = _loudest(chosen)
            if chosen:
                above.plot(
                    [run.at(event) / seconds for event in chosen],
                    [min(margin(event), CEILING) for event in chosen],
                    linestyle="", marker="o", markersize=2.6, markeredgewidth=0, color=_COLOURS[status], clip_on=False,
                )  # fmt: skip
        above.set_ylim(0, CEILING * 1.06)
        above.set_ylabel("score / threshold", color=_MUTED)
        above.tick_params(labelbottom=False)
        for start, end in run.gaps():
            above.axvspan(start / seconds, end / seconds, color=_LINE, linewidth=0, zorder=1.1)
        for start, end, status in sorted(run.spans(), key=lambda span: span[2]):
            # the line makes short spans visible
            below.axvspan(start / seconds, end / seconds, color=_COLOURS[status], linewidth=0.6)
        below.set_yticks([])
        below.set_ylabel("status", color=_MUTED, rotation=0, ha="right", va="center")
        below.set_xlabel(unit, color=_MUTED)
        below.set_xlim(0, max(run.seconds, 1e-3) / seconds)
        return _svg(figure, name)


def latency_histogram(buckets: list[tuple[float, int]], deadline: float | None, name: str) -> str:
    """Frames over milliseconds, both on a logarithmic scale. buckets: (upper end in µs, frames), ascending."""
    with _figure(9.6, 2.4) as (figure, (axes,)):
        for upper, count in buckets:
            low = _below(upper)
            width = min(upper, 1.25 * low) - low
            status = Status.OK if deadline is None or low < deadline else Status.ALARM
            axes.bar(low / 1e3, count, width / 1e3, align="edge", linewidth=0, color=_COLOURS[status])
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.7)
        low, high = axes.get_xlim()
        ticks = [digit * 10.0**power for power in range(-3, 6) for digit in (1, 2, 5)]
        axes.set_xticks([tick for tick in ticks if low <= tick <= high])
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
        axes.minorticks_off()
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.set_xlabel("milliseconds from frame to verdict", color=_MUTED)
        axes.set_ylabel("frames", color=_MUTED)
        if deadline is not None:
            axes.axvline(deadline / 1e3, color=_INK, linewidth=1, dashes=(3, 2))
        return _svg(figure, name)


def _below(upper: float) -> float:
    """The lower end, in µs, of the bucket of `LATENCIES` with this upper end; 1/2 in place of 0, for the log scale."""
    edges = 0.0, *LATENCIES, math.inf
    return max(0.5, edges[max(1, bisect_left(edges, upper)) - 1])


def margin(event: Event) -> float:
    """The score in units of its threshold, as `Margins` counts it; infinite where there is no ratio."""
    ratio = event.score / event.threshold if event.threshold > 0 else 0.0 if event.score == 0 else math.inf
    return math.inf if math.isnan(ratio) else ratio


def _draw_margins(axes: Axes, run: Run, unit: float) -> None:
    """Draw the median and the 95th percentile of the scores between two summaries, but where no frame came."""
    for stretch in _stretches(run):
        edges = [start / unit for start, *_ in stretch] + [stretch[-1][1] / unit]
        middles, highs = ([min(piece[place], CEILING) for piece in stretch] for place in (2, 3))
        axes.fill_between(edges, [0, *middles], [0, *highs], step="pre", color=_BAND, linewidth=0, zorder=1)
        axes.stairs(middles, edges, color=_COLOURS[Status.OK], linewidth=1.2, baseline=None)


def _stretches(run: Run) -> list[list[tuple[float, float, float, float]]]:
    """(start, end, median, 95th percentile) of the frames between two summaries, in stretches without a gap."""
    gaps = run.gaps()
    stretches: list[list[tuple[float, float, float, float]]] = []
    before: dict[float, int] = {}
    start, ended = 0.0, -1.0
    for summary in run.summaries:
        counts = dict(pairs(summary, "margin"))
        new = sorted((upper, count - before.get(upper, 0)) for upper, count in counts.items())
        middle, high, end = quantile(new, 0.5), quantile(new, 0.95), run.at(summary)
        if end <= start:
            continue
        if middle is not None and high is not None:
            for left, right in _without(gaps, start, end):
                if left > ended:
                    stretches.append([])
                stretches[-1].append((left, right, middle, high))
                ended = right
        start, before = end, counts
    return stretches


def _without(gaps: list[tuple[float, float]], start: float, end: float) -> Iterator[tuple[float, float]]:
    """What gaps leave of a time."""
    for left, right in gaps:
        if right > start and left < end:
            if left > start:
                yield start, left
            start = max(start, right)
    if start < end:
        yield start, end


def _loudest(events: list[Event]) -> list[Event]:
    """At most `_POINTS` of the events: the one with the highest score of each stretch."""
    if len(events) <= _POINTS:
        return events
    edges = [round(index * len(events) / _POINTS) for index in range(_POINTS + 1)]
    return [max(events[start:end], key=margin) for start, end in pairwise(edges)]


@contextmanager
def _figure(width: float, height: float, rows: tuple[int, ...] = (1,)) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure without pyplot. It leaves no state, so any thread may draw."""
    mpl = require("matplotlib", "a report needs matplotlib", "report")
    from matplotlib.figure import Figure

    settings: dict[Any, Any] = {
        "svg.fonttype": "none",
        "font.size": 9,
        "axes.edgecolor": _MUTED,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.color": _MUTED,
        "ytick.color": _MUTED,
        "text.color": _MUTED,
        "axes.facecolor": "none",
        "figure.facecolor": "none",
    }
    with mpl.rc_context(settings):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(len(rows), 1, sharex=True, squeeze=False, height_ratios=rows)
        yield figure, list(axes[:, 0])


def _svg(figure: Figure, name: str) -> str:
    """The figure as an SVG element. Colours become the page's, identifiers begin with `name`."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r"#(0[1-9a])\1\1\b", lambda match: f"var(--{_PAGE[match[0]]})", svg)
    svg = re.sub(r"font: (\d+(?:\.\d+)?)px [^;\"]*", r"font: \1px system-ui, sans-serif", svg)
    return re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" aria-hidden="true">', svg, count=1)
