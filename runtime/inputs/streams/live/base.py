"""What every live source has in common: a thread of its own takes every picture, and only the newest waits."""

from __future__ import annotations

import threading
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Any, NamedTuple

import numpy as np

from .....monitor import OutriderWarning
from ....printable import without_credentials
from ..frame import Frame

_TICK_SECONDS = 0.1
_RETRY_SECONDS = 1.0


class Taken(NamedTuple):
    """What came: not yet a picture, since most that are dropped never need to be one.

    problem: why it is none. time: seconds by the clock of the source, None for those since the source was opened.
    stamp_ns: as in a `Frame`.
    """

    what: Any
    problem: str = ""
    time: float | None = None
    stamp_ns: int | None = None


class Live(ABC):
    """The pictures of a live source, the newest one whenever it is asked for.

    dropped: pictures that a newer one replaced before they were asked for, since the first question. reconnects: how
    often the source was there again after it had gone away; an OutriderWarning says so each time. After `patience`
    seconds without a picture an iteration ends with an OutriderWarning. name: in messages and reports. told: called, in
    the thread of the source, whenever a picture waits.

    A subclass calls `_begin` at the end of its constructor. That waits for the first picture, and raises ValueError
    where the source cannot be opened or gives none within `patience` seconds (`opening` where that is longer).
    """

    live = True

    def __init__(self, name: str, patience: float, opening: float = 0.0) -> None:
        self.name = name
        self.dropped = self.reconnects = 0
        self.patience, self._opening = patience, max(patience, opening)
        self._changed = threading.Condition()
        self._newest: tuple[Taken, float] | None = None
        self._asked = False
        self._problem, self._back = "", ""
        self._gone: float | None = None
        self.told: Callable[[], None] | None = None
        self._stop = threading.Event()
        self._count, self._began = 0, time.monotonic()
        self._thread = threading.Thread(target=self._serve, name=f"outrider {name}", daemon=True)

    @abstractmethod
    def _items(self) -> Generator[Taken, None, None]:
        """Open the source and give what comes until its end. Raises what stops it, with words for the user."""

    @abstractmethod
    def _picture(self, what: Any) -> np.ndarray:
        """The picture: see `Frame`. Raises ValueError that says what is wrong with it."""

    def _lost(self) -> int:
        """How many pictures the way to this machine is known to have lost."""
        return 0

    def _nothing(self) -> str:
        """What came where no first picture did."""
        return f"no picture for {self._opening:g} s"

    def _begin(self) -> None:
        self._began = time.monotonic()
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._problem, self._opening)
            problem = self._problem or self._nothing()
            there = self._newest is not None
        if not there:
            self.close()
            raise ValueError(f"{self.name}: expected pictures, got {problem}")

    def __iter__(self) -> Iterator[Frame | None]:
        since = time.monotonic()
        for frame in self.endless():
            if frame is not None:
                since = time.monotonic()
            elif time.monotonic() - since >= self.patience:
                warnings.warn(self.absence(), OutriderWarning, stacklevel=2)
                return
            yield frame

    def endless(self) -> Iterator[Frame | None]:
        """The same, waiting for ever: until `close`."""
        while not self._stop.is_set():
            with self._changed:
                self._asked = True
                self._changed.wait_for(lambda: self.waits, _TICK_SECONDS)
            yield self.take()

    @property
    def waits(self) -> bool:
        """Whether a picture waits to be taken."""
        return self._newest is not None

    def take(self) -> Frame | None:
        """The newest frame, at once; None where there is none since the last one."""
        with self._changed:
            self._asked = True
            newest, self._newest = self._newest, None
            back, self._back = self._back, ""
        if back:
            warnings.warn(back, OutriderWarning, stacklevel=2)
        if newest is None:
            return None
        self._count += 1
        return self._frame(*newest, self._count - 1)

    def absence(self) -> str:
        """What there is to say when nothing came for `patience` seconds."""
        why = f": {self._problem}" if self._problem else ""
        return f"{self.name} gave no picture for {self.patience:g} s{why}"

    def close(self) -> None:
        """Let go of the source. One that hangs in a read keeps its thread, which ends with the process."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(1.0)

    def _frame(self, taken: Taken, captured: float, count: int) -> Frame:
        name, picture, problem = f"{self.name}[{count}]", None, taken.problem
        if not problem:
            try:
                picture = self._picture(taken.what)
            except Exception as error:  # noqa: BLE001 (bytes from elsewhere: one that is broken must not end the watch)
                problem = str(error) or type(error).__name__
        problem = without_credentials(f"{name}: {problem}") if problem else ""
        seconds = captured - self._began if taken.time is None else taken.time
        return Frame(seconds, picture, name, captured, problem, taken.stamp_ns)

    def _serve(self) -> None:
        while not self._stop.is_set():
            try:
                with closing(self._items()) as items:
                    for taken in items:
                        self._put(taken)
                        if self._stop.is_set():
                            return
                problem = "the end of the stream"
            except Exception as error:  # noqa: BLE001 (the thread lives until it is stopped, and tells)
                problem = without_credentials(getattr(error, "strerror", None) or str(error) or type(error).__name__)
                problem = problem[:1].lower() + problem[1:]
            with self._changed:
                self._problem = problem
                self._gone = time.monotonic() if self._gone is None else self._gone
                self._changed.notify_all()
            self._stop.wait(_RETRY_SECONDS)

    def _put(self, taken: Taken) -> None:
        now, lost = time.monotonic(), self._lost()
        with self._changed:
            if self._gone is not None and not taken.problem:
                self.reconnects += 1
                self._back = f"{self.name} is there again after {now - self._gone:.1f} s ({self._problem})"
                self._gone, self._problem = None, ""
            self.dropped += (lost + (self._newest is not None)) * self._asked
            self._newest = taken, now
            self._changed.notify_all()
        if self.told is not None:
            self.told()
