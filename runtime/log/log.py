"""The event log: what happened in the loop, written by a thread of its own."""

from __future__ import annotations

import atexit
import itertools
import os
import threading
import time
import uuid
import weakref
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...monitor import Status
from ...monitor.calibration import check_rate
from ...monitor.neurons import Neurons
from .events import Dropped, Event, Header, Summary, encode, number
from .file import LogFile
from .thumbnails import Thumbnails, folder_of, shrink

if TYPE_CHECKING:
    from typing_extensions import Self

    from ..loop.metrics import Metrics

_LINES_AT_ONCE = 64
_PAUSE_SECONDS, _GATHER_SECONDS, _REST_SECONDS = 0.1, 1.0, 0.001
_FIRST_SUMMARY_SECONDS = 1.0
_RETRY_SECONDS = 0.05, 5.0
_PICTURES = 16
_ALARM = Status.ALARM  # the class is slow to ask


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


@dataclass(frozen=True, slots=True)
class _Run:
    """What headers say from its place in the queue on. dropped: events that the log lost before the run."""

    id: str
    network: str
    profile: str
    false_alarm_rate: float | None
    started: tuple[int, int]
    repaired_bytes: int
    dropped: int


class EventLog:
    """A log of JSON lines at `path`, see `events`; older files are `events.1.jsonl`, `events.2.jsonl`, oldest first.

    `put` hands an event over and returns at once; a thread writes it. An event is *accepted* when `put` returns True,
    and *acknowledged* when `health().written` counts it or `flush` returns True. An acknowledged event outlives a
    crash of the process; one that `flush`, `health().synced` or a `close` that returns True covers outlives a power
    cut. A line is written at once after a calm second, otherwise with all others of that second, so that the thread
    seldom stands in the loop's way; an event that brings the loop to ALARM or beyond waits a tenth of a second at most.
    What is written is synced within `sync_seconds`, after a calm second at once.
    While the disk fails, the queue holds `capacity` events and the writer tries again; what is beyond is dropped and
    counted, and the count is written as soon as the disk takes it. Nothing is raised after the constructor.

    network, profile: their SHA-256 (`Monitor.profile_sha256`); a guard tells its log what is left out. max_bytes, keep:
    rotation, so that the log takes at most (keep + 1) * max_bytes. thumbnails: pictures kept in `events.frames/`, none
    with 0; they show what the camera saw, people too. source: where frames come from, for the report. run: the name of
    this run, another one for each guard in turn. One writer at a time; a log belongs to the process that made it, and
    in a fork of that drops and counts whatever it is offered. Raises OSError where the folder cannot be written or
    locked or another writer is at work, ValueError for a file that is no event log or a setting out of range.
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
        source: str = "",
    ) -> None:
        if capacity < 1 or max_bytes < 4096 or keep < 0 or thumbnails < 0:
            raise ValueError(
                "expected capacity >= 1, max_bytes >= 4096, keep >= 0 and thumbnails >= 0,"
                f" got {capacity}, {max_bytes}, {keep} and {thumbnails}"
            )
        if false_alarm_rate is not None:
            check_rate(false_alarm_rate)
        self.path = Path(path).absolute()
        self._capacity, self._sync_seconds = capacity, sync_seconds
        self._bytes_at_once = max_bytes // 16
        self._given, self._source = (str(network), str(profile), false_alarm_rate), str(source)
        self._version, started = version("outrider"), _clocks()
        self._pictures = Thumbnails(folder_of(self.path), thumbnails) if thumbnails else None
        self._file = LogFile(self.path, max_bytes, keep)
        self._run = _Run(uuid.uuid4().hex, *self._given, started, self._file.repaired_bytes, 0)
        self._picture_ns = round(thumbnail_seconds * 1e9)
        self._last_picture: float = -np.inf

        self._queue: deque[Event | Summary | _Run] = deque()
        self._asked: deque[_Mark] = deque()
        self._frames: deque[tuple[str, int, Any]] = deque()
        self._metrics: Metrics | None = None
        self._counted: Metrics | None = None
        self._summary_seconds, self._summary_at = 0.0, np.inf
        self._dropped = 0
        self._ended = self._finished = False
        self._make_locks()
        self._wake.set()

        # From here on the writer's own.
        self._pending: list[tuple[bytes, bool]] = []
        self._marks: list[_Mark] = []
        self._seq = self._written = self._synced = self._unsure = self._reported = self._failures = 0
        self._part = self._taken = 0
        self._writing = self._run
        self._fresh, self._restated = True, False
        self._failing, self._error = False, ""
        self._retry, self._retry_at, self._rotate_at = _RETRY_SECONDS[0], 0.0, 0.0
        self._dirty, self._synced_at = False, -np.inf
        self._thread = threading.Thread(target=self._serve, name="outrider event log", daemon=True)
        self._thread.start()
        atexit.register(self._at_exit)
        _logs.add(self)

    def _make_locks(self) -> None:
        self._dropping, self._attaching = threading.RLock(), threading.RLock()
        self._wake, self._soon, self._hurry = threading.Event(), threading.Event(), threading.Event()
        self._closing, self._over = threading.Event(), threading.Event()

    # In the loop.

    def put(self, event: Event) -> bool:
        """Hand an event over: whether it was accepted. Never waits for the disk and raises nothing; any thread."""
        if not self._offer(event):
            return False
        if (_is_urgent(event) or len(self._queue) > self._capacity // 4) and not self._soon.is_set():
            self._soon.set()
        return True

    def summary(self, metrics: Metrics) -> bool:
        """Hand over the counters as they stand; `attach` does so by itself."""
        try:
            return self._offer(self._snapshot(metrics, None if self._metrics is None else False))
        except Exception as error:  # noqa: BLE001 (the loop goes on)
            self._note(error)
            return False

    def thumbnail(self, frame_id: int, array: Any, stamp_ns: int | None = None, always: bool = False) -> bool:
        """Keep a small picture of a frame: whether it was taken. At most one every `thumbnail_seconds`, but `always`.

        array: see `shrink`; every n-th pixel is copied here, the rest is the writer's work. stamp_ns: of a frame from a
        recording, whose seconds are then counted.
        """
        now = time.monotonic_ns() if stamp_ns is None else stamp_ns
        if not always and 0 <= now - self._last_picture < self._picture_ns:
            return False
        if self._pictures is None or self._closing.is_set() or len(self._frames) >= _PICTURES:
            return False
        self._last_picture = now
        try:
            self._frames.append((self.run, frame_id, shrink(np.asarray(array))))
        except Exception as error:  # noqa: BLE001 (the loop goes on)
            self._note(error)
            return False
        self._wake_up()
        if 2 * len(self._frames) >= _PICTURES:
            self._soon.set()
        return True

    def _offer(self, item: Event | Summary) -> bool:
        if self._closing.is_set() or len(self._queue) >= self._capacity or not self._enqueue(item):
            self._drop()
            return False
        return True

    def _enqueue(self, item: Event | Summary | _Run) -> bool:
        """Append to the queue: False where the writer has ended before it could take it."""
        self._queue.append(item)
        if self._ended:
            return not self._taken_back(item)
        self._wake_up()
        return True

    def _wake_up(self) -> None:
        if not self._wake.is_set():
            self._wake.set()

    def _wake_at_once(self) -> None:
        self._wake.set()
        self._soon.set()
        self._hurry.set()

    def _taken_back(self, item: Event | Summary | _Run) -> bool:
        """Whether an item was still in the queue, and is no more."""
        while True:
            try:
                self._queue.remove(item)
            except ValueError:  # the writer has it
                return False
            except IndexError:  # the queue changed meanwhile
                continue
            return True

    def _drop(self, count: int = 1) -> None:
        with self._dropping:
            self._dropped += count
            try:
                if self._metrics is not None:
                    self._metrics.counters.dropped_events = self._dropped - self._run.dropped
            except Exception as error:  # noqa: BLE001 (the loop goes on)
                self._note(error)

    # Beside the loop.

    def attach(
        self, metrics: Metrics, seconds: float = 10.0, *, network: str = "", profile: str = "",
        false_alarm_rate: float | None = None,
    ) -> None:  # fmt: skip
        """Have the writer add a summary of these counters after a second, every so many, and when the log is closed.

        network, profile, false_alarm_rate: what the constructor was not given, for the events from here on; the header
        is then written once more. The same metrics may be attached again to restate them; other ones, after `detach`,
        begin a run of their own. Raises ValueError while others are attached, and for a setting out of range.
        """
        if not seconds > 0:
            raise ValueError(f"expected seconds above 0, got {seconds}")
        if false_alarm_rate is not None:
            check_rate(false_alarm_rate)
        with self._attaching:
            if self._metrics is not None and self._metrics is not metrics:
                raise ValueError(
                    "expected a log of its own for each guard, got one that another guard writes to; close that guard"
                    " first, or open another EventLog"
                )
            run = self._run
            if self._counted is not None and self._counted is not metrics:
                run = replace(run, id=uuid.uuid4().hex, started=_clocks(), repaired_bytes=0, dropped=self._dropped)
            own_network, own_profile, own_rate = self._given
            run = replace(
                run,
                network=own_network or str(network),
                profile=own_profile or str(profile),
                false_alarm_rate=false_alarm_rate if own_rate is None else own_rate,
            )
            if run != self._run:
                self._run = run
                self._enqueue(run)
            if self._metrics is None and self._counted is metrics:
                self._add_summary(metrics)  # its end was none
            self._metrics = self._counted = metrics
            self._summary_seconds, self._summary_at = seconds, time.monotonic() + min(seconds, _FIRST_SUMMARY_SECONDS)
        self._wake.set()

    def detach(self, metrics: Metrics) -> None:
        """Have the writer add a last summary of these counters, and leave the log to another guard.

        Metrics that are not attached are left alone.
        """
        with self._attaching:
            if metrics is self._metrics:
                self._add_summary(metrics, ended=True)
                self._metrics, self._summary_at = None, np.inf

    @property
    def run(self) -> str:
        return self._run.id

    @property
    def closed(self) -> bool:
        """Whether it takes no more."""
        return self._closing.is_set()

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
        self._wake_at_once()
        if not mark.passed.wait(timeout):
            mark.passed.set()
        return mark.kept

    def close(self, timeout: float = 2.0) -> bool:
        """Write what was accepted, sync and end: whether all of it is on the disk. Waits `timeout` seconds at most.

        On a disk that fails, what is left is dropped and counted; on one that is merely slow, the writer goes on, and
        the interpreter, when it ends, waits for it as long as it gets ahead.
        """
        self._closing.set()
        self._wake_at_once()
        if self._over.wait(timeout):  # not `Thread.join`, which takes the thread for dead after a Ctrl-C
            atexit.unregister(self._at_exit)
        health = self.health()
        return self._finished and health.queued == 0 and health.synced == health.written and not self._failing

    def _at_exit(self) -> None:
        before = -1
        while not self.close() and self._written > before:
            before = self._written

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        health = self.health()
        return f"EventLog({str(self.path)!r}: {health.written} written, {health.dropped} dropped)"

    # The writer.

    def _serve(self) -> None:
        try:
            closing = False
            while not closing:
                self._wait()
                self._hurry.clear()
                self._soon.clear()
                closing = self._closing.is_set()
                self._set_marks()
                wrote = self._work(closing)
                if wrote and not (closing or self._failing):
                    self._gather()
                self._wake.clear()
            self._finish()
        finally:
            self._over.set()

    def _gather(self) -> None:
        """Let events come together; still awake, so that those who put them need not wake it."""
        if not self._hurry.wait(min(_PAUSE_SECONDS, self._until_due())):
            self._soon.wait(min(_GATHER_SECONDS - _PAUSE_SECONDS, self._until_due()))

    def _wait(self) -> None:
        """Until there is something to do; on a disk that fails, until it is time to try again."""
        now = time.monotonic()
        if self._failing:
            self._closing.wait(max(self._retry_at - now, 0))
            return
        if self._queue or self._frames or self._asked or self._closing.is_set():
            return
        self._wake.wait(min(self._until_due(), 3600))

    def _until_due(self) -> float:
        """Seconds until something is to be done though nobody asks."""
        due = min(self._summary_at, self._synced_at + self._sync_seconds if self._dirty else np.inf)
        return max(due - time.monotonic(), 0.0)

    def _work(self, closing: bool) -> bool:
        """Write what there is to write: whether anything was."""
        self._summarise(closing)
        self._ended = closing  # what is put from here on is taken back by those who put it, or written
        wrote = False
        try:
            while self._take():
                if not wrote:
                    self._look_at_the_file()
                self._write()
                wrote = True
                if self._sync_is_due():
                    self._sync()
                if self._queue:
                    self._rest(closing)
            if self._dirty and (closing or self._sync_is_due()):
                self._sync()
            self._pass_marks()
        except Exception as error:  # noqa: BLE001 (the thread outlives everything, and tells)
            self._failed(error)
            return wrote
        self._failing, self._retry = False, _RETRY_SECONDS[0]
        while self._frames:
            self._save(*self._frames.popleft())
        return wrote

    def _rest(self, closing: bool) -> None:
        """Leave Python to the loop between two writes, unless somebody waits or the queue fills."""
        if not (closing or self._marks or self._hurry.is_set() or len(self._queue) > self._capacity // 4):
            time.sleep(_REST_SECONDS)

    def _summarise(self, closing: bool) -> None:
        with self._attaching:
            now = time.monotonic()
            if self._metrics is not None and (closing or (now >= self._summary_at and not self._failing)):
                self._summary_at = now + self._summary_seconds
                self._add_summary(self._metrics)

    def _add_summary(self, metrics: Metrics, ended: bool = False) -> None:
        try:
            self._enqueue(self._snapshot(metrics, ended))
        except Exception as error:  # noqa: BLE001 (a summary less)
            self._note(error)

    def _snapshot(self, metrics: Metrics, ended: bool | None) -> Summary:
        metrics.counters.dropped_events = self._dropped - self._run.dropped
        return Summary(*_clocks(), metrics.snapshot() | {"ended": ended})

    def _take(self) -> bool:
        """Encode the next few lines, unless some wait already: whether there are any."""
        if self._pending:
            return True
        dropped = self._dropped
        if dropped > self._reported:
            lost = Dropped(*_clocks(), dropped - self._reported, dropped - self._writing.dropped)
            self._pending.append((encode(lost), False))
            self._reported = dropped
        size = 0
        with suppress(IndexError):  # the queue is empty
            while len(self._pending) < _LINES_AT_ONCE and size < self._bytes_at_once:
                item = self._queue.popleft()
                if not isinstance(item, _Run):
                    size += self._encode(item)
                elif self._pending:  # they are of the run before
                    self._queue.appendleft(item)
                    break
                else:
                    self._begin_run(item)
                self._taken += 1
        return bool(self._pending) or self._fresh or self._restated

    def _encode(self, item: Event | Summary) -> int:
        """Make an item pending: how many bytes it has."""
        try:
            line = encode(item, self._writing.network, self._writing.profile)
        except Exception as error:  # noqa: BLE001 (an event made of the wrong things is lost, and counted)
            self._note(error)
            if isinstance(item, Event) and isinstance(item.neurons, Neurons):  # which could not be named
                return self._encode(item._replace(neurons=()))
            self._drop()
            return 0
        self._pending.append((line, isinstance(item, Event)))
        return len(line)

    def _begin_run(self, run: _Run) -> None:
        if run.id == self._writing.id:
            self._restated = True
        else:
            self._part, self._seq, self._fresh = 0, 0, True
        self._writing = run

    def _look_at_the_file(self) -> None:
        if self._file.restore():
            self._begin_part()
            self._note(FileNotFoundError(f"{self.path} was removed or shortened by others; a new beginning was made"))

    def _write(self) -> None:
        size = sum(len(body) for body, _ in self._pending) + 24 * len(self._pending)
        now = time.monotonic()
        if self._file.full_after(size) and now >= self._rotate_at:
            if self._dirty:
                self._sync()
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
        run = self._writing
        return Header(
            self._version, run.id, self._part, run.network, run.profile, run.false_alarm_rate, *run.started,
            run.repaired_bytes, self._file.aside, self._source,
        )  # fmt: skip

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
        try:
            self._file.sync()
        except OSError:  # what it was to write may be gone from memory too: a later success says nothing of it
            self._unsure = self._written - self._synced
            raise
        finally:
            self._synced_at = time.monotonic()
        self._dirty, self._synced, self._failing = False, self._written - self._unsure, False
        self._pass_marks()

    def _pass_marks(self) -> None:
        if not self._dirty:
            for mark in self._marks:
                if mark.after <= self._taken:
                    mark.kept = not self._unsure
                    mark.passed.set()
            self._marks = [mark for mark in self._marks if not mark.passed.is_set()]

    def _save(self, run: str, frame: int, image: np.ndarray) -> None:
        try:
            self._pictures.save(run, max(frame, 0), image)  # type: ignore[union-attr]
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
        lost = sum(is_event for _, is_event in self._pending)
        self._pending = []
        with suppress(IndexError):
            while self._failing:
                lost += isinstance(self._queue.popleft(), Event)
        self._drop(lost)
        try:
            self._file.close()
        except OSError as error:
            self._failed(error)
        self._finished = True

    def _leave(self) -> None:
        """In a forked child, where no writer runs: take nothing, and leave the lock to the parent."""
        self._make_locks()
        self._ended = True
        self._closing.set()
        self._over.set()
        if not self._finished:
            self._file.leave()
            self._queue.clear()
            self._pending = []
            self._note(RuntimeError("expected the process that opened the event log, got a fork of it"))


class _Mark:
    """A place in the queue, behind the first `after` items. passed: they are written and synced, or nobody waits.

    kept: they are, and no sync had failed.
    """

    def __init__(self) -> None:
        self.after = 0
        self.passed = threading.Event()
        self.kept = False


def _is_urgent(event: Event) -> bool:
    """Whether the loop is worse than before, in ALARM or beyond."""
    try:
        return bool(event.status >= _ALARM and event.status > event.before)
    except Exception:  # noqa: BLE001 (made of the wrong things: lost, and counted, when it is encoded)
        return False


def _clocks() -> tuple[int, int]:
    return time.time_ns(), time.monotonic_ns()


_logs: weakref.WeakSet[EventLog] = weakref.WeakSet()


def _leave_all() -> None:
    for log in list(_logs):
        log._leave()  # noqa: SLF001 (of this file)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_all)
