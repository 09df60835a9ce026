"""The event log: what happened in the loop, written by a thread of its own."""

from __future__ import annotations

import atexit
import os
import threading
import time
import uuid
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...monitor.attributes import strict
from ...monitor.calibration import check_rate
from ...monitor.places import Places
from .events import Clean, Event, Header, Summary
from .file import LogFile
from .intake import LogRun, clocks
from .thumbnails import Thumbnails, folder_of, picture_run, shrink
from .writer import LogHealth, Writer

if TYPE_CHECKING:
    from typing_extensions import Self

    from ..loop.metrics import Metrics

_FIRST_SUMMARY_SECONDS = 1.0


@strict
class EventLog:
    """A log of JSON lines at `path`, see `events`. Older files are `events.1.jsonl`, `events.2.jsonl`, oldest first.

    `put` hands an event over and returns at once; a thread writes it. An event is *accepted* when `put` returns True.
    It is *acknowledged* when `health().written` counts it or `flush` returns True; it then outlives a crash of the
    process. It outlives a power cut once `flush`, `health().synced` or a `close` that returns True covers it.
    After a calm second a line is written at once, otherwise together with all others of its second, so that the thread
    seldom stands in the loop's way. An event that brings the loop to ALARM or beyond waits a tenth of a second at most.
    What is written is synced within `sync_seconds`, after a calm second at once.
    While the disk fails, the queue holds `capacity` events and the writer tries again. Events beyond that are dropped
    and counted; the count is written as soon as the disk takes it. Nothing is raised after the constructor.

    network, profile: their SHA-256 (`Monitor.profile_sha256`). A guard tells its log what is left out. max_bytes, keep:
    rotation; the log takes at most (keep + 1) * max_bytes. thumbnails: how many pictures `events.frames/` keeps, none
    with 0. They show what the camera saw, people too. source: where frames come from, for the report. keep_clean:
    of so many frames that the loop believed clean, one is kept, as its deviations, to set a threshold anew from: about
    250 bytes and 10 for each column; choose as many frames as a scene lasts, as neighbours are alike. run: the name of
    this run; each guard in turn has its own. thread: the one that writes. There is one writer at a time. A log belongs
    to the process that made it; in a fork of that it drops and counts whatever it is offered.
    Raises OSError where the folder cannot be written or locked or another writer is at work, ValueError for a file that
    is no event log or a setting out of range.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, capacity: int = 1024, max_bytes: int = 16 << 20, keep: int = 8,
        network: str = "", profile: str = "", false_alarm_rate: float | None = None, thumbnails: int = 64,
        thumbnail_seconds: float = 1.0, sync_seconds: float = 1.0, source: str = "",
        keep_clean: int | None = None,
    ) -> None:  # fmt: skip
        if capacity < 1 or max_bytes < 4096 or keep < 0 or thumbnails < 0:
            raise ValueError(
                "expected capacity >= 1, max_bytes >= 4096, keep >= 0 and thumbnails >= 0,"
                f" got {capacity}, {max_bytes}, {keep} and {thumbnails}"
            )
        if false_alarm_rate is not None:
            check_rate(false_alarm_rate)
        if keep_clean is not None and keep_clean < 1:
            raise ValueError(f"expected keep_clean as a whole number from 1 on, got {keep_clean!r}")
        self.path = Path(path).absolute()
        self.keep_clean = keep_clean
        self._given = str(network), str(profile), false_alarm_rate
        self._picture_ns = round(thumbnail_seconds * 1e9)
        self._last_picture: float = -np.inf
        self._metrics: Metrics | None = None
        self._counted: Metrics | None = None
        self._summary_seconds = 0.0
        self._pictures = Thumbnails(folder_of(self.path), thumbnails) if thumbnails else None
        file = LogFile(self.path, max_bytes, keep)
        header = Header(
            version("outrider"), uuid.uuid4().hex, 0, *self._given, *clocks(), file.repaired_bytes, source=str(source)
        )
        self._run = LogRun(header, 0)
        self._writer = Writer(
            file, self._pictures, self._run, capacity=capacity, bytes_at_once=max_bytes // 16,
            sync_seconds=sync_seconds, summarise=self._summarise, told=self._tell_dropped,
        )  # fmt: skip
        atexit.register(self._at_exit)

    # In the loop.

    def put(self, event: Event) -> bool:
        """Hand an event over: whether it was accepted. Never waits for the disk and raises nothing; any thread."""
        return self._writer.offer(event)

    def clean(self, frame: Clean) -> bool:
        """Hand over a frame that was believed clean: whether it was accepted. Never waits and raises nothing."""
        return self._writer.offer_clean(frame)

    def summary(self, metrics: Metrics) -> bool:
        """Hand over the counters as they stand; `attach` does so by itself."""
        with self._writer.noting():
            return self._writer.offer(self._snapshot(metrics, None if self._metrics is None else False))
        return False

    def thumbnail(
        self, frame_id: int, array: Any, stamp_ns: int | None = None, always: bool = False, stream: str = "",
        places: Places | None = None,
    ) -> bool:  # fmt: skip
        """Keep a small picture of a frame: whether it was taken. At most one every `thumbnail_seconds`, but `always`.

        array: see `shrink`. Every n-th pixel is copied here; the writer does the rest. stamp_ns: when a frame of a
        recording was taken; the seconds are then those of the recording. stream: which of several it is of.
        places: what its verdict says of places, which the writer draws over it.
        """
        now = time.monotonic_ns() if stamp_ns is None else stamp_ns
        if not always and 0 <= now - self._last_picture < self._picture_ns:
            return False
        if self._pictures is None or not self._writer.takes_pictures:
            return False
        self._last_picture = now
        with self._writer.noting():
            self._writer.picture(picture_run(self.run, stream), frame_id, shrink(np.asarray(array)), places)
            return True
        return False

    # Beside the loop.

    def attach(
        self, metrics: Metrics, seconds: float = 10.0, *, network: str = "", profile: str = "",
        false_alarm_rate: float | None = None, promise: str = "",
    ) -> None:  # fmt: skip
        """Have the writer add a summary of these counters after a second, every `seconds`, and when the log is closed.

        network, profile, false_alarm_rate: for the events from here on, where the constructor was not given them; the
        header is then written once more. promise: see `Header`. The same metrics may be attached again to restate them.
        Other ones, after `detach`, begin a run of their own. Raises ValueError while others are attached, and for a
        setting out of range.
        """
        if not seconds > 0:
            raise ValueError(f"expected seconds above 0, got {seconds}")
        if false_alarm_rate is not None:
            check_rate(false_alarm_rate)
        with self._writer.attaching:
            if self._metrics is not None and self._metrics is not metrics:
                raise ValueError(
                    "expected a log of its own for each guard, got one that another guard writes to; close that guard"
                    " first, or open another EventLog"
                )
            run = self._run
            if self._counted is not None and self._counted is not metrics:
                wall_ns, monotonic_ns = clocks()
                fresh = replace(
                    run.header, run=uuid.uuid4().hex, started_wall_ns=wall_ns, started_monotonic_ns=monotonic_ns,
                    repaired_bytes=0,
                )  # fmt: skip
                run = LogRun(fresh, self._writer.dropped)
            own_network, own_profile, own_rate = self._given
            header = replace(
                run.header, network=own_network or str(network), profile=own_profile or str(profile),
                false_alarm_rate=false_alarm_rate if own_rate is None else own_rate, promise=promise,
            )  # fmt: skip
            run = LogRun(header, run.dropped)
            if run != self._run:
                self._run = run
                self._writer.enqueue(run)
            if self._metrics is None and self._counted is metrics:
                self._add_summary(metrics)  # the last one said that the run had ended
            self._metrics = self._counted = metrics
            self._summary_seconds = seconds
            self._writer.summary_at = time.monotonic() + min(seconds, _FIRST_SUMMARY_SECONDS)
        self._writer.wake.set()

    def detach(self, metrics: Metrics) -> None:
        """Have the writer add a last summary of these counters, and leave the log to another guard.

        Does nothing for metrics that are not attached.
        """
        with self._writer.attaching:
            if metrics is self._metrics:
                self._add_summary(metrics, ended=True)
                self._metrics, self._writer.summary_at = None, np.inf

    @property
    def run(self) -> str:
        """The name of the run that is written now."""
        return self._run.header.run

    @property
    def thread(self) -> threading.Thread:
        """The thread that writes."""
        return self._writer.thread

    @property
    def closed(self) -> bool:
        """Whether it takes no more."""
        return self._writer.closing.is_set()

    @property
    def trouble(self) -> str:
        """Why nothing is written now, in words: its last failure, or that it is closed. Empty while all is well."""
        writer = self._writer
        if writer.closing.is_set():
            return writer.left or "it is closed"
        return writer.error if writer.failing else ""

    @property
    def attached(self) -> bool:
        """Whether it has counters to add."""
        return self._metrics is not None

    def health(self) -> LogHealth:
        """The state of the log, now."""
        return self._writer.health()

    def flush(self, timeout: float = 2.0) -> bool:
        """Wait until the disk holds everything accepted so far: whether it does after `timeout` seconds at most."""
        return self.close(timeout) if self.closed else self._writer.flush(timeout)

    def close(self, timeout: float = 2.0) -> bool:
        """Write what was accepted, sync and end: whether all of it is on the disk. Waits `timeout` seconds at most.

        On a disk that fails, what is left is dropped and counted. On one that is merely slow, the writer goes on; the
        interpreter waits for it at its end, as long as it gets ahead.
        """
        kept = self._writer.close(timeout)
        if self._writer.over.is_set():
            atexit.unregister(self._at_exit)
        return kept

    def _at_exit(self) -> None:
        before = -1
        while not self.close() and self._writer.written > before:
            before = self._writer.written

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        health = self.health()
        return f"EventLog({str(self.path)!r}: {health.written} written, {health.dropped} dropped)"

    # For the writer.

    def _summarise(self) -> None:
        with self._writer.attaching:
            if self._metrics is not None:
                self._writer.summary_at = time.monotonic() + self._summary_seconds
                self._add_summary(self._metrics)

    def _tell_dropped(self) -> None:
        if self._metrics is not None:
            self._metrics.counters.dropped_events = self._writer.dropped - self._run.dropped

    def _add_summary(self, metrics: Metrics, ended: bool = False) -> None:
        with self._writer.noting():  # a summary less
            self._writer.enqueue(self._snapshot(metrics, ended))

    def _snapshot(self, metrics: Metrics, ended: bool | None) -> Summary:
        metrics.counters.dropped_events = self._writer.dropped - self._run.dropped
        return Summary(*clocks(), metrics.snapshot() | {"ended": ended})
