"""A video file as a stream, decoded by FFmpeg through PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ....networks.packages import require
from .decoding import decoded_frames, frame_of, strict
from .frame import Frame


class Video:
    """The frames of the first video stream of a file, turned upright as the file says.

    Times are those of the file, from its first frame on. A packet that cannot be decoded is a frame with a problem, and
    so is a picture that the decoder calls damaged, with those after it up to the next key frame.
    Raises ValueError for a file that is no video, ImportError naming the extra `watch` without PyAV.
    """

    live, dropped, reconnects = False, 0, 0

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
        strict(self._stream)

    def __iter__(self) -> Iterator[Frame]:
        start, last, step = None, 0.0, 1 / float(self._stream.average_rate or 30)
        for index, (decoded, problem) in enumerate(self._frames()):
            name = f"{self._path}[{index}]"
            if decoded is None:
                last += step
            elif decoded.time is None:
                last += step if start is not None else 0.0
                start = start or 0.0
            else:
                start = decoded.time - last if start is None else start
                last = decoded.time - start
            yield frame_of(decoded, last, name, problem)

    def _frames(self) -> Iterator[tuple[Any, str]]:
        try:
            yield from decoded_frames(self._av, self._container, self._stream)
        except self._av.error.EOFError:
            return
        except self._av.error.FFmpegError as error:
            yield None, f"expected more packets of a video, got {error.strerror or error}"

    def close(self) -> None:
        self._container.close()
