"""The thread that writes an event log: it encodes, appends, syncs, rotates, and tries again when the disk fails."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from ...monitor.judging.neurons import Neurons
from ..forks import forked, left_by_forks
from .events import Clean, Dropped, Event, Summary, encode, number
from .file import LogFile
from .intake import Intake, LogRun, Mark, clocks
from .thumbnails import Thumbnails

_LINES_AT_ONCE = 64
_PAUSE_SECONDS, _GATHER_SECONDS, _REST_SECONDS = 0.1, 1.0, 0.001
_RETRY_SECONDS = 0.05, 5.0


@dataclass(frozen=True, slots=True)
class LogHealth:
    """The state of an event log. ok: the writer lives, its last attempt succeeded and no event was lost.

    written, synced: events that the system has, that the disk has. queued: events accepted and not yet written.
    dropped: events offered and lost. failures: failed attempts to write, sync, rotate or save a picture. error: the
    last of them in words; it stays when the trouble is over.
    """

    ok: bool
    written: int
    synced: int
    queued: int
    dropped: int
    failures: int
    error: str


class Writer(Intake):
    """Writes what comes in to a file, in a thread of its own.

    run: what the first header says. summarise: called at `summary_at`, by `time.monotonic()`, and at the end.
    failing: whether its last attempt failed. left: why a fork takes nothing.
    """

    def __init__(
        self, file: LogFile, pictures: Thumbnails | None, run: LogRun, *, capacity: int, bytes_at_once: int,
        sync_seconds: float, summarise: Callable[[], None], told: Callable[[], None],
    ) -> None:  # fmt: skip
        super().__init__(capacity, told)
        self._file, self._pictures, self._writing, self._summarise = file, pictures, run, summarise
        self._bytes_at_once, self._sync_seconds = bytes_at_once, sync_seconds
        self.summary_at = np.inf
        self._pending: list[tuple[bytes, bool]] = []
        self._marks: list[Mark] = []
        self.written = self._seq = self._synced = self._unsure = self._reported = 0
        self._part = self._taken = 0
        self._fresh, self._restated = True, False
        self.failing = self._finished = False
        self.left = ""
        self._retry, self._retry_at, self._rotate_at = _RETRY_SECONDS[0], 0.0, 0.0
        self._dirty, self._synced_at = False, -np.inf
        self.thread = threading.Thread(target=self._serve, name="outrider event log", daemon=True)
        self.thread.start()
        left_by_forks(self, Writer.leave)

    def health(self) -> LogHealth:
        """The state of the log, now."""
        queued = len(self.queue) + sum(is_event for _, is_event in tuple(self._pending))
        lives = self.thread.is_alive() or self._finished
        dropped = self.dropped
        ok = lives and not self.failing and not dropped
        return LogHealth(ok, self.written, self._synced, queued, dropped, self._failures, self.error)

    def close(self, timeout: float) -> bool:
        """Take no more, write what was accepted and end: whether all is on the disk after `timeout` seconds at most."""
        self.closing.set()
        self._wake_at_once()
        self.over.wait(timeout)  # not `Thread.join`, which takes the thread for dead after a Ctrl-C
        health = self.health()
        return self._finished and health.queued == 0 and health.synced == health.written and not self.failing

    def _serve(self) -> None:
        try:
            closing = False
            while not closing:
                self._wait()
                self._hurry.clear()
                self._soon.clear()
                closing = self.closing.is_set()
                self._set_marks()
                wrote = self._work(closing)
                if wrote and not (closing or self.failing):
                    self._gather()
                self.wake.clear()
            self._finish()
        finally:
            self.over.set()

    def _gather(self) -> None:
        """Let events come together; still awake, so that those who put them need not wake it."""
        if not self._hurry.wait(min(_PAUSE_SECONDS, self._until_due())):
            self._soon.wait(min(_GATHER_SECONDS - _PAUSE_SECONDS, self._until_due()))

    def _wait(self) -> None:
        """Until there is something to do; on a disk that fails, until it is time to try again."""
        now = time.monotonic()
        if self.failing:
            self.closing.wait(max(self._retry_at - now, 0))
            return
        if self.queue or self._frames or self._asked or self.closing.is_set():
            return
        self.wake.wait(min(self._until_due(), 3600))

    def _until_due(self) -> float:
        """Seconds until something is to be done though nobody asks."""
        due = min(self.summary_at, self._synced_at + self._sync_seconds if self._dirty else np.inf)
        return max(due - time.monotonic(), 0.0)

    def _work(self, closing: bool) -> bool:
        """Write what there is to write: whether anything was."""
        if closing or (time.monotonic() >= self.summary_at and not self.failing):
            self._summarise()
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
                if self.queue:
                    self._rest(closing)
            if self._dirty and (closing or self._sync_is_due()):
                self._sync()
            self._pass_marks()
        except Exception as error:  # noqa: BLE001 (the thread outlives everything, and tells)
            self._failed(error)
            return wrote
        self.failing, self._retry = False, _RETRY_SECONDS[0]
        while self._frames and self._pictures is not None:
            run, frame, image, places = self._frames.popleft()
            with self.noting():  # a picture less; the events are written
                self._pictures.save(run, max(frame, 0), image, places)
        return wrote

    def _rest(self, closing: bool) -> None:
        """Leave Python to the loop between two writes, unless somebody waits or the queue fills."""
        if not (closing or self._marks or self._hurry.is_set() or len(self.queue) > self._capacity // 4):
            time.sleep(_REST_SECONDS)

    def _take(self) -> bool:
        """Encode the next few lines, unless some wait already: whether there are any."""
        if self._pending:
            return True
        dropped = self.dropped
        if dropped > self._reported:
            lost = Dropped(*clocks(), dropped - self._reported, dropped - self._writing.dropped)
            self._pending.append((encode(lost), False))
            self._reported = dropped
        size = 0
        with suppress(IndexError):  # the queue is empty
            while len(self._pending) < _LINES_AT_ONCE and size < self._bytes_at_once:
                item = self.queue.popleft()
                if not isinstance(item, LogRun):
                    size += self._encode(item)
                elif self._pending:  # they are of the run before
                    self.queue.appendleft(item)
                    break
                else:
                    self._begin_run(item)
                self._taken += 1
        return bool(self._pending) or self._fresh or self._restated

    def _encode(self, item: Event | Summary | Clean) -> int:
        """Make an item pending: how many bytes it has."""
        try:
            line = encode(item, self._writing.header.network, self._writing.header.profile)
        except Exception as error:  # noqa: BLE001 (an event made of the wrong things is lost, and counted)
            self.note(error)
            if isinstance(item, Event) and isinstance(item.neurons, Neurons):  # which could not be named
                return self._encode(item._replace(neurons=()))
            if not isinstance(item, Clean):
                self.drop()
            return 0
        self._pending.append((line, isinstance(item, Event)))
        return len(line)

    def _begin_run(self, run: LogRun) -> None:
        if run.header.run == self._writing.header.run:
            self._restated = True
        else:
            self._part, self._seq, self._fresh = 0, 0, True
        self._writing = run

    def _look_at_the_file(self) -> None:
        if self._file.restore():
            self._begin_part()
            self.note(
                FileNotFoundError(f"{self._file.path} was removed or shortened by others; a new beginning was made")
            )

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
                self.note(error)
            else:
                self._begin_part()
                with self.noting(OSError):
                    self._file.tidy()
        bodies = [body for body, _ in self._pending]
        restated = self._restated
        if self._fresh or restated:
            bodies.insert(0, encode(replace(self._writing.header, part=self._part, aside=self._file.aside)))
        self._file.append(b"".join(map(number, bodies, itertools.count(self._seq))))
        self._seq += len(bodies)
        self.written += sum(is_event for _, is_event in self._pending)
        self._fresh, self._dirty = False, True
        if restated:
            self._restated = False
        self._pending = []

    def _begin_part(self) -> None:
        self._part += not self._fresh
        self._fresh = True

    def _set_marks(self) -> None:
        self._marks = [mark for mark in self._marks if not mark.passed.is_set()]
        while self._asked:
            mark = self._asked.popleft()
            mark.after = self._taken + len(self.queue)
            self._marks.append(mark)

    def _sync_is_due(self) -> bool:
        waited_for = any(mark.after <= self._taken for mark in self._marks)
        return self._dirty and (waited_for or time.monotonic() >= self._synced_at + self._sync_seconds)

    def _sync(self) -> None:
        try:
            self._file.sync()
        except OSError:  # what it was to write may be gone from memory too: a later success says nothing of it
            self._unsure = self.written - self._synced
            raise
        finally:
            self._synced_at = time.monotonic()
        self._dirty, self._synced, self.failing = False, self.written - self._unsure, False
        self._pass_marks()

    def _pass_marks(self) -> None:
        if not self._dirty:
            for mark in self._marks:
                if mark.after <= self._taken:
                    mark.kept = not self._unsure
                    mark.passed.set()
            self._marks = [mark for mark in self._marks if not mark.passed.is_set()]

    def _failed(self, error: Exception) -> None:
        self.note(error)
        self.failing = True
        self._retry_at = time.monotonic() + self._retry
        self._retry = min(2 * self._retry, _RETRY_SECONDS[1])

    def _finish(self) -> None:
        lost = sum(is_event for _, is_event in self._pending)
        self._pending = []
        with suppress(IndexError):
            while self.failing:
                lost += isinstance(self.queue.popleft(), Event)
        self.drop(lost)
        try:
            self._file.close()
        except OSError as error:
            self._failed(error)
        self._finished = True

    def leave(self) -> None:
        """In a forked child, where the thread does not run: take nothing, and leave the lock to the parent."""
        self._make_locks()
        self._ended = True
        self.closing.set()
        self.over.set()
        if not self._finished:
            self._file.leave()
            self.queue.clear()
            self._pending = []
            self.left = forked("the event log")
            self.note(RuntimeError(self.left))
