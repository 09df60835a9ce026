"""The frames that guards kept as believed clean, read from their event logs: what a threshold is set anew on."""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np

from ...monitor import Status
from ...monitor.thresholds.recalibrating import KeptFrames
from ..log.events import Summary
from .drive import Run, counter, read_drive


def read_kept(paths: Iterable[str | os.PathLike[str]] | str | os.PathLike[str], *, salvage: bool = False) -> KeptFrames:
    """What the event logs of `EventLog(keep_clean=N)` hold for `Monitor.recalibrate`; runs that kept none are left out.

    paths: as for `read_drive`, or one of them. Raises ValueError for logs without such frames, and what `read_drive`
    raises. Raises ValueError too where lines are missing between the first and the last of a run, unless `salvage`.
    """
    several = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    runs = [run for run in read_drive(several, salvage=salvage).runs if run.clean]
    if not runs:
        raise ValueError(
            f"{', '.join(map(str, several))}: expected frames that were kept as believed clean, got none; run the guard"
            " with EventLog(path, keep_clean=30), in the shell watch --log FILE --keep-clean 30"
        )
    if any(run.missing for run in runs) and not salvage:
        raise ValueError(
            f"{', '.join(map(str, several))}: expected all lines of each run, got a run in which some are missing, and"
            " those that are left may not be like the others; give all files of the log, or other logs"
        )
    counts = np.array([_counts(run) for run in runs]).sum(axis=0).tolist()
    frames = [one for run in runs for one in run.clean]
    columns = {len(one.deviation) for one in frames}
    if len(columns) > 1:
        raise ValueError(
            f"expected frames of one profile, got some of {' and '.join(map(str, sorted(columns)))} columns"
        )
    clean, flagged, seen, broken = counts
    return KeptFrames(
        np.array([one.deviation for one in frames], np.float32).reshape(len(frames), columns.pop()),
        np.array([one.prediction for one in frames], np.int64),
        np.array([one.score for one in frames], np.float64),
        np.array([one.threshold for one in frames], np.float64),
        clean, flagged, seen, broken,
        any(map(_drifted, runs)),
        frozenset(run.header.network for run in runs),
        frozenset(run.header.profile for run in runs),
    )  # fmt: skip


def _counts(run: Run) -> tuple[int, int, int, int]:
    """Of the time that the kept frames of a run cover: frames believed clean, flagged, all, and FAULT or STALE.

    The first lines of a run may have been rotated away: the counters of the first frame that is left tell what came
    before.
    """
    first, last = run.clean[0], run.clean[-1]
    every = min((b.clean - a.clean for a, b in zip(run.clean, run.clean[1:], strict=False)), default=first.clean)
    before = 0 if first.clean <= every else first.flagged
    flagged = max(last.flagged, counter(run.last, "alarms"), first.flagged) - before
    counted = counter(run.last, "frames")
    broken = counter(run.last, "faults") + counter(run.last, "stale")
    broken += sum(event.status >= Status.FAULT and event.frame > counted for event in run.events)
    return last.clean - max(0, first.clean - every), flagged, max(counted, last.frame), broken


def _drifted(run: Run) -> bool:
    """Whether the drift test of a run rejected, by its summaries or its events."""
    return any(map(_rejected, run.summaries)) or any(event.kind == "drift" for event in run.events)


def _rejected(summary: Summary) -> bool:
    drift = summary.values.get("drift")
    return isinstance(drift, dict) and drift.get("rejected") is True
