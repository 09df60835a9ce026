"""What a loop keeps of its frames: counters, events, pictures."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from ...monitor import Status, Verdict
from ..log.events import Clean, Event
from ..log.thumbnails import shows
from .metrics import Metrics

if TYPE_CHECKING:
    from ..log.log import EventLog

_WARN, _ALARM, _FAULT = Status.WARN, Status.ALARM, Status.FAULT  # the class is slow to ask
_KINDS = [status.name.lower() for status in Status]
_event = partial(tuple.__new__, Event)  # half the time of `Event(...)`

OnLogFailure = Literal["fault", "warn"]
"""What a loop is while its log fails: FAULT at every event that is not kept, or WARN until the log works again."""


class LogFailure(OSError):
    """The log did not take an event."""


def check_log(log: Any, log_failure: str = "fault") -> None:
    """Raises TypeError for what is no EventLog, ValueError for a closed one and for a `log_failure` of another word."""
    if log is not None and not hasattr(log, "put"):
        raise TypeError(f"expected an EventLog, got {log!r}; open it with EventLog(path)")
    if getattr(log, "closed", False):
        raise ValueError(f"expected an open log, got {log!r} after close()")
    if log_failure not in get_args(OnLogFailure):
        raise ValueError(f'expected log_failure="fault" or "warn", got {log_failure!r}')


class Evidence:
    """Counts frames of a stream and writes down events; without a log it only counts.

    warns: whether a log that fails is no more than a warning.
    """

    def __init__(self, metrics: Metrics, log: EventLog | None, stream: str = "", warns: bool = False) -> None:
        self.metrics, self.log, self.stream, self.warns = metrics, log, stream, warns
        self._keep_clean, self._clean = getattr(log, "keep_clean", None), 0

    def count(self, own: Verdict, verdict: Verdict, before: Status, microseconds: float) -> None:
        """Count a frame by its own verdict, and the loop by the other; test the calibration.

        Raises LogFailure where the drift test rejects and the log does not take that event.
        """
        metrics, status = self.metrics, own.status
        metrics.count(int(status), own.score, own.threshold, microseconds)
        metrics.status = verdict.status
        if own.kind:
            metrics.record_kind(own.kind)
        calm = before < _ALARM
        if calm and verdict.status >= _ALARM:
            metrics.counters.episodes += 1
        drift = metrics.drift
        if drift is not None and status < _FAULT and drift.update(status is _ALARM, calm):
            self.put("drift", verdict, before, drift.message, microseconds)
        if self._keep_clean is not None and status < _ALARM and verdict.status < _ALARM:
            self._clean += 1
            if self._clean % self._keep_clean == 0 and self.log is not None:
                self.log.clean(self._clean_frame(own))

    def _clean_frame(self, own: Verdict) -> Clean:
        """What is kept of a frame that was believed clean; its deviation is the caller's, so it is copied."""
        _, score, threshold, _, prediction, deviation, *_ = own
        counters = self.metrics.counters
        return Clean(
            time.time_ns(), time.monotonic_ns(), counters.frames, prediction, score, threshold, deviation.copy(),
            self._clean, counters.alarms, self.stream,
        )  # fmt: skip

    def put(
        self, kind: str, verdict: Verdict, before: Status, reason: str, microseconds: float,
        neurons: Sequence[str] = (), since_frame: float = 0,
    ) -> None:  # fmt: skip
        """Hand an event to the log. Raises LogFailure where the log does not take it.

        since_frame: seconds since the frame that was counted last.
        """
        if self.log is None:
            return
        stamp_ns, elapsed_ns = self.metrics.stamp_ns, self.metrics.elapsed_ns
        if since_frame and stamp_ns is not None and elapsed_ns is not None:
            stamp_ns, elapsed_ns = stamp_ns + round(since_frame * 1e9), elapsed_ns + round(since_frame * 1e9)
        status, score, threshold, confidence, prediction, _, layers, _, _, alarm_kind = verdict
        event = _event((
            kind, self.metrics.counters.frames, time.time_ns(), time.monotonic_ns(), status, before, score, threshold,
            confidence, prediction, layers, reason, microseconds, neurons, stamp_ns, elapsed_ns,
            self.stream, alarm_kind,
        ))  # fmt: skip
        try:
            taken = self.log.put(event)
        except Exception as error:
            raise LogFailure(f"the event log raised {type(error).__name__}: {error}") from error
        if not taken:
            raise LogFailure("the event log takes nothing: its queue is full, or it is closed")

    def trouble(self) -> str:
        """Why the log does not write now, in words; empty where it does, and without one."""
        return "" if self.log is None else self.log.trouble

    def warned(self, verdict: Verdict, trouble: str) -> Verdict:
        """The verdict on a frame at which the log fails, where that is a warning. It is counted."""
        self.metrics.counters.log_failures += 1
        status = max(verdict.status, _WARN)
        self.metrics.status = status
        reason = f"the event log fails: {trouble}"
        return verdict._replace(status=status, reason=f"{verdict.reason}; {reason}" if verdict.reason else reason)

    def write_down(
        self, own: Status, verdict: Verdict, before: Status, microseconds: float, neurons: Sequence[str], frame: Any
    ) -> None:  # fmt: skip
        """An event for a frame that changed the status or alarmed, and a small picture where it alarmed.

        own: its own status. Raises LogFailure where the log does not take the event.
        """
        kind = "status" if verdict.status is not before else _KINDS[own]
        self.put(kind, verdict, before, verdict.reason, microseconds, neurons)
        if own >= _ALARM and self.log is not None and (frame := _picture(frame)) is not None:
            always = verdict.status >= _ALARM > before
            picture = self.metrics.counters.frames, frame, self.metrics.stamp_ns, always, self.stream
            self.log.thumbnail(*picture, verdict.places)


def _picture(frame: Any) -> np.ndarray | None:
    """The frame, or the first of the arrays of several inputs that is a picture; None where there is none."""
    if isinstance(frame, tuple):
        return next((part for part in frame if isinstance(part, np.ndarray) and shows(part)), None)
    return frame if isinstance(frame, np.ndarray) else None
