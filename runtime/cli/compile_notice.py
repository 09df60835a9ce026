"""A word to the user while numba compiles the kernels, as it does at the first use of an installation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import event


@contextmanager
def telling_of_compilation(say: Callable[[str], object], *, quiet: bool = False) -> Iterator[None]:
    """Say once that it takes a while if numba compiles something while the block runs."""
    if quiet:
        yield
        return
    with event.install_listener("numba:compile", _Once(say)):
        yield


class _Once(event.Listener):
    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self._said = False

    def on_start(self, _event: Any) -> None:
        if not self._said:
            self._said = True
            self._say(
                "compiling the kernels, which may take half a minute; the next command finds them in numba's cache"
            )

    def on_end(self, _event: Any) -> None:
        """Nothing is said of the end."""
