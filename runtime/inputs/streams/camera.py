"""A camera as a stream: a thread of its own takes every picture, and only the newest waits."""

from __future__ import annotations

import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from ....monitor import OutriderWarning
from ....networks.packages import require
from .decoding import decoded_frames, frame_of, strict
from .frame import Frame

_TICK_SECONDS = 0.1
_RETRY_SECONDS = 1.0


class Camera:
    """The pictures of a camera, by its index. An OutriderWarning ends them after `patience` seconds without one.

    A camera that goes away is opened again when it comes back. rate: frames a second asked of it, None for its own
    choice. Raises ValueError for a camera that cannot be opened or gives no first picture, ImportError naming the extra
    `watch` without PyAV.
    """

    live = True

    def __init__(self, index: int, rate: float | None = None, patience: float = 10.0) -> None:
        self._av = require("av", "cameras need more packages")
        self._index, self._rate, self._patience = index, rate, patience
        self._file, self._format = _device(self._av, index)
        self._changed = threading.Condition()
        self._newest: tuple[Any, str, float] | None = None
        self._problem = ""
        self._stop = threading.Event()
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._serve, name="outrider camera", daemon=True)
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._problem, patience)
        if self._newest is None:
            self.close()
            problem = self._problem or f"no picture for {patience:g} s"
            raise ValueError(f"camera {index} ({self._file}): expected pictures, got {problem}")

    def __iter__(self) -> Iterator[Frame | None]:
        count, last, taken = 0, self._began, time.monotonic()
        while not self._stop.is_set():
            with self._changed:
                self._changed.wait_for(lambda: self._newest is not None, _TICK_SECONDS)
                newest, self._newest = self._newest, None
            if newest is not None:
                decoded, problem, last = newest
                taken = time.monotonic()
                yield frame_of(decoded, last - self._began, f"camera {self._index}[{count}]", problem, last)
                count += 1
            elif time.monotonic() - taken < self._patience:
                yield None
            else:
                why = f": {self._problem}" if self._problem else ""
                warnings.warn(
                    f"camera {self._index} gave no picture for {self._patience:g} s{why}", OutriderWarning, stacklevel=2
                )
                return

    def close(self) -> None:
        """Let go of the camera. One that hangs in a read keeps its thread, which ends with the process."""
        self._stop.set()
        self._thread.join(1.0)

    def _serve(self) -> None:
        while not self._stop.is_set():
            try:
                self._read()
                problem = "the end of the stream"
            except Exception as error:  # noqa: BLE001 (the thread lives until it is stopped, and tells)
                problem = getattr(error, "strerror", None) or str(error) or type(error).__name__
            with self._changed:
                self._problem = problem.lower()
                self._changed.notify_all()
            self._stop.wait(_RETRY_SECONDS)

    def _read(self) -> None:
        options = {} if self._rate is None else {"framerate": f"{self._rate:g}"}
        with closing(self._open(options)) as container:
            stream = strict(container.streams.video[0])
            for decoded, problem in decoded_frames(self._av, container, stream):
                with self._changed:
                    self._newest, self._problem = (decoded, problem, time.monotonic()), ""
                    self._changed.notify_all()
                if self._stop.is_set():
                    return

    def _open(self, options: dict[str, str]) -> Any:
        try:
            return self._av.open(self._file, format=self._format, options=options)
        except self._av.error.FFmpegError:
            if not options:
                raise
            return self._av.open(self._file, format=self._format)  # a camera may refuse a rate that it does not offer


def _device(av: Any, index: int) -> tuple[str, str]:
    """What FFmpeg calls a camera here: (file, format)."""
    if sys.platform == "darwin":
        return f"{index}:none", "avfoundation"
    if sys.platform != "win32":
        return f"/dev/video{index}", "v4l2"
    names = [device.name for device in av.device.enumerate_input_devices("dshow") if "video" in device.media_types]
    if index >= len(names):
        raise ValueError(f"expected a camera below {len(names)}, got {index}; there are {', '.join(names) or 'none'}")
    return f"video={names[index]}", "dshow"
