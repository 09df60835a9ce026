"""Events, and what a log holds of them, for the tests of the event log."""

from __future__ import annotations

import errno
import os
import time

from outrider.monitor import Status
from outrider.runtime.log.events import Event
from outrider.runtime.log.file import older_files
from outrider.runtime.log.reader import read_events, read_records

WRITE, SYNC = os.write, os.fsync
EVENT = Event("alarm", 0, 10**18, 10**9, Status.ALARM, Status.OK, 1.5, 1.0, 0.35, 3, ("relu1:unit",), "high", 812.5)


def event(frame):
    return EVENT._replace(frame=frame, wall_ns=EVENT.wall_ns + frame, monotonic_ns=EVENT.monotonic_ns + frame)


def frames(path):
    """The frame ids in a log, the rotated files first."""
    files = [*(old for _, old in older_files(path)), path]
    return [found.frame for file in files for found in read_events(file)]


def records(path, kind):
    return [record for _, record in read_records(path) if isinstance(record, kind)]


def until(condition, seconds=60.0):
    """Wait for a condition that another thread brings about."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.002)


def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
