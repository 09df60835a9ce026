"""The end of a command by a signal: Ctrl-C, or the SIGTERM of systemd, docker and kill."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self

_STEP_SECONDS = 0.1


class Stop:
    """Obeys signals, by default Ctrl-C and SIGTERM, from entering it as a context manager to leaving it.

    After `later`, the first signal only sets `asked`. Before `later`, and from the second on, a signal ends the block
    at once: Ctrl-C by KeyboardInterrupt, SIGTERM by SystemExit(143), the status that shells give it. `asked` is a bare
    flag: a handler that sets a threading.Event can hang on the lock of the wait that it interrupts. Outside of the main
    thread signals are left alone.
    """

    def __init__(self, *signals: int) -> None:
        self._signals = signals or (signal.SIGINT, signal.SIGTERM)
        self.asked = False
        self._at_once = True
        self._before: dict[int, Any] = {}

    def later(self) -> None:
        """From now on the first signal is obeyed between two frames."""
        self._at_once = False

    def wait(self, seconds: float) -> None:
        """Sleep for so long, or until a signal comes."""
        until = time.monotonic() + seconds
        while not self.asked and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _STEP_SECONDS))

    def _handle(self, number: int, _frame: object) -> None:
        if self._at_once:
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)
        self.asked = self._at_once = True

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in self._signals:
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
