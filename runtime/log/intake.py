"""What the loop hands to the writer of an event log: events, summaries and pictures, in queues."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from ...monitor import Status
from ...monitor.places import Places
from .events import Clean, Event, Header, Summary

_PICTURES = 16
_ALARM = Status.ALARM  # the class is slow to ask


@dataclass(frozen=True, slots=True)
class LogRun:
    """Headers say this from here in the queue on. dropped: events that the log had lost before the run."""

    header: Header
    dropped: int


class Intake:
    """The queues between any threads that hand something over and one that takes it.

    capacity: of the queue of items. told: called when `dropped` has grown. attaching: a lock for whoever changes the
    run. over: the thread has ended. error: the last failure in words.
    """

    def __init__(self, capacity: int, told: Callable[[], None]) -> None:
        self._capacity, self._told = capacity, told
        self.queue: deque[Event | Summary | LogRun | Clean] = deque()
        self._asked: deque[Mark] = deque()
        self._frames: deque[tuple[str, int, np.ndarray, Places | None]] = deque()
        self.dropped = self._failures = 0
        self.error = ""
        self._ended = False
        self._make_locks()
        self.wake.set()

    def _make_locks(self) -> None:
        self._dropping, self.attaching = threading.RLock(), threading.RLock()
        self.wake, self._soon, self._hurry = threading.Event(), threading.Event(), threading.Event()
        self.closing, self.over = threading.Event(), threading.Event()

    def offer(self, item: Event | Summary) -> bool:
        """Whether an item was accepted; else it is dropped. Never waits for the disk and raises nothing."""
        if self.closing.is_set() or len(self.queue) >= self._capacity or not self.enqueue(item):
            self.drop()
            return False
        if (_is_urgent(item) or len(self.queue) > self._capacity // 4) and not self._soon.is_set():
            self._soon.set()
        return True

    def offer_clean(self, item: Clean) -> bool:
        """Whether a clean frame was accepted. It gives way to events: half of the queue is theirs, and none is lost."""
        if self.closing.is_set() or 2 * len(self.queue) >= self._capacity:
            return False
        return self.enqueue(item)

    def enqueue(self, item: Event | Summary | LogRun | Clean) -> bool:
        """Append to the queue: False where the thread has ended before it could take the item."""
        self.queue.append(item)
        if self._ended:
            return not self._taken_back(item)
        if not self.wake.is_set():
            self.wake.set()
        return True

    def _taken_back(self, item: Event | Summary | LogRun | Clean) -> bool:
        """Whether an item was still in the queue, and is no more."""
        while True:
            try:
                self.queue.remove(item)
            except ValueError:  # the thread has it
                return False
            except IndexError:  # the queue changed meanwhile
                continue
            return True

    def drop(self, count: int = 1) -> None:
        """Count events that are lost."""
        with self._dropping:
            self.dropped += count
            with self.noting():
                self._told()

    @property
    def takes_pictures(self) -> bool:
        """Whether there is room for one more."""
        return not self.closing.is_set() and len(self._frames) < _PICTURES

    def picture(self, run: str, frame: int, image: np.ndarray, places: Places | None = None) -> None:
        """Hand over a small picture, and what its verdict says of places."""
        self._frames.append((run, frame, image, places))
        self.wake.set()
        if 2 * len(self._frames) >= _PICTURES:
            self._soon.set()

    def note(self, error: Exception) -> None:
        """Count a failure and keep its words."""
        self._failures += 1
        self.error = f"{type(error).__name__}: {error}"

    @contextmanager
    def noting(self, kind: type[Exception] = Exception) -> Iterator[None]:
        """Note what the block raises, and go on behind it."""
        try:
            yield
        except kind as error:
            self.note(error)

    def flush(self, timeout: float) -> bool:
        """Wait until the disk holds everything accepted so far: whether it does after `timeout` seconds at most."""
        mark = Mark()
        self._asked.append(mark)
        self._wake_at_once()
        if not mark.passed.wait(timeout):
            mark.passed.set()
        return mark.kept

    def _wake_at_once(self) -> None:
        self.wake.set()
        self._soon.set()
        self._hurry.set()


class Mark:
    """A mark in the queue behind the first `after` items. passed: they are written and synced, or nobody waits.

    kept: they are written and synced, and no sync had failed.
    """

    def __init__(self) -> None:
        self.after = 0
        self.passed = threading.Event()
        self.kept = False


def _is_urgent(item: Event | Summary) -> bool:
    """Whether the loop is worse than before, in ALARM or beyond."""
    try:
        return isinstance(item, Event) and bool(item.status >= _ALARM and item.status > item.before)
    except Exception:  # noqa: BLE001 (made of the wrong things: lost, and counted, when it is encoded)
        return False


def clocks() -> tuple[int, int]:
    """The time since 1970 and by the clock that never steps, in nanoseconds."""
    return time.time_ns(), time.monotonic_ns()
