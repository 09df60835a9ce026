"""A video file as a stream, decoded by FFmpeg through PyAV."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ....monitor import OutriderWarning
from ....networks.packages import require
from .decoding import decoded_frames, frame_of, strict
from .frame import Frame

_SHORT = 1.0  # seconds that a video may end before its file says: the last frame may last, and encoders count on


class Video:
    """The frames of the first video stream of a file, turned upright as the file says.

    Times are those of the file, from its first frame on. A packet that cannot be decoded is a frame with a problem, and
    so is a picture that the decoder calls damaged, with those after it up to the next key frame. An
    OutriderWarning says where the frames end long before the file says they do.
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
        index = -1
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
        seconds = self._seconds()
        if seconds - last > max(_SHORT, 3 * step) and not index + 1 >= self._stream.frames > 0:
            text = (
                f"{self._path}: the video is not whole (it says {seconds:.1f} s, its frames end after {last:.1f} s);"
                f" {index + 1:,} frames could be read"
            )
            warnings.warn(text, OutriderWarning, stacklevel=2)

    def _seconds(self) -> float:
        """How long the file says that it is; 0 where it does not, or may mean its sound."""
        stream, container = self._stream, self._container
        if stream.duration is not None:
            return float(stream.duration * stream.time_base)
        return (container.duration or 0) / self._av.time_base if len(container.streams) == 1 else 0.0

    def _frames(self) -> Iterator[tuple[Any, str]]:
        try:
            yield from decoded_frames(self._av, self._container, self._stream)
        except self._av.error.EOFError:
            return
        except self._av.error.FFmpegError as error:
            yield None, f"expected more packets of a video, got {error.strerror or error}"

    def close(self) -> None:
        self._container.close()
