"""Frames of several streams, those that wait at one time together."""

from __future__ import annotations

import math
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from typing import Protocol

from ....monitor import OutriderWarning
from ...printable import without_credentials
from .frame import Frame, Stream
from .live import Live
from .pace import paced

_TICK_SECONDS = 0.1


class Several:
    """Streams by name, read at the same time: an iteration gives {name: frame} of all that wait, and {} after 0.1 s.

    What is live gives its newest frame. A recording keeps the pace at which it was recorded, or `rate`, and gives every
    frame, so that it falls behind where its frames are not asked for. An OutriderWarning tells of a live source without
    pictures for its `patience` and of a recording that cannot be read on, whose last frame has the problem. The others
    go on, and so does a live source that comes back. The end has come when every recording has ended and no live source
    gives anything. rates: frames a second at most, by stream. ended: the names of recordings that are over.
    """

    def __init__(self, streams: Mapping[str, Stream], rates: Mapping[str, float | None] | None = None) -> None:
        rates = rates or {}
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._feeds: dict[str, _Feed] = {
            name: _Newest(name, stream, rates.get(name), self._changed)
            if isinstance(stream, Live)
            else _Paced(name, stream, rates.get(name), self._changed, self._stop)
            for name, stream in streams.items()
        }

    def __iter__(self) -> Iterator[dict[str, Frame]]:
        for feed in self._feeds.values():
            feed.start()
        while not self._stop.is_set():
            with self._changed:
                self._changed.wait_for(lambda: any(feed.ready for feed in self._feeds.values()), self._seconds())
            taken = {name: feed.take() for name, feed in self._feeds.items()}
            frames = {name: frame for name, frame in taken.items() if frame is not None}
            if not frames and all(feed.over for feed in self._feeds.values()):
                return
            yield frames

    @property
    def ended(self) -> set[str]:
        return {name for name, feed in self._feeds.items() if feed.over and not feed.stream.live}

    def close(self) -> None:
        """Let go of all of them."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        for feed in self._feeds.values():
            feed.stream.close()

    def _seconds(self) -> float:
        """How long to wait: until a frame that waits already is due, or a tick."""
        return max(0.0, min([_TICK_SECONDS, *(feed.due - time.monotonic() for feed in self._feeds.values())]))


class _Feed(Protocol):
    """One of the streams. due: when a frame that waits may be taken, infinite where that does not matter."""

    @property
    def stream(self) -> Stream: ...
    @property
    def due(self) -> float: ...
    def start(self) -> None: ...
    @property
    def ready(self) -> bool: ...
    @property
    def over(self) -> bool: ...
    def take(self) -> Frame | None: ...


class _Newest:
    """A live source."""

    def __init__(self, name: str, stream: Live, rate: float | None, changed: threading.Condition) -> None:
        self.name, self.stream, self._step = name, stream, 1 / rate if rate else 0.0
        self._changed, self._next = changed, -math.inf
        self._since, self.over = time.monotonic(), False

    def start(self) -> None:
        self._since = time.monotonic()
        self.stream.told = self._tell

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()

    @property
    def due(self) -> float:
        return self._next if self.stream.waits else math.inf

    @property
    def ready(self) -> bool:
        return self.stream.waits and time.monotonic() >= self._next

    def take(self) -> Frame | None:
        now = time.monotonic()
        frame = self.stream.take() if now >= self._next else None
        if frame is not None:
            self._next = (self._next if now - self._next < self._step else now) + self._step
            self._since, self.over = now, False
        elif not self.over and now - self._since >= self.stream.patience:
            self.over = True
            text = f"{self.name}: {self.stream.absence()}; it is taken up again when it is back"
            warnings.warn(text, OutriderWarning, stacklevel=3)
        return frame


class _Paced:
    """A recording, read by a thread of its own, which waits until each frame is taken."""

    due = math.inf

    def __init__(
        self, name: str, stream: Stream, rate: float | None, changed: threading.Condition, stop: threading.Event
    ) -> None:
        self.name, self.stream, self._rate = name, stream, rate
        self._changed, self._stop = changed, stop
        self._waiting: Frame | None = None
        self._done, self._problem = False, ""
        self._thread = threading.Thread(target=self._read, name=f"outrider {name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def ready(self) -> bool:
        return self._waiting is not None

    @property
    def over(self) -> bool:
        return self._done and self._waiting is None

    def take(self) -> Frame | None:
        with self._changed:
            frame, self._waiting = self._waiting, None
            problem, self._problem = self._problem, ""
            self._changed.notify_all()
        if problem:
            warnings.warn(f"{self.name}: {problem}", OutriderWarning, stacklevel=3)
        return frame

    def _read(self) -> None:
        last = 0.0
        try:
            for frame in paced(self.stream, self._stop.wait, rate=self._rate, realtime=self._rate is None):
                if frame is not None:
                    last = frame.time
                    self._put(frame)
                if self._stop.is_set():
                    return
        except Exception as error:  # noqa: BLE001 (one stream that breaks must not end the others)
            self._problem = without_credentials(str(error) or type(error).__name__)
            self._put(Frame(last, None, self.name, problem=f"{self.name} cannot be read on: {self._problem}"))
        finally:
            with self._changed:
                self._done = True
                self._changed.notify_all()

    def _put(self, frame: Frame) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting is None or self._stop.is_set())
            self._waiting = frame
            self._changed.notify_all()
