"""Frames of one stream or of several through a guard, and those who look on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ...monitor import Status, Verdict
from ..inputs.streams import Frame
from ..printable import counted
from .evidence import Evidence
from .guard import Guard
from .history import DEFAULT

Prepare = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True)
class WatchedFrame:
    """A frame and the guard's verdict on it.

    number: as in the event log. seconds: since the first frame of its stream, by the clock of the source. latency:
    seconds from the picture to the verdict, preprocessing included. drift: the message of the drift test at the frame
    that makes it reject the calibration, else empty. stream: its name where there are several. dropped: how many frames
    of the stream were left out so far for a newer one. sample: what the network was given, None where nothing was.
    """

    number: int
    seconds: float
    frame: Frame
    verdict: Verdict
    latency: float
    drift: str = ""
    stream: str = DEFAULT
    dropped: int = 0
    sample: np.ndarray | None = None


class View(Protocol):
    """Somebody who looks on."""

    def seen(self, seen: WatchedFrame) -> None:
        """One frame more."""

    def idle(self, status: Status, stream: str = DEFAULT) -> None:
        """No frame for a while. status: of the loop, or of one stream of several, now."""


class Counting(Protocol):
    """What is read of a stream beside its frames."""

    @property
    def dropped(self) -> int: ...
    @property
    def reconnects(self) -> int: ...


class Watch:
    """Judges frame after frame: `step` for one stream, `steps` for those of several that came together.

    guard: entered by the caller. preprocessing: makes a sample of a picture, as the profile says; one for all, or one
    by the name of each stream. A frame without a picture, or with one that it refuses, is FAULT, and an event
    "unreadable" in the guard's log. sources: the streams by name, whose dropped frames and reconnects are counted.
    frames: judged so far. alarmed: whether the loop ever was in ALARM, FAULT or STALE.
    """

    def __init__(
        self, guard: Guard, preprocessing: Prepare | Mapping[str, Prepare], views: Sequence[View],
        sources: Mapping[str, Counting] | None = None,
    ) -> None:  # fmt: skip
        self.frames = 0
        self.alarmed = False
        self._guard, self._preprocessing, self._views = guard, preprocessing, views
        self._sources: Mapping[str, Counting] = {} if sources is None else sources
        self._starts: dict[str, float] = {}
        self._doubted: set[str] = set()
        self._statuses: dict[str, Status] = {}

    def step(self, frame: Frame | None) -> None:
        """Judge a frame of the one stream there is; None: none came for a while."""
        self.steps({} if frame is None else {DEFAULT: frame})

    def steps(self, frames: Mapping[str, Frame]) -> None:
        """Judge a frame of each of some streams, by name; none: none came for a while."""
        began = time.monotonic()
        samples, problems = {}, {}
        for name, frame in frames.items():
            samples[name], problems[name] = self._prepared(name, frame)
        for name, verdict in self._judged(frames, samples, began).items():
            self._tell(name, frames[name], verdict, problems[name], time.monotonic() - began, samples[name])
        for name, status in self._guard.statuses.items():
            if name not in frames and not (frames and status is self._statuses.get(name, Status.OK)):
                self.alarmed |= status >= Status.ALARM
                for view in self._views:
                    view.idle(status, name)
                self._statuses[name] = status

    def count(self) -> None:
        """Count what the sources have dropped up to now."""
        for name in self._sources:
            self._count(name, self._guard.history(name).evidence)

    def _prepared(self, name: str, frame: Frame) -> tuple[np.ndarray | None, str]:
        """The sample, or None and what is wrong."""
        if frame.picture is None:
            return None, frame.problem
        prepare = self._preprocessing if callable(self._preprocessing) else self._preprocessing[name]
        try:
            return prepare(frame.picture), frame.problem
        except (ValueError, TypeError) as error:
            return None, str(error)

    def _judged(self, frames: Mapping[str, Frame], samples: Mapping[str, Any], began: float) -> dict[str, Verdict]:
        captured = {name: began if frame.captured is None else frame.captured for name, frame in frames.items()}
        stamps = {name: frame.time if frame.captured is None else None for name, frame in frames.items()}
        if len(frames) > 1:
            return {name: verdict for name, (_, verdict) in self._guard.many(samples, captured, stamps).items()}
        return {name: self._guard(samples[name], captured[name], stamps[name], name)[1] for name in frames}

    def _tell(
        self, name: str, frame: Frame, verdict: Verdict, problem: str, latency: float, sample: np.ndarray | None
    ) -> None:
        evidence = self._guard.history(name).evidence
        if problem:
            verdict = verdict._replace(reason=problem)
            with suppress(OSError):  # a log that takes nothing says so in its health
                evidence.put("unreadable", verdict, verdict.status, problem, latency * 1e6)
        if self._count(name, evidence):
            with suppress(OSError):
                times = counted(evidence.metrics.counters.reconnects, "time")
                back = f"the source was away and is there again, {times} so far"
                evidence.put("reconnected", verdict, verdict.status, back, latency * 1e6)
        counters = evidence.metrics.counters
        self.frames += 1
        self.alarmed |= verdict.alarm
        self._statuses[name] = verdict.status
        seconds = frame.time - self._starts.setdefault(name, frame.time)
        drift = self._new_drift(name, evidence)
        seen = WatchedFrame(
            counters.frames, seconds, frame, verdict, latency, drift, name, counters.frames_dropped, sample
        )
        for view in self._views:
            view.seen(seen)

    def _count(self, name: str, evidence: Evidence) -> bool:
        """Whether the source of a stream was there again since the frame before."""
        source, counters = self._sources.get(name), evidence.metrics.counters
        if source is None:
            return False
        back = source.reconnects > counters.reconnects
        counters.frames_dropped, counters.reconnects = source.dropped, source.reconnects
        return back

    def _new_drift(self, name: str, evidence: Evidence) -> str:
        """What the drift test says where it has rejected the calibration since the frame before, else nothing."""
        drift = evidence.metrics.drift
        if drift is None or not drift.rejected:
            self._doubted.discard(name)
        elif name not in self._doubted:
            self._doubted.add(name)
            return drift.message
        return ""
