"""A video file as a stream, decoded by FFmpeg through PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ....networks.packages import require
from .frame import Frame

_FAILURES = 32
"""Broken packets in a row that count as the end of the file."""


class Video:
    """The frames of the first video stream of a file, turned upright as the file says.

    Times are those of the file, from its first frame on. A packet that cannot be decoded is a frame with a problem.
    Raises ValueError for a file that is no video, ImportError naming the extra `watch` without PyAV.
    """

    live = False

    def __init__(self, path: Path) -> None:
        self._path, self._av = path, require("av", "videos need more packages")
        try:
            self._container = self._av.open(str(path))
        except self._av.error.FFmpegError as error:
            raise ValueError(f"{path}: expected a video, got {error.strerror or error}") from None
        if not self._container.streams.video:
            self._container.close()
            raise ValueError(f"{path}: expected a video, got a file without pictures")
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "AUTO"

    def __iter__(self) -> Iterator[Frame]:
        start, last, step = None, 0.0, 1 / float(self._stream.average_rate or 30)
        for index, (decoded, problem) in enumerate(self._decoded()):
            if decoded is None:
                last += step
                yield Frame(last, None, f"{self._path}[{index}]", problem=problem)
                continue
            if decoded.time is None:
                last += step if start is not None else 0.0
                start = start or 0.0
            else:
                start = decoded.time - last if start is None else start
                last = decoded.time - start
            yield Frame(last, to_picture(decoded), f"{self._path}[{index}]")

    def _decoded(self) -> Iterator[tuple[Any, str]]:
        """(frame, "") or (None, problem), packet by packet; the empty packet at the end flushes the decoder."""
        failures = 0
        packets = self._container.demux(self._stream)
        while failures < _FAILURES:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                for decoded in packet.decode():
                    failures = 0
                    yield decoded, ""
            except self._av.error.FFmpegError as error:
                if isinstance(error, self._av.error.EOFError):
                    return
                failures += 1
                yield None, f"{self._path}: expected a frame of a video, got {error.strerror or error}"

    def close(self) -> None:
        self._container.close()


def to_picture(decoded: Any) -> np.ndarray:
    """A frame of PyAV as (1 or 3, height, width) uint8: luminance where its format has nothing else, upright."""
    grey = len(decoded.format.components) == 1 and not decoded.format.has_palette
    pixels: np.ndarray = decoded.to_ndarray(format="gray" if grey else "rgb24")
    turns = round(getattr(decoded, "rotation", 0) / 90) % 4
    if turns:
        pixels = np.rot90(pixels, turns)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
