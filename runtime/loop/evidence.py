"""What a loop keeps of its frames: counters, events, pictures."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ...monitor import Status, Verdict
from ..log.events import Event
from ..log.thumbnails import shows
from .metrics import Metrics

if TYPE_CHECKING:
    from ..log.log import EventLog

_ALARM, _FAULT = Status.ALARM, Status.FAULT  # the class is slow to ask
_KINDS = [status.name.lower() for status in Status]
_event = partial(tuple.__new__, Event)  # half the time of `Event(...)`


class Evidence:
    """Counts frames of a stream and writes down events; without a log it only counts."""

    def __init__(self, metrics: Metrics, log: EventLog | None, stream: str = "") -> None:
        self.metrics, self.log, self.stream = metrics, log, stream

    def count(self, own: Verdict, verdict: Verdict, before: Status, microseconds: float) -> None:
        """Count a frame by its own verdict, and the loop by the other; test the calibration.

        Raises OSError where the drift test rejects and the log does not take that event.
        """
        metrics, status = self.metrics, own.status
        metrics.count(int(status), own.score, own.threshold, microseconds)
        metrics.status = verdict.status
        calm = before < _ALARM
        if calm and verdict.status >= _ALARM:
            metrics.counters.episodes += 1
        drift = metrics.drift
        if drift is not None and status < _FAULT and drift.update(status is _ALARM, calm):
            self.put("drift", verdict, before, drift.message, microseconds)

    def put(
        self, kind: str, verdict: Verdict, before: Status, reason: str, microseconds: float,
        neurons: Sequence[str] = (), since_frame: float = 0,
    ) -> None:  # fmt: skip
        """Hand an event to the log. Raises OSError where the log does not take it.

        since_frame: seconds since the frame that was counted last.
        """
        if self.log is None:
            return
        stamp_ns, elapsed_ns = self.metrics.stamp_ns, self.metrics.elapsed_ns
        if since_frame and stamp_ns is not None and elapsed_ns is not None:
            stamp_ns, elapsed_ns = stamp_ns + round(since_frame * 1e9), elapsed_ns + round(since_frame * 1e9)
        status, score, threshold, confidence, prediction, _, layers, _ = verdict
        event = _event((
            kind, self.metrics.counters.frames, time.time_ns(), time.monotonic_ns(), status, before, score, threshold,
            confidence, prediction, layers, reason, microseconds, neurons, stamp_ns, elapsed_ns,
            self.stream,
        ))  # fmt: skip
        if not self.log.put(event):
            raise OSError("the event log takes nothing: its queue is full, or it is closed")

    def write_down(
        self, own: Status, verdict: Verdict, before: Status, microseconds: float, neurons: Sequence[str], frame: Any
    ) -> None:  # fmt: skip
        """An event for a frame that changed the status or alarmed, and a small picture where it alarmed.

        own: its own status. Raises OSError where the log does not take the event.
        """
        kind = "status" if verdict.status is not before else _KINDS[own]
        self.put(kind, verdict, before, verdict.reason, microseconds, neurons)
        if own >= _ALARM and self.log is not None and (frame := _picture(frame)) is not None:
            always = verdict.status >= _ALARM > before
            self.log.thumbnail(self.metrics.counters.frames, frame, self.metrics.stamp_ns, always, self.stream)


def _picture(frame: Any) -> np.ndarray | None:
    """The frame, or the first of the arrays of several inputs that is a picture; None where there is none."""
    if isinstance(frame, tuple):
        return next((part for part in frame if isinstance(part, np.ndarray) and shows(part)), None)
    return frame if isinstance(frame, np.ndarray) else None
