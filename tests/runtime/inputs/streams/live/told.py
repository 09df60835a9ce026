"""A live source that gives what a test puts into it."""

from __future__ import annotations

import threading
from queue import SimpleQueue

from outrider.runtime.inputs.streams.live.base import Live, Taken

SOON = 30.0


class Told(Live):
    """picture: makes the picture of what was put in. An Exception is raised, None is the end of the stream.

    lost: how many the way has lost, item by item.
    """

    def __init__(self, *first, picture, patience=SOON, lost=(), name="told"):
        super().__init__(name, patience)
        self.queue, self.lost, self.picture = SimpleQueue(), iter(lost), picture
        self.idle = threading.Semaphore(0)  # released each time everything so far was taken
        for item in first:
            self.queue.put(item)
        self._begin()

    def _items(self):
        while True:
            if self.queue.empty():
                self.idle.release()
            item = self.queue.get()
            if isinstance(item, Exception):
                raise item
            if item is None:
                return
            yield item if isinstance(item, Taken) else Taken(item)

    def _picture(self, what):
        return self.picture(what)

    def _lost(self):
        return next(self.lost, 0)

    def tell(self, *items):
        """Put in, and wait until all are taken."""
        while self.idle.acquire(blocking=False):
            pass
        for item in items:
            self.queue.put(item)
        assert self.idle.acquire(timeout=SOON)

    def close(self):
        self._stop.set()
        self.queue.put(0)
        super().close()
