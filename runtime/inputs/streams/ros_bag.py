"""ROS bags as a stream: folders of ROS 2, their .db3 files, .bag files of ROS 1."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any

from ....monitor import OutriderWarning
from ....networks.packages import require
from .frame import Frame
from .image_message import Decode, choose_topic, decoder, image_type, read_frames, whole


class RosBag:
    """The pictures of one topic of a bag, or of several files one after the other, in the order they were recorded.

    The first message that cannot be read ends its file with an OutriderWarning. Of several files, one that cannot be
    opened is left out with another. Raises ValueError for what is no bag or a topic that is not there (see
    `choose_topic`), ImportError naming the extra `watch`.
    """

    live, dropped, reconnects = False, 0, 0

    def __init__(self, paths: Sequence[Path], topic: str | None = None) -> None:
        self._open = ExitStack()
        self._parts: list[tuple[Path, Any]] = []
        problems = []
        try:
            for path in paths:
                rosbag = require(f"rosbags.rosbag{1 if _is_first(path) else 2}", "ROS bags need more packages")
                try:
                    self._parts.append((path, self._open.enter_context(rosbag.Reader(path))))
                except Exception as error:  # noqa: BLE001 (a dozen kinds: YAML, SQLite, MCAP, zstd, struct)
                    problems.append(f"{path}: expected a ROS bag, got {str(error) or type(error).__name__}")
            if not self._parts:
                raise ValueError(problems[0])
            for problem in problems:
                warnings.warn(f"{problem}; its pictures are left out", OutriderWarning, stacklevel=3)
            types = {found.topic: found.msgtype for _, reader in self._parts for found in reader.connections}
            self.topic = choose_topic(paths[0] if len(paths) == 1 else paths[0].parent, types, topic)
            self._kind = image_type(types[self.topic]) or ""
        except BaseException:
            self._open.close()
            raise

    def __iter__(self) -> Iterator[Frame]:
        return read_frames(self.topic, chain.from_iterable(self._messages(*part) for part in self._parts))

    def _messages(self, path: Path, reader: Any) -> Iterator[tuple[int, Decode, bytes]]:
        decode = decoder(self._kind, "ros1" if _is_first(path) else "cdr")
        found = reader.messages([one for one in reader.connections if one.topic == self.topic])
        messages = ((nanoseconds, decode, bytes(data)) for _, nanoseconds, data in found)
        return whole(messages, f"{path}", self.topic)

    def close(self) -> None:
        self._open.close()


def _is_first(path: Path) -> bool:
    """Whether a file is of ROS 1."""
    return path.suffix == ".bag"
