"""Notices silence from outside the loop: the guard raises a counter, and a thread or another process reads it."""

from __future__ import annotations

import math
import os
import struct
import sys
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ...monitor.attributes import strict
from ..forks import left_by_forks

if TYPE_CHECKING:
    from typing_extensions import Self

_FORM = struct.Struct("=qq")


class Heartbeat:
    """How many frames there were and when the last one was, in 16 bytes that processes of one machine may share.

    path: a file that other processes open by the same path; None keeps it in the memory of this one. Choose /run or
    /dev/shm: no disk is behind them, and a restart of the machine removes the file. Elsewhere a beat from before the
    restart may pass for a newer one. The time is CLOCK_MONOTONIC, which all processes share. The file is written and
    read, not mapped, so a file that others cut short or remove kills nobody; the next beat mends what was cut.
    """

    __slots__ = "__weakref__", "_at", "_count", "_file", "path"

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = None if path is None else Path(path)
        self._count, self._at = 0, 0
        self._file: int | None = None
        if self.path is not None:
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
            self._file = os.open(self.path, flags, 0o644)
            weakref.finalize(self, os.close, self._file)
            self._count, self._at = self._read()

    def beat(self) -> None:
        """One frame more, now. Raises OSError where the file cannot be written; the frame is counted all the same."""
        self._count, self._at = self._count + 1, time.monotonic_ns()
        if self._file is not None:
            _write(self._file, _FORM.pack(self._count, self._at))

    @property
    def count(self) -> int:
        """How many beats there were."""
        return self._read()[0]

    @property
    def age(self) -> float:
        """Seconds since the last beat; infinite where there was none, or none since the machine started."""
        at = self._read()[1]
        since = time.monotonic_ns() - at
        return since / 1e9 if at > 0 and since >= 0 else math.inf

    def _read(self) -> tuple[int, int]:
        """(count, time of the last) as the file has them; what this process knows where there is no whole one."""
        there = b"" if self._file is None else _read(self._file)
        return _FORM.unpack(there) if len(there) == _FORM.size else (self._count, self._at)


if sys.platform == "win32":

    def _write(file: int, data: bytes) -> None:
        os.lseek(file, 0, os.SEEK_SET)
        os.write(file, data)

    def _read(file: int) -> bytes:
        os.lseek(file, 0, os.SEEK_SET)
        return os.read(file, _FORM.size)

else:

    def _write(file: int, data: bytes) -> None:
        os.pwrite(file, data, 0)

    def _read(file: int) -> bytes:
        return os.pread(file, _FORM.size, 0)


@strict
class Watchdog:
    """Notices that a heartbeat stopped.

    timeout: seconds without a beat that count as silence; the first may begin with `start`. on_silence(seconds) and
    on_return(seconds) are called once for each silence, in the watchdog's own `thread`. What they raise is kept in
    `error` and ends nothing. A callback may `stop` the watchdog and `start` it again. `alive`: whether it watches.
    Raises ValueError unless timeout is above 0 and one that a thread can wait for.
    """

    def __init__(
        self,
        heartbeat: Heartbeat,
        timeout: float,
        on_silence: Callable[[float], None] | None = None,
        on_return: Callable[[float], None] | None = None,
    ) -> None:
        if not 0 < timeout <= threading.TIMEOUT_MAX:
            raise ValueError(f"expected a timeout above 0 and up to {threading.TIMEOUT_MAX:g} seconds, got {timeout}")
        self.heartbeat, self.timeout = heartbeat, timeout
        self._patience = max(timeout, 2.0)
        self.silent = False
        self.error: Exception | None = None
        self._on_silence, self._on_return = on_silence, on_return
        self._stop = threading.Event()
        self.thread: threading.Thread | None = None
        self._looked = time.monotonic()
        left_by_forks(self, Watchdog._leave)

    def start(self) -> Self:
        """Watch, in a daemon thread. Raises RuntimeError when it watches already."""
        if self.thread is not None:
            raise RuntimeError("expected a watchdog that is stopped, got one that watches; call stop() first")
        self._stop = threading.Event()
        self._looked = time.monotonic()
        self.thread = threading.Thread(target=self._watch, args=(self._stop,), name="outrider-watchdog", daemon=True)
        self.thread.start()
        return self

    def stop(self) -> None:
        """Watch no longer."""
        thread, self.thread = self.thread, None
        if thread is not None:
            self._stop.set()
            if thread is not threading.current_thread():
                thread.join()
        self.silent = False

    @property
    def alive(self) -> bool:
        """Whether it looked at the heartbeat within the last timeout, or two seconds where that is shorter."""
        return self.thread is not None and time.monotonic() - self._looked < self._patience

    def _leave(self) -> None:
        """In the child of a fork, which has no such thread: it watches no longer."""
        self.thread, self._stop, self._looked, self.silent = None, threading.Event(), -math.inf, False

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _watch(self, stop: threading.Event) -> None:
        """Each thread has its own `stop`: one that was stopped in its callback ends when that returns."""
        try:
            self._look(stop)
        finally:
            if stop is self._stop:
                self._looked = -math.inf

    def _look(self, stop: threading.Event) -> None:
        seen, since = self.heartbeat.count, time.monotonic()
        while not stop.wait(self.timeout / 4):
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
