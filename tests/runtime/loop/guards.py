"""Guards at work, for the tests of the guard."""

from __future__ import annotations

import time

from outrider.monitor import Status
from outrider.runtime import Guard

SOON = 20.0  # seconds: far more than anything here takes


def guard(monitor, **options):
    return Guard(monitor, **options).warm_up()


def statuses(guard, *several):
    return [guard(frame)[1].status.name for frame in several]


def stale(watching):
    end = time.monotonic() + SOON
    while watching.status != Status.STALE and time.monotonic() < end:
        time.sleep(0.01)
    return watching.status == Status.STALE
