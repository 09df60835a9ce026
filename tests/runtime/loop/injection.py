"""Failures injected into a running guard, one by one.

Each ends in the status that is due, never in OK where one is due; what the network computed comes back; the loop goes
on; and every event that was acknowledged before or during the failure is in the log afterwards.
"""

from __future__ import annotations

import numpy as np

from outrider.monitor import Status
from outrider.networks import Network
from outrider.runtime import EventLog, Guard
from outrider.runtime.log.file import older_files
from outrider.runtime.log.reader import read_events

from ..small_network import CLEAN, STRANGE, calibrated, frames

SOON = 60.0
OK, WARN, ALARM, FAULT, STALE = Status


class Failures(dict):
    """Functions by the name of a failure: each brings it about and says what is due."""

    def __call__(self, name):
        def add(inject):
            assert name not in self
            self[name] = inject
            return inject

        return add


class Boom(Exception):
    pass


def boom(*_, **__):
    raise Boom("injected")


def raising(error):
    def raise_it(*_, **__):
        raise error

    return raise_it


class Loose:
    """The network without buffers that stay where they are, as an engine of the user's own."""

    def __init__(self, network):
        self._network = network

    buffered = Network.buffered

    def __getattr__(self, name):
        return getattr(self._network, name)


class Scene:
    """A guard at work, its log with one acknowledged alarm, and what may be broken."""

    def __init__(self, folder, patch):
        self.folder, self.patch = folder, patch
        self.monitor = calibrated()
        self.network = self.monitor.network
        self.output = self.monitor(CLEAN)[0]
        self.log = EventLog(folder / "log" / "events.jsonl", thumbnail_seconds=0.0)
        self.acknowledged = 0

    def start(self, *, monitor=None, **options):
        """A guard that has seen a clean frame, an alarm, which is on the disk, and a clean frame again."""
        self.guard = Guard(monitor or self.monitor, log=self.log, **options).warm_up()
        for frame, status in ((CLEAN, OK), (STRANGE, ALARM), (frames(1, 8)[0], OK)):
            assert self.guard(frame)[1].status == status
        self.flush()
        return self.guard

    def flush(self):
        assert self.log.flush(SOON)
        self.acknowledged = self.log.health().synced

    def expect(self, status, reason="", frame=CLEAN, output="own", **options):
        """Hand a frame in: the status and reason due, and the network's own output, or the one given."""
        got, verdict = self.guard(frame, **options)
        assert verdict.status == status
        assert reason in verdict.reason
        if isinstance(output, str):
            output = self.output if np.shape(frame) != CLEAN.shape or (frame == CLEAN).all() else None
            assert output is not None, "say which output"
        if output is None:
            assert got is None
        else:
            np.testing.assert_array_equal(got, output)
        return verdict

    def own(self, frame):
        """What the network says of a frame."""
        return self.network.run(frame[None])[0]

    def heal(self):
        """Undo what was patched: the next clean frame is OK."""
        self.patch.undo()
        self.expect(OK)

    def observing(self, change):
        """Have the guard see what `change` makes of each observation."""
        observe = self.guard.judge._observe
        self.patch.setattr(self.guard.judge, "_observe", lambda batch: change(observe(batch)))

    def events(self):
        files = [*(old for _, old in older_files(self.log.path)), self.log.path]
        return [event for file in files if file.exists() for event in read_events(file)]

    def finish(self):
        """What holds after every failure: what was acknowledged is in the log, in order."""
        self.patch.undo()
        kept = self.log.health().synced
        assert kept >= self.acknowledged
        self.guard.close()
        self.log.close(SOON)
        events = self.events()
        assert len(events) >= kept
        alarms = [event.frame for event in events if event.kind == "alarm"]
        assert alarms == sorted(alarms)
