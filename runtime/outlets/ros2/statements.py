"""What diagnostics say of a loop: levels, words and values, without a word of DDS."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from ....monitor import Status, Verdict
from ...loop.metrics import Metrics, quantile
from ...loop.watchdog import Heartbeat

_OK, _WARN, _ERROR, _STALE = 0, 1, 2, 3
LEVELS = dict(zip(Status, (_OK, _WARN, _ERROR, _ERROR, _STALE), strict=True))
"""The level of `diagnostic_msgs/DiagnosticStatus` for each status: ALARM and FAULT are both ERROR."""

_LEVEL_NAMES = "ok", "warn", "error", "stale"
_TEXT = 4000


class StreamHistory(Protocol):
    """What is read of a stream."""

    metrics: Metrics
    heartbeat: Heartbeat


class Watched(StreamHistory, Protocol):
    """What is read of a guard."""

    @property
    def status(self) -> Status: ...
    @property
    def statuses(self) -> dict[str, Status]: ...
    def history(self, stream: str) -> StreamHistory: ...


class Loop(NamedTuple):
    """A loop, or one stream of it, as it is now."""

    status: Status
    metrics: Metrics
    heartbeat: Heartbeat


class Statement(NamedTuple):
    """One DiagnosticStatus, but for name and hardware. values: texts by key, in order."""

    level: int
    message: str
    values: tuple[tuple[str, str], ...]


class Heard(NamedTuple):
    """A verdict as it is handed over. seq: counted from 0, dropped ones too. wall_ns: of the frame, since 1970.

    stream: its name where there are several.
    """

    seq: int
    wall_ns: int
    frame_id: str
    verdict: Verdict
    stream: str = ""


def of_verdict(heard: Heard) -> Statement:
    """What is said of one frame."""
    verdict = heard.verdict
    values = (
        ("status", verdict.status.name),
        ("seq", str(heard.seq)),
        *((name, number(getattr(verdict, name))) for name in ("score", "threshold", "confidence")),
        ("prediction", str(int(verdict.prediction))),
        ("layers", text(", ".join(verdict.layers))),
        *((("kind", verdict.kind),) if verdict.kind else ()),
        *((("stream", text(heard.stream)),) if heard.stream else ()),
    )
    return Statement(LEVELS[verdict.status], _named(verdict.status, verdict.reason), values)


def of_loop(guard: Loop, last: Heard | None, worst: Status) -> Statement:
    """What is said of the loop as a whole. last: its last verdict. worst: its worst status since the last message.

    A second is long for a loop: an alarm that came and went within it still sets the level of the message.
    """
    now, metrics = guard.status, guard.metrics
    values = _values(guard, now)
    drift = metrics.drift
    if not metrics.counters.frames and now < Status.ALARM:
        return Statement(_STALE, "no frame yet", values)
    reason = last.verdict.reason if last is not None and last.verdict.status == now else ""
    if now == Status.STALE and not reason:
        reason = f"no frame for {guard.heartbeat.age:.1f} s"
    if worst > now:
        return Statement(LEVELS[worst], f"{now.name} again, {worst.name} since the last message", values)
    if drift is not None and drift.rejected and now < Status.ALARM:
        return Statement(_WARN, text(f"{now.name}: {drift.message}"), values)
    return Statement(LEVELS[now], _named(now, reason), values)


def of_streams(each: Mapping[str, Statement]) -> Statement:
    """What is said of a loop of several streams: the worst of what is said of each, and how many are how bad."""
    worst = max(each, key=lambda name: each[name].level)
    counts = [(name, sum(one.level == level for one in each.values())) for level, name in enumerate(_LEVEL_NAMES)]
    values = (("streams", str(len(each))), *((f"streams_{name}", str(count)) for name, count in counts))
    level, message, _ = each[worst]
    return Statement(level, text(f"{worst}: {message}") if level else message, values)


def ended() -> Statement:
    """The last word of a publisher."""
    return Statement(_STALE, "no longer watched", ())


def number(value: float) -> str:
    """The shortest digits that read back as the same number; inf, -inf and nan too."""
    return repr(float(value))


def text(value: str) -> str:
    """What a string of ROS can hold: no zero, no half of a character, 4,000 characters."""
    value = value[:_TEXT]
    if value.isascii() and "\0" not in value:
        return value
    return value.encode("utf-8", "replace").decode().replace("\0", "")


def _named(status: Status, reason: str) -> str:
    return text(f"{status.name}: {reason}") if reason else status.name


def _values(guard: Loop, now: Status) -> tuple[tuple[str, str], ...]:
    metrics = guard.metrics
    buckets, largest = metrics.latency.buckets(), metrics.latency.largest
    values = {"status": now.name} | {name: str(count) for name, count in metrics.counters.snapshot().items()}
    for name, figure in metrics.figures().items():
        values[name] = str(figure).lower() if isinstance(figure, bool) else number(figure)
    for name, share in {"latency_median_us": 0.5, "latency_p99_us": 0.99}.items():
        upper = quantile(buckets, share)
        if upper is not None:
            values[name] = number(upper if math.isfinite(upper) else largest)
    values["latency_largest_us"] = number(largest)
    if metrics.deadline_us is not None:
        values["deadline_us"] = number(metrics.deadline_us)
    if guard.heartbeat.count:
        values["seconds_since_frame"] = f"{guard.heartbeat.age:.3f}"
    return tuple(values.items())
