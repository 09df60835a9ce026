"""The numbers of a drive."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from ...monitor import Status, clopper_pearson
from ...monitor.kinds import KINDS
from ..log.events import Event, Summary, iso
from ..loop.drift import confidence_sequence, could_reject
from ..loop.metrics import Counters, quantile
from .drive import Drive, Run, counter, is_count

_QUANTILES = {"p50": 0.5, "p99": 0.99, "p99_9": 0.999}


def drive_statistics(drive: Drive) -> dict[str, Any]:
    """Everything the page says, in JSON types; a rate that cannot be stated is None.

    Rates come from the last summary of each run and hold for the `hours` up to it, those of the recording where the run
    is `recorded`. rates: count, of n frames, share with its 95 % Clopper-Pearson interval, and the same per hour at the
    frame rate of the drive; for alarms also the calibrated rate, None where it is unknown or differs from run to run.
    availability: the share of frames with a verdict that is neither faulty nor stale, times the share of the time in
    which frames came; blind_seconds: the rest of that time. counts: the frames of the rates, and what the events show
    of frames after the last summary, as listed in `unfinished`; with such runs the counts are lower bounds. latency_us:
    upper bounds, from buckets at most 25 % wide.
    """
    counted = {run.header.run: _counters(run) for run in drive.runs}
    summed = {name: sum(getattr(one, name) for one in counted.values()) for name in Counters.NAMES}
    judged = {run: counters.judged for run, counters in counted.items()}
    unfinished = [_shown_behind(run, counted[run.header.run].frames) for run in drive.runs if run.unfinished]
    seconds = sum(_counted_seconds(run) for run in drive.runs)
    hours = seconds / 3600
    latency = latency_buckets(drive)
    events = [event for run in drive.runs for event in run.events]
    watched, blind = (
        (sum(times) for times in zip(*(run.sight for run in drive.runs), strict=True)) if drive.runs else (0, 0)
    )
    seen = 1 - blind / watched if watched else 1.0
    return {
        "runs": [_run(run, counted[run.header.run]) for run in drive.runs],
        "unfinished": unfinished,
        "files": [str(file) for file in drive.files],
        "hours": hours,
        "frames_per_second": summed["frames"] / seconds if seconds else None,
        "counts": {name: count + sum(one.get(name, 0) for one in unfinished) for name, count in summed.items()},
        "availability": seen * sum(judged.values()) / summed["frames"] if summed["frames"] else None,
        "blind_seconds": blind,
        "rates": {
            "alarms": _rate(summed["alarms"], sum(judged.values()), hours) | _calibrated(drive, judged, hours),
            "faults": _rate(summed["faults"], summed["frames"], hours),
            "stale": _rate(summed["stale"], summed["frames"], hours),
            "deadline_misses": _rate(summed["deadline_misses"], summed["frames"], hours),
        },
        "latency_us": _latency(drive, latency),
        "seconds_by_status": _seconds_by_status(drive),
        "reasons": _reasons(drive),
        "kinds": _kinds(drive),
        "columns": _columns(events),
        "drift": _drift(drive),
        "log": {
            "events": len(events),
            "dropped": sum(run.dropped for run in drive.runs),
            "problems": list(drive.problems),
            "clock_steps": [
                {"run": run.header.run, "at_seconds": at, "by_seconds": by}
                for run in drive.runs
                for at, by in run.steps
            ],
        },
    }


def latency_buckets(drive: Drive) -> list[tuple[float, int]]:
    """(upper end in µs, frames) over all runs, ascending."""
    total: Counter[float] = Counter()
    for run in drive.runs:
        total.update(dict(pairs(run.last, "latency_us")))
    return sorted(total.items())


def pairs(summary: Summary, name: str) -> list[tuple[float, int]]:
    """(upper end, count) of a histogram in a summary. Leaves out what has another form."""
    found = summary.values.get(name)
    return [
        (float(item[0]), item[1])
        for item in (found if isinstance(found, list) else [])
        if isinstance(item, list) and len(item) == 2 and is_count(item[1])
        if type(item[0]) in (int, float) or item[0] == "inf"
    ]


def _counters(run: Run) -> Counters:
    """The counters of the last summary."""
    counters = Counters()
    counters.array[:] = [counter(run.last, name) for name in Counters.NAMES]
    return counters


def _counted_seconds(run: Run) -> float:
    """The time of the counted frames. A recording's clock begins with the first frame, so it gets one interval more."""
    if not run.summaries:
        return 0.0
    seconds, frames = max(0.0, run.at(run.last)), counter(run.last, "frames")
    return seconds * frames / (frames - 1) if run.recorded and frames > 1 else seconds


def _shown_behind(run: Run, counted: int) -> dict[str, Any]:
    """What the events show of the frames after the last summary: lower bounds, as calm frames leave no event.

    An event of kind "status" tells the status of the loop; only its score tells of the frame itself.
    """
    frames: dict[str, set[int]] = {"alarm": set(), "fault": set(), "stale": set()}
    episodes = 0
    for event in run.behind:
        kind, changed = event.kind, event.kind == "status"
        if changed and event.status >= Status.FAULT:
            kind = event.status.name.lower()
        elif changed and event.status > Status.OK and not event.score <= event.threshold:
            kind = "alarm"
        if kind in frames:
            frames[kind].add(event.frame)
        episodes += (changed or kind == "silence") and event.before < Status.ALARM <= event.status
    return {
        "run": run.header.run,
        "after_frame": counted,
        "frames": max((event.frame - counted for event in run.behind if event.frame > counted), default=0),
        "alarms": len(frames["alarm"]),
        "faults": len(frames["fault"]),
        "stale": len(frames["stale"]),
        "episodes": episodes,
    }


def _run(run: Run, counters: Counters) -> dict[str, Any]:
    header, hours = run.header, _counted_seconds(run) / 3600
    return {
        "run": header.run,
        "started": iso(header.started_wall_ns),
        "seconds": run.seconds,
        "source": header.source,
        "recorded": run.recorded,
        "outrider": header.outrider,
        "network": header.network,
        "profile": header.profile,
        "false_alarm_rate": header.false_alarm_rate,
        "promise": header.promise,
        "frames": counters.frames if run.summaries else None,
        "alarms": _rate(counters.alarms, counters.judged, hours),
    }


def _rate(count: int, n: int, hours: float) -> dict[str, Any]:
    rate: dict[str, Any] = {"count": count, "n": n, "share": None, "interval": None}
    rate |= {"per_hour": None, "per_hour_interval": None}
    if 0 <= count <= n and n:
        share, *interval = shares = [count / n, *clopper_pearson(count, n)]
        rate |= {"share": share, "interval": interval}
        if hours:
            per_hour, *interval = (share * (n / hours) for share in shares)
            rate |= {"per_hour": per_hour, "per_hour_interval": interval}
    return rate


def _calibrated(drive: Drive, judged: dict[str, int], hours: float) -> dict[str, Any]:
    """The rate that the runs with judged frames were calibrated to. different: the runs differ."""
    rates = {run.header.false_alarm_rate for run in drive.runs if judged[run.header.run]}
    rate = rates.pop() if len(rates) == 1 else None
    per_hour = None if rate is None or not hours else rate * sum(judged.values()) / hours
    return {"calibrated": rate, "calibrated_per_hour": per_hour, "different": bool(rates)}


def _latency(drive: Drive, buckets: list[tuple[float, int]]) -> dict[str, float | None]:
    sums = [run.last.values for run in drive.runs if run.summaries]
    frames = sum(count for _, count in buckets)
    total = sum(_number(values.get("latency_sum_us")) or 0.0 for values in sums)
    deadlines = {_number(values.get("deadline_us")) for values in sums}
    largest = max((_number(values.get("latency_largest_us")) or 0.0 for values in sums), default=None)
    uppers = {name: quantile(buckets, share) for name, share in _QUANTILES.items()}
    quantiles = {
        name: _number(None if upper is None else min(upper, largest or upper)) for name, upper in uppers.items()
    }
    return quantiles | {
        "mean": total / frames if frames else None,
        "largest": largest,
        "deadline": deadlines.pop() if len(deadlines) == 1 else None,
    }


def _seconds_by_status(drive: Drive) -> dict[str, float]:
    total = dict.fromkeys((status.name.lower() for status in Status), 0.0)
    for run in drive.runs:
        for start, end, status in run.spans():
            total[status.name.lower()] += end - start
    return total


def _reasons(drive: Drive) -> list[dict[str, Any]]:
    """Why frames ended in FAULT or STALE, the most frequent first. Reasons may differ in their digits."""
    found: dict[tuple[Status, str], dict[str, Any]] = {}
    for run in drive.runs:
        for event in run.events:
            if event.status >= Status.FAULT and event.kind != "gap":
                key = event.status, "".join("#" if letter.isdigit() else letter for letter in event.reason)
                entry = {"status": event.status.name.lower(), "reason": event.reason, "events": 0}
                entry |= {"run": run.header.run, "first": event.frame}
                found.setdefault(key, entry)["events"] += 1
    return sorted(found.values(), key=lambda entry: -entry["events"])


def _kinds(drive: Drive) -> dict[str, int]:
    """The frames of each kind of alarm up to the last summaries; empty where no kinds were learned."""
    total: Counter[str] = Counter()
    for run in drive.runs:
        found = run.last.values.get("kinds")
        if isinstance(found, dict):
            total.update({kind: count for kind in KINDS if is_count(count := found.get(kind))})
    return dict(total) if any(total.values()) else {}


def _columns(events: list[Event]) -> dict[str, int]:
    """In how many alarms each column deviated most."""
    loudest = Counter(event.layers[0] for event in events if event.status == Status.ALARM and event.layers)
    return dict(loudest.most_common())


def _drift(drive: Drive) -> list[dict[str, Any]]:
    """The last state of each run's test of the calibration. could_reject: enough frames were tested to tell."""
    found = []
    for run in drive.runs:
        state = run.last.values.get("drift")
        if not isinstance(state, dict):
            continue
        tested, alarmed, level = state.get("tested"), state.get("alarmed"), _number(state.get("level"))
        if not (is_count(tested) and is_count(alarmed) and alarmed <= tested and level and 0 < level < 1):
            continue
        numbers = {name: _number(state.get(name)) for name in ("rate", "level", "stride", "evidence")}
        rate = numbers["rate"]
        found.append(
            {"run": run.header.run, "tested": tested, "alarmed": alarmed, "rejected": state.get("rejected") is True}
            | numbers
            | {"could_reject": rate is not None and 0 < rate < 1 and could_reject(rate, level, tested)}
            | {"confidence_sequence": list(confidence_sequence(alarmed, tested, level))}
        )
    return found


def _number(value: Any) -> float | None:
    """A finite float, None for anything else."""
    return float(value) if type(value) in (int, float) and math.isfinite(value) else None
