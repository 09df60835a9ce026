"""A pipeline of GStreamer as a stream, through an OpenCV that was built with it."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any

import numpy as np

from ....printable import without_credentials
from .base import Live, Taken

_OPENING_SECONDS = 10.0
_PREFIX = "gst:"
_SINK = " ! videoconvert ! video/x-raw,format=BGR ! appsink drop=true max-buffers=1 sync=false"


class GStreamer(Live):
    """The pictures of a GStreamer pipeline, as `gst-launch-1.0` takes it, with or without an `appsink` at its end.

    Without one, the newest picture in blue, green, red is asked for. Pictures of three channels are taken as such.
    patience: see `Live`. Raises ImportError where OpenCV is missing or was built without GStreamer, which is so for all
    that pip installs; ValueError for a pipeline that cannot be opened or gives no first picture.
    """

    def __init__(self, pipeline: str, patience: float = 10.0) -> None:
        self._cv2 = _opencv()
        bare = pipeline.removeprefix(_PREFIX).strip()
        self._pipeline = bare if re.search(r"\bappsink\b", bare) else bare + _SINK
        super().__init__(without_credentials(bare), patience, _OPENING_SECONDS)
        self._begin()

    def _items(self) -> Generator[Taken, None, None]:
        capture = self._cv2.VideoCapture(self._pipeline, self._cv2.CAP_GSTREAMER)
        try:
            if not capture.isOpened():
                raise ValueError("a pipeline that does not open; `gst-launch-1.0` says why")
            while True:
                there, pixels = capture.read()
                if not there:
                    return
                yield Taken(pixels)
        finally:
            capture.release()

    def _picture(self, what: Any) -> np.ndarray:
        if what.ndim == 2:
            return np.ascontiguousarray(what[None])
        if what.ndim != 3 or what.shape[2] not in (1, 3):
            raise ValueError(f"expected pictures of 1 or 3 channels, got an array {what.shape}; end it in BGR or GRAY8")
        return np.ascontiguousarray(what[:, :, ::-1].transpose(2, 0, 1))


def is_pipeline(source: str) -> bool:
    """Whether a text is a pipeline: elements joined by exclamation marks, or anything behind ``gst:``."""
    return source.startswith(_PREFIX) or " ! " in source


def _opencv() -> Any:
    what_to_do = "install one that has it, such as Debian's python3-opencv, or build it with -D WITH_GSTREAMER=ON"
    try:
        import cv2
    except ImportError:
        raise ImportError(f"GStreamer pipelines need an OpenCV built with GStreamer, got none; {what_to_do}") from None
    if not re.search(r"GStreamer:\s*YES", cv2.getBuildInformation()):
        raise ImportError(
            f"GStreamer pipelines need an OpenCV built with GStreamer, got {cv2.__version__} without it"
            f" (the wheels that pip installs have none); {what_to_do}"
        )
    return cv2
