"""The tables of the model car's drive, from their raw figures."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean, median
from typing import Any

from scipy.special import gammaincinv

from ..tables import Part, Table, percent

_LEVEL = 0.95


def time_between(count: int, seconds: float, level: float = _LEVEL) -> tuple[float, float, float]:
    """The expected seconds from one event to the next, and its interval, where `count` were seen in `seconds`.

    Exact for events of a Poisson process (Garwood, 1936): the gamma quantiles of the count. Infinite without an event.
    """
    outside = (1 - level) / 2
    most = seconds / gammaincinv(count, outside) if count else float("inf")
    return seconds / count if count else float("inf"), seconds / gammaincinv(count + 1, 1 - outside), most


def drive(figures: dict[str, Any]) -> list[Part]:
    """False alarms of each calibration and logic over time, then how soon faults are noticed."""
    settings, splits = figures["settings"], figures["splits"]
    learned, calibrating, watched = splits[0]["frames"]
    seconds = len(splits) * watched / settings["fps"]
    told = (
        f"{learned} frames are learned from, {calibrating} set the threshold and {watched} are watched, in each of"
        f" {len(splits)} splits: {seconds:.0f} s of clean watch in all. The network errs by"
        f" {mean(one['error'][0] for one in splits):.2f} (root mean square) on what it learned and by"
        f" {mean(one['error'][1] for one in splits):.2f} on what is watched, where angles vary by"
        f" {mean(one['spread'] for one in splits):.2f}."
    )
    return [
        told,
        _alarms(figures, watched),
        *_words(figures),
        *(_faults(figures, name) for name in splits[0]["monitors"] if _of(figures, name, "whole segments")),
    ]


def _of(figures: dict[str, Any], monitor: str, how: str) -> list[dict[str, Any]]:
    """What was found by a calibration, of the splits in which it was not refused."""
    found = (one["monitors"][monitor][how] for one in figures["splits"])
    return [one for one in found if "refused" not in one]


def _alarms(figures: dict[str, Any], watched: int) -> Table:
    settings, rows = figures["settings"], []
    for monitor, ways in figures["splits"][0]["monitors"].items():
        for how in ways:
            found = _of(figures, monitor, how)
            if not found:
                continue
            frames = watched * len(found)
            seconds = frames / settings["fps"]
            alarmed = [one["alarmed"] for one in found]
            above, of = (sum(one[key] for one in found) for key in ("segments above", "segments"))
            for i, logic in enumerate(found[0]["false alarms"]):
                count = sum(one["false alarms"][logic] for one in found)
                expected, low, high = time_between(count, seconds)
                rows.append(
                    [
                        f"{monitor}, by {how}" if not i else "",
                        percent(sum(alarmed) / frames) if not i else "",
                        percent(alarmed[0] / watched) if not i else "",
                        f"{above} of {of}" if not i else "",
                        logic,
                        f"{60 * count / seconds:.1f}",
                        f"{_figure(expected)} ({_figure(low)} to {_figure(high)})",
                    ]
                )
    return Table(
        f"Clean frames, {percent(settings['rate'], 0)} asked for",
        ["monitor and calibration", "frames alarmed", "in the first split",
         f"segments with more than {percent(settings['rate'], 0)}, {percent(1 - settings['confidence'], 0)} promised",
         "over time", "false alarms a minute",
         "seconds to a false alarm (95 %)"],
        rows,
    )  # fmt: skip


def _figure(value: float) -> str:
    return "∞" if value == float("inf") else f"{value:.2g}" if value < 10 else f"{value:.0f}"


def _words(figures: dict[str, Any]) -> list[str]:
    """What the calibrations promise and what they refuse, and how the frames depend on each other."""
    said: list[str] = []
    monitors = figures["splits"][0]["monitors"]
    for how, one in next(iter(monitors.values())).items():
        said.append(f"By {how}, refused: {one['refused']}." if "refused" in one else f"By {how}: {one['promise']}.")
    times = [
        mean(one["correlation"] for one in _of(figures, monitor, "whole segments")) / figures["settings"]["fps"]
        for monitor in monitors
        if _of(figures, monitor, "whole segments")
    ]
    if not times:
        return said
    leaks = [one["leak"] for one in _of(figures, next(iter(monitors)), "whole segments") if one["leak"] is not None]
    told = f" The profile tells its own frames from the next ones: AUROC {mean(leaks):.2f}." if leaks else ""
    low, high = min(times), max(times)
    between = f"{low:.1f} s" if f"{low:.1f}" == f"{high:.1f}" else f"{low:.1f} to {high:.1f} s"
    return [*said, f"Scores stay alike for {between} (integrated autocorrelation).{told}"]


def _faults(figures: dict[str, Any], monitor: str) -> Table:
    settings = figures["settings"]
    found = [one["faults"] for one in _of(figures, monitor, "whole segments")]
    logics = list(found[0])
    rows = []
    for fault in found[0][logics[0]]:
        cells = []
        for logic in logics:
            delays = [delay for one in found for delay in one[logic][fault]["delays"]]
            cells.append(_cell(delays, settings["fps"]))
        rows.append([fault, *cells])
    held = {logic: sum(fault["held"] for one in found for fault in one[logic].values()) for logic in logics}
    trials = {
        logic: held[logic] + sum(len(fault["delays"]) for one in found for fault in one[logic].values())
        for logic in logics
    }
    rows.append(["left out, an alarm held on", *(f"{held[logic]} of {trials[logic]}" for logic in logics)])
    within = settings["after"] / settings["fps"]
    return Table(
        f"Faults, {monitor}, by whole segments: alarmed within {within:g} s, and the median delay of these",
        ["fault", *logics],
        rows,
    )


def _cell(delays: Sequence[int | None], fps: float) -> str:
    seen = [delay for delay in delays if delay is not None]
    if not delays:
        return "–"
    share = f"{100 * len(seen) / len(delays):.0f} %"
    return f"{share}, {1000 * median(seen) / fps:.0f} ms" if seen else share
