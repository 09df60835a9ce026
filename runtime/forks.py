"""What a forked child does with what belongs to its parent: leave it alone, and say so.

A fork copies the memory of a process and none of its threads. Locks may be held there for ever by threads that do not
exist, and files and sockets are those of the parent.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

_Thing = TypeVar("_Thing")
_of_the_parent: weakref.WeakKeyDictionary[Any, Callable[[Any], object]] = weakref.WeakKeyDictionary()


def left_by_forks(thing: _Thing, leave: Callable[[_Thing], object]) -> None:
    """Have `leave(thing)` called in every child that is forked from this process, as long as the thing lives.

    It must let go of what is the parent's without waiting for a lock or a thread.
    """
    _of_the_parent[thing] = leave


def forked(made: str) -> str:
    """Why something does not work in a child. made: what the parent made."""
    return (
        f"expected the process that made {made}, got a fork of it; open the network, the monitor and {made} in the"
        " child, or start it by spawn"
    )


def in_forks(call: Callable[[], object]) -> None:
    """Have a function called in every child that is forked from this process."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=call)


def _leave_all() -> None:
    for thing, leave in list(_of_the_parent.items()):
        with suppress(Exception):  # the others are to be left all the same
            leave(thing)


in_forks(_leave_all)
