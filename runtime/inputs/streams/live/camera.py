"""A camera as a stream, by its index or the path of its device."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import closing
from typing import Any

import numpy as np

from .....networks.packages import require
from ..decoding import decoded_frames, strict, to_picture
from .base import Live, Taken


class Camera(Live):
    """The pictures of a camera, by its index or, on Linux, by its device, such as /dev/v4l/by-id/usb-...-index0.

    A camera that goes away is opened again when it comes back: by its path, whatever index it has then. rate: frames a
    second asked of it, None for its own choice. patience: see `Live`.
    Raises ValueError for a camera that cannot be opened or gives no first picture, ImportError naming the extra
    `watch` without PyAV.
    """

    def __init__(self, device: int | str, rate: float | None = None, patience: float = 10.0) -> None:
        self._av = require("av", "cameras need more packages")
        self._rate = rate
        self._file, self._format = _device(self._av, device)
        name = f"camera {device}"
        super().__init__(name, patience)
        try:
            self._begin()
        except ValueError as error:
            raise ValueError(str(error).replace(name, f"{name} ({self._file})", 1)) from None

    def _items(self) -> Generator[Taken, None, None]:
        options = {} if self._rate is None else {"framerate": f"{self._rate:g}"}
        with closing(self._open(options)) as container:
            stream = strict(container.streams.video[0])
            for decoded, problem in decoded_frames(self._av, container, stream):
                yield Taken(decoded, problem)

    def _picture(self, what: Any) -> np.ndarray:
        return to_picture(what)

    def _open(self, options: dict[str, str]) -> Any:
        try:
            return self._av.open(self._file, format=self._format, options=options)
        except self._av.error.FFmpegError:
            if not options:
                raise
            return self._av.open(self._file, format=self._format)  # a camera may refuse a rate that it does not offer


def _device(av: Any, device: int | str) -> tuple[str, str]:
    """What FFmpeg calls a camera here: (file, format)."""
    if isinstance(device, str):
        return device, "v4l2"
    if sys.platform == "darwin":
        return f"{device}:none", "avfoundation"
    if sys.platform != "win32":
        return f"/dev/video{device}", "v4l2"
    names = [found.name for found in av.device.enumerate_input_devices("dshow") if "video" in found.media_types]
    if device >= len(names):
        raise ValueError(f"expected a camera below {len(names)}, got {device}; there are {', '.join(names) or 'none'}")
    return f"video={names[device]}", "dshow"
