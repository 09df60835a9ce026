"""Silence, noticed from outside the loop: a counter that the guard raises, and a thread or process that reads it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from typing_extensions import Self

_BYTES = 16


class Heartbeat:
    """How many frames there were, and when the last was, in 16 bytes that processes of one machine may share.

    path: a file that others open by the same path (on /run or /dev/shm, so that no disk is behind it); None for
    memory of this process alone. The time is CLOCK_MONOTONIC, which all processes share.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = None if path is None else Path(path)
        if self.path is None:
            self._values: np.ndarray = np.zeros(2, np.int64)
        else:
            with self.path.open("ab") as file:  # makes the file; one that is there keeps its count
                file.truncate(_BYTES)
            self._values = np.memmap(self.path, np.int64, "r+", shape=(2,))

    def beat(self) -> None:
        """One frame more, now."""
        values = self._values
        values[1] = time.monotonic_ns()
        values[0] += 1

    @property
    def count(self) -> int:
        return int(self._values[0])

    @property
    def age(self) -> float:
        """Seconds since the last beat; since the machine started where there was none."""
        return (time.monotonic_ns() - int(self._values[1])) / 1e9


class Watchdog:
    """Notices that a heartbeat stopped.

    timeout: seconds without a beat that are silence. on_silence(seconds) and on_return(seconds) are called once for
    each silence, in the watchdog's own thread; what they raise is kept in `error` and ends nothing. `alive` says
    whether the watchdog itself still watches. The first silence may begin with `start`.
    Raises ValueError unless timeout > 0.
    """

    def __init__(
        self,
        heartbeat: Heartbeat,
        timeout: float,
        on_silence: Callable[[float], None] | None = None,
        on_return: Callable[[float], None] | None = None,
    ) -> None:
        if not timeout > 0:
            raise ValueError(f"expected a timeout above 0 seconds, got {timeout}")
        self.heartbeat, self.timeout = heartbeat, timeout
        self.silent = False
        self.error: Exception | None = None
        self._on_silence, self._on_return = on_silence, on_return
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._looked = time.monotonic()

    def start(self) -> Self:
        """Watch, in a daemon thread. Raises RuntimeError when it watches already."""
        if self._thread is not None:
            raise RuntimeError("expected a watchdog that is not watching, got one that is; stop() it first")
        self._stop.clear()
        self._looked = time.monotonic()
        self._thread = threading.Thread(target=self._watch, name="outrider-watchdog", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Watch no longer."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stop.set()
            if thread is not threading.current_thread():
                thread.join()
        self.silent = False

    @property
    def alive(self) -> bool:
        """Whether it looked at the heartbeat within the last timeout, or two seconds where that is shorter."""
        thread = self._thread
        return thread is not None and thread.is_alive() and time.monotonic() - self._looked < max(self.timeout, 2.0)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _watch(self) -> None:
        seen, since = self.heartbeat.count, time.monotonic()
        while not self._stop.wait(self.timeout / 4):
            count, now = self.heartbeat.count, time.monotonic()
            self._looked = now
            if count != seen:
                if self.silent:
                    self.silent = False
                    self._tell(self._on_return, now - since)
                seen, since = count, now
            elif not self.silent and now - since >= self.timeout:
                self.silent = True
                self._tell(self._on_silence, now - since)

    def _tell(self, callback: Callable[[float], None] | None, seconds: float) -> None:
        try:
            if callback is not None:
                callback(seconds)
        except Exception as error:  # noqa: BLE001 (a listener must not end the watch)
            self.error = error
