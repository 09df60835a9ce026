"""The page of the closed loop."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ....monitor import Status
from ...pages import fill, heights, inline_picture
from .experiment import DriveExperiment, Pair
from .faults import FAULTS
from .loop import BRAKING, DriveRecord
from .world import FRAMES_PER_SECOND

PICTURES, BEFORE, AFTER = 50, 24, 126
"""What a player shows: so many pictures, from frames before the fault to at least so many after it."""
_MARGIN = 16.0
_TOP = 8.0
_BINS = 48


@dataclass(frozen=True)
class Player:
    """One drive as a strip of pictures, side by side in one image, and the marks over them.

    marks: (label, kind, per cent of the strip at which it comes up). spans: (kind, from, to) in per cent.
    """

    strip: str
    marks: tuple[tuple[str, str, float], ...]
    spans: tuple[tuple[str, float, float], ...]


def render_page(experiment: DriveExperiment) -> str:
    """The page as HTML, with style, charts and pictures inside."""
    pairs = experiment.pairs
    delays = [pair.guarded.delay for pair in pairs if pair.guarded.delay is not None]
    return fill(
        Path(__file__).with_name("page.html"),
        {},
        experiment=experiment,
        pairs=[
            (p, player(p.bare, _after(p)), player(p.guarded, _after(p)), road_map(p), score_line(p.guarded))
            for p in pairs
        ],
        left=sum(pair.bare.left_at is not None for pair in pairs),
        left_guarded=sum(pair.guarded.left_at is not None for pair in pairs),
        false_alarms=sum(record.false_alarm for record in experiment.clean),
        clean_metres=sum(record.travelled for record in experiment.clean),
        clean_frames=sum(len(record.status) for record in experiment.clean),
        delay=float(np.median(delays)) if delays else None,
        alarmed=len(delays),
        fps=FRAMES_PER_SECOND,
        after=experiment.after,
        braking=BRAKING,
        pictures=PICTURES,
        histogram=histogram(experiment.bare, experiment.monitored),
        calibration=experiment.profile["calibration"],
        trusted=experiment.profile["trusted"],
        outcome=outcome,
        descriptions={name: str(make.__doc__).split("\n")[0] for name, make in FAULTS.items()},
        seconds=lambda frames: f"{frames / FRAMES_PER_SECOND:.2f} s",
    )


def player(record: DriveRecord, after: int) -> Player:
    """The drive around its fault, to `after` frames after it. A drive that ended before keeps its last picture."""
    at = record.fault_at or 0
    start = max(0, at - BEFORE)
    total = at + after - start
    shown = np.minimum(start + np.arange(PICTURES) * total // PICTURES, len(record.frames) - 1)
    strip = np.concatenate([record.frames[index] for index in shown], axis=2).transpose(1, 2, 0)

    def share(frame: int) -> float:
        return min(max((frame - start) / total, 0), 1) * 100

    moments: list[tuple[str, str, int | None]] = [("fault", "fault", at), ("alarm", "alarm", record.alarm_at)]
    moments += [("off the road", "left", record.left_at), ("stopped", "stopped", record.stopped_at)]
    marks = tuple((label, kind, share(frame)) for label, kind, frame in moments if frame is not None)
    picture = inline_picture(np.ascontiguousarray(strip), "webp", quality=60, method=4)
    return Player(picture, marks, tuple((kind, begin, 100.0) for _, kind, begin in marks))


def _after(pair: Pair) -> int:
    """Frames after the fault that show how both drives ended."""
    ends = [record.left_at or record.stopped_at or 0 for record in (pair.bare, pair.guarded)]
    return max(AFTER, max(ends) - (pair.bare.fault_at or 0) + AFTER // 10)


def road_map(pair: Pair) -> dict[str, object]:
    """Road and both paths around the fault, as SVG paths, north up."""
    at = pair.bare.fault_at or 0
    bare, guarded = (np.array(record.position[max(0, at - 40) :]) for record in (pair.bare, pair.guarded))
    corners = np.concatenate([bare, guarded])
    low, high = corners.min(axis=0) - _MARGIN, corners.max(axis=0) + _MARGIN
    middle, size = (low + high) / 2, max((high - low).max(), 90.0)
    low = middle - size / 2

    def on_map(points: np.ndarray) -> np.ndarray:
        return (points - low) * (100 / size) * (1, -1) + (0, 100)

    def line(points: np.ndarray, close: str = "") -> str:
        return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in on_map(points)) + close

    def place(record: DriveRecord, frame: int | None) -> list[float] | None:
        return None if frame is None else on_map(record.position[frame]).round(1).tolist()

    return {
        "road": line(pair.bare.road, "Z"),
        "width": round(2 * 20 / 3 * 100 / size, 1),
        "bare": line(bare),
        "guarded": line(guarded),
        "fault": place(pair.bare, at),
        "left": place(pair.bare, pair.bare.left_at),
        "left_guarded": place(pair.guarded, pair.guarded.left_at),
        "stopped": place(pair.guarded, pair.guarded.stopped_at),
    }


def score_line(record: DriveRecord) -> dict[str, object]:
    """The score in units of the threshold around the fault as an SVG path of 240 x 60, and where the fault is."""
    at = record.fault_at or 0
    start = max(0, at - 60)
    ratio = np.nan_to_num(np.array(record.ratio[start:]), nan=_TOP, posinf=_TOP).clip(0, _TOP)
    x = np.arange(len(ratio)) * (240 / max(len(ratio) - 1, 1))
    y = 60 - ratio * (56 / _TOP)
    return {
        "path": "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True)),
        "fault": round(float(x[min(at - start, len(x) - 1)]), 1),
        "threshold": round(60 - 56 / _TOP, 1),
    }


def histogram(bare: np.ndarray, monitored: np.ndarray) -> dict[str, object]:
    """Both as bars over the same milliseconds, the tallest of each 1, without the slowest half per cent."""
    top = float(np.quantile(np.concatenate([bare, monitored]), 0.995)) * 1e3
    return {
        "bare": heights(bare * 1e3, _BINS, top),
        "monitored": heights(monitored * 1e3, _BINS, top),
        "top": top,
        "medians": tuple(float(np.median(values)) * 1e3 for values in (bare, monitored)),
        "slowest": tuple(float(np.quantile(values, 0.999)) * 1e3 for values in (bare, monitored)),
    }


def outcome(record: DriveRecord) -> str:
    """How a drive with a fault ended, in words."""
    metres = f"{record.travelled:.0f} m"
    if record.left_at is not None:
        return f"off the road after {metres}"
    if record.stopped_at is not None:
        return f"stopped after {metres}"
    if any(status >= Status.ALARM for status in record.status):
        return f"slowed, on the road for {metres}"
    return f"on the road for {metres}"
