"""The event log: what happened in the loop, written by a thread of its own."""

from __future__ import annotations

import atexit
import itertools
import os
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..monitor.calibration import check_rate
from .events import Dropped, Event, Header, Summary, encode, number
from .log_file import LogFile
from .thumbnails import Thumbnails, folder_of, shrink

if TYPE_CHECKING:
    from typing_extensions import Self

    from .metrics import Metrics

_LINES_AT_ONCE = 8
_RETRY_SECONDS = 0.05, 5.0
_PICTURES = 4


@dataclass(frozen=True, slots=True)
class LogHealth:
    """How the log does. written, synced: events that the system, the disk has; queued: accepted and not yet written.

    dropped: events offered and lost. failures: attempts to write, sync, rotate or save a picture that failed; error:
    the last of them in words, kept after it has passed. ok: the writer lives, the last attempt succeeded, nothing was
    dropped.
    """

    ok: bool
    written: int
    synced: int
    queued: int
    dropped: int
    failures: int
    error: str


class EventLog:
    """A log of JSON lines at `path`, see `events`; older files are `events.1.jsonl`, `events.2.jsonl`, oldest first.

    `put` hands an event over and returns at once; a thread writes it. An event is *accepted* when `put` returns True,
    and *acknowledged* when `health().written` counts it or `flush` returns True. An acknowledged event outlives a
    crash of the process; one that `flush`, `health().synced` or a `close` that returns True covers outlives a power
    cut. Every line is synced within `sync_seconds` of being written: an alarm after a calm second, at once. While the
    disk fails, the queue holds `capacity` events and the writer tries again; what is beyond is dropped, counted, and
    the count is written as soon as the disk takes it. Nothing is raised after the constructor.

    network, profile: their SHA-256 (`Monitor.profile_sha256`); a guard tells its log what is left out. max_bytes, keep:
    rotation, so that the log takes at most (keep + 1) * max_bytes. thumbnails: pictures kept in `events.frames/`, none
    with 0; they show what the camera saw, people too. One writer at a time; a log belongs to the process that made it.
    Raises OSError where the folder cannot be written or another writer is at work, ValueError for a file that is no
    event log or a setting out of range.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        capacity: int = 1024,
        max_bytes: int = 16 << 20,
        keep: int = 8,
        network: str = "",
        profile: str = "",
        false_alarm_rate: float | None = None,
        thumbnails: int = 64,
        thumbnail_seconds: float = 1.0,
        sync_seconds: float = 1.0,
    ) -> None:
        if capacity < 1 or max_bytes < 4096 or keep < 0 or thumbnails < 0:
            raise ValueError(
                "expected capacity >= 1, max_bytes >= 4096, keep >= 0 and thumbnails >= 0,"
                f" got {capacity}, {max_bytes}, {keep} and {thumbnails}"
            )
        if false_alarm_rate is not None:
            check_rate(false_alarm_rate)
        self.path = Path(path).absolute()
        self.run = uuid.uuid4().hex
        self._capacity, self._sync_seconds = capacity, sync_seconds
        self._hashes = str(network), str(profile)
        self._rate = false_alarm_rate
        self._version, self._started = version("outrider"), (time.time_ns(), time.monotonic_ns())
        self._pictures = Thumbnails(folder_of(self.path), thumbnails) if thumbnails else None
        self._file = LogFile(self.path, max_bytes, keep)
        self._picture_ns, self._next_picture = round(thumbnail_seconds * 1e9), 0

        self._queue: deque[Event | Summary] = deque()
        self._asked: deque[_Mark] = deque()
        self._frames: deque[tuple[int, Any]] = deque()
        self._dropping = threading.Lock()
        self._dropped = 0
        self._wake = threading.Event()
        self._wake.set()
        self._closing = threading.Event()
        self._finished = False

        # From here on the writer's own.
        self._pending: list[tuple[bytes, bool]] = []
        self._marks: list[_Mark] = []
        self._seq = self._written = self._synced = self._unsure = self._reported = self._failures = 0
        self._part = self._taken = 0
        self._fresh, self._failing, self._error = True, False, ""
        self._restated = False
        self._retry, self._retry_at, self._rotate_at = _RETRY_SECONDS[0], 0.0, 0.0
        self._dirty, self._synced_at = False, -np.inf
        self._metrics: Metrics | None = None
        self._summary_seconds, self._summary_at = 0.0, np.inf
        self._thread = threading.Thread(target=self._serve, name="outrider event log", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    # In the loop.

    def put(self, event: Event) -> bool:
        """Hand an event over: whether it was accepted. Never waits for the disk and raises nothing; any thread."""
        return self._offer(event)

    def summary(self, metrics: Metrics) -> bool:
        """Hand over the counters as they stand; `attach` does so by itself."""
        try:
            return self._offer(self._snapshot(metrics))
        except Exception as error:  # noqa: BLE001 (the loop goes on)
            self._note(error)
            return False

    def thumbnail(self, frame_id: int, array: Any) -> bool:
        """Keep a small picture of a frame: whether it was taken. At most one every `thumbnail_seconds`.

        array: see `shrink`; every n-th pixel is copied here, the rest is the writer's work.
        """
        now = time.monotonic_ns()
        if (
            self._pictures is None
            or self._closing.is_set()
            or now < self._next_picture
            or len(self._frames) >= _PICTURES
        ):
            return False
        self._next_picture = now + self._picture_ns
        try:
            self._frames.append((frame_id, shrink(np.asarray(array))))
        except Exception as error:  # noqa: BLE001 (the loop goes on)
            self._note(error)
            return False
        self._wake.set()
        return True

    def _offer(self, item: Event | Summary) -> bool:
        if self._closing.is_set() or len(self._queue) >= self._capacity:
            with self._dropping:
                self._dropped += 1
            return False
        self._queue.append(item)
        if not self._wake.is_set():
            self._wake.set()
        return True

    # Beside the loop.

    def attach(
        self, metrics: Metrics, seconds: float = 10.0, *, network: str = "", profile: str = "",
        false_alarm_rate: float | None = None,
    ) -> None:  # fmt: skip
        """Have the writer add a summary of these counters every so many seconds, and when the log is closed.

        network, profile, false_alarm_rate: what the constructor was not given; the header is then written once more.
        """
        if not seconds > 0:
            raise ValueError(f"expected seconds above 0, got {seconds}")
        known = self._hashes, self._rate
        self._hashes = self._hashes[0] or network, self._hashes[1] or profile
        self._rate = false_alarm_rate if self._rate is None else self._rate
        self._restated |= known != (self._hashes, self._rate)
        self._summary_seconds, self._metrics = seconds, metrics
        self._summary_at = time.monotonic() + seconds
        self._wake.set()

    @property
    def attached(self) -> bool:
        """Whether it has counters to add."""
        return self._metrics is not None

    def health(self) -> LogHealth:
        """How the log does, now."""
        queued = len(self._queue) + sum(is_event for _, is_event in tuple(self._pending))
        lives = self._thread.is_alive() or self._finished
        dropped = self._dropped
        ok = lives and not self._failing and not dropped
        return LogHealth(ok, self._written, self._synced, queued, dropped, self._failures, self._error)

    def flush(self, timeout: float = 2.0) -> bool:
        """Wait until the disk holds everything accepted so far: whether it does after `timeout` seconds at most."""
        if self._closing.is_set():
            return self.close(timeout)
        mark = _Mark()
        self._asked.append(mark)
        self._wake.set()
        if not mark.passed.wait(timeout):
            mark.passed.set()
        return mark.kept

    def close(self, timeout: float = 2.0) -> bool:
        """Write what was accepted, sync and end: whether all of it is on the disk. Waits `timeout` seconds at most.

        On a disk that fails, what is left is dropped and counted; on one that is merely slow, the writer goes on as
        long as the process lives.
        """
        self._closing.set()
        self._wake.set()
        atexit.unregister(self.close)
        self._thread.join(timeout)
        health = self.health()
        return self._finished and health.queued == 0 and health.synced == health.written and not self._failing

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        health = self.health()
        return f"EventLog({str(self.path)!r}: {health.written} written, {health.dropped} dropped)"

    # The writer.

    def _serve(self) -> None:
        while True:
            self._wait()
            self._wake.clear()
            closing = self._closing.is_set()
            self._set_marks()
            self._work(closing)
            if closing:
                break
        self._finish()

    def _wait(self) -> None:
        """Until there is something to do; on a disk that fails, until it is time to try again."""
        now = time.monotonic()
        if self._failing:
            self._closing.wait(max(self._retry_at - now, 0))
            return
        due = min(self._summary_at, self._synced_at + self._sync_seconds if self._dirty else np.inf)
        self._wake.wait(min(max(due - now, 0), 3600))

    def _work(self, closing: bool) -> None:
        self._summarise(closing)
        try:
            while self._take():
                self._write()
                if self._sync_is_due():
                    self._sync()
            if self._dirty and (closing or self._sync_is_due()):
                self._sync()
            self._pass_marks()
        except Exception as error:  # noqa: BLE001 (the thread outlives everything, and tells)
            self._failed(error)
            return
        self._failing, self._retry = False, _RETRY_SECONDS[0]
        while self._frames:
            self._save(*self._frames.popleft())

    def _summarise(self, closing: bool) -> None:
        now = time.monotonic()
        if self._metrics is not None and (closing or (now >= self._summary_at and not self._failing)):
            self._summary_at = now + self._summary_seconds
            try:
                self._queue.append(self._snapshot(self._metrics))
            except Exception as error:  # noqa: BLE001 (a summary less)
                self._note(error)

    def _snapshot(self, metrics: Metrics) -> Summary:
        metrics.counters.dropped_events = self._dropped
        return Summary(time.time_ns(), time.monotonic_ns(), metrics.snapshot())

    def _take(self) -> bool:
        """Encode the next few lines, unless some wait already: whether there are any."""
        if self._pending:
            return True
        dropped = self._dropped
        if dropped > self._reported:
            lost = Dropped(time.time_ns(), time.monotonic_ns(), dropped - self._reported, dropped)
            self._pending.append((encode(lost), False))
            self._reported = dropped
        while self._queue and len(self._pending) < _LINES_AT_ONCE:
            item = self._queue.popleft()
            self._taken += 1
            try:
                self._pending.append((encode(item, *self._hashes), isinstance(item, Event)))
            except Exception as error:  # noqa: BLE001 (an event made of the wrong things is lost, and counted)
                with self._dropping:
                    self._dropped += 1
                self._note(error)
        return bool(self._pending) or self._fresh or self._restated

    def _write(self) -> None:
        if self._file.restore():
            self._begin_part()
            self._note(FileNotFoundError(f"{self.path} was removed or shortened by others; a new beginning was made"))
        size = sum(len(body) for body, _ in self._pending) + 24 * len(self._pending)
        now = time.monotonic()
        if self._file.full_after(size) and now >= self._rotate_at:
            try:
                self._file.rotate()
            except OSError as error:
                self._rotate_at = now + _RETRY_SECONDS[1]
                self._note(error)
            else:
                self._begin_part()
                self._tidy()
        bodies = [body for body, _ in self._pending]
        restated = self._restated
        if self._fresh or restated:
            bodies.insert(0, encode(self._header()))
        self._file.append(b"".join(map(number, bodies, itertools.count(self._seq))))
        self._seq += len(bodies)
        self._written += sum(is_event for _, is_event in self._pending)
        self._fresh, self._dirty = False, True
        if restated:
            self._restated = False
        self._pending = []

    def _header(self) -> Header:
        repaired = 0 if self._part else self._file.repaired_bytes
        network, profile = self._hashes
        return Header(self._version, self.run, self._part, network, profile, self._rate, *self._started, repaired)

    def _begin_part(self) -> None:
        self._part += not self._fresh
        self._fresh = True

    def _tidy(self) -> None:
        try:
            self._file.tidy()
        except OSError as error:
            self._note(error)

    def _set_marks(self) -> None:
        self._marks = [mark for mark in self._marks if not mark.passed.is_set()]
        while self._asked:
            mark = self._asked.popleft()
            mark.after = self._taken + len(self._queue)
            self._marks.append(mark)

    def _sync_is_due(self) -> bool:
        waited_for = any(mark.after <= self._taken for mark in self._marks)
        return self._dirty and (waited_for or time.monotonic() >= self._synced_at + self._sync_seconds)

    def _sync(self) -> None:
        self._synced_at = time.monotonic()
        try:
            self._file.sync()
        except OSError:  # what it was to write may be gone from memory too: a later success says nothing of it
            self._unsure = self._written - self._synced
            raise
        self._dirty, self._synced = False, self._written - self._unsure
        self._pass_marks()

    def _pass_marks(self) -> None:
        if not self._dirty:
            for mark in self._marks:
                if mark.after <= self._taken:
                    mark.kept = not self._unsure
                    mark.passed.set()

    def _save(self, frame: int, image: np.ndarray) -> None:
        try:
            self._pictures.save(self.run, max(frame, 0), image)  # type: ignore[union-attr]
        except Exception as error:  # noqa: BLE001 (a picture less; the events are written)
            self._note(error)

    def _failed(self, error: Exception) -> None:
        self._note(error)
        self._failing = True
        self._retry_at = time.monotonic() + self._retry
        self._retry = min(2 * self._retry, _RETRY_SECONDS[1])

    def _note(self, error: Exception) -> None:
        self._failures += 1
        self._error = f"{type(error).__name__}: {error}"

    def _finish(self) -> None:
        lost = sum(isinstance(item, Event) for item in self._queue) + sum(is_event for _, is_event in self._pending)
        with self._dropping:
            self._dropped += lost
        self._queue.clear()
        self._pending = []
        try:
            self._file.close()
        except OSError as error:
            self._failed(error)
        self._finished = True


class _Mark:
    """A place in the queue, behind the first `after` items. passed: they are written and synced, or nobody waits.

    kept: they are, and no sync had failed.
    """

    def __init__(self) -> None:
        self.after = 0
        self.passed = threading.Event()
        self.kept = False
