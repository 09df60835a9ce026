"""Frames of a stream through a guard, and those who look on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from ...monitor import Status, Verdict
from ..inputs.streams import Frame
from .guard import Guard


@dataclass(frozen=True, slots=True)
class WatchedFrame:
    """A frame and the guard's verdict on it.

    number: as in the event log. seconds: since the first frame, by the clock of the source. latency: seconds from the
    picture to the verdict, preprocessing included. drift: the message of the drift test at the frame that makes it
    reject the calibration, else empty.
    """

    number: int
    seconds: float
    frame: Frame
    verdict: Verdict
    latency: float
    drift: str = ""


class View(Protocol):
    """Somebody who looks on."""

    def seen(self, seen: WatchedFrame) -> None:
        """One frame more."""

    def idle(self, status: Status) -> None:
        """No frame for a while. status: of the loop now."""


class Watch:
    """Judges frame after frame: `step`.

    guard: entered by the caller. preprocessing: makes a sample of a picture, as the profile says. A frame without a
    picture, or with one that it refuses, is FAULT, and an event "unreadable" in the guard's log. frames: judged so far.
    alarmed: whether the loop ever was in ALARM, FAULT or STALE.
    """

    def __init__(self, guard: Guard, preprocessing: Callable[[np.ndarray], np.ndarray], views: Sequence[View]) -> None:
        self.frames = 0
        self.alarmed = False
        self._guard, self._preprocessing, self._views = guard, preprocessing, views
        self._start: float | None = None
        self._holds = True

    def step(self, frame: Frame | None) -> None:
        """Judge a frame; None: none came for a while."""
        if frame is None:
            status = self._guard.status
            self.alarmed |= status >= Status.ALARM
            for view in self._views:
                view.idle(status)
            return
        began = time.monotonic()
        sample = None
        if frame.picture is not None:
            try:
                sample = self._preprocessing(frame.picture)
            except (ValueError, TypeError) as error:
                frame = replace(frame, problem=str(error))
        if frame.captured is None:
            _, verdict = self._guard(sample, began, frame.time)
        else:
            _, verdict = self._guard(sample, frame.captured)
        latency = time.monotonic() - began
        number = self._guard.metrics.counters.frames
        if frame.problem:
            verdict = verdict._replace(reason=frame.problem)
            with suppress(OSError):  # a log that takes nothing says so in its health
                self._guard.evidence.put("unreadable", verdict, verdict.status, frame.problem, latency * 1e6)
        self.frames += 1
        self.alarmed |= verdict.alarm
        self._start = frame.time if self._start is None else self._start
        seen = WatchedFrame(number, frame.time - self._start, frame, verdict, latency, self._new_drift())
        for view in self._views:
            view.seen(seen)

    def _new_drift(self) -> str:
        """What the drift test says where it has rejected the calibration since the frame before, else nothing."""
        drift, held = self._guard.metrics.drift, self._holds
        self._holds = drift is None or not drift.rejected
        return drift.message if held and drift is not None and drift.rejected else ""
