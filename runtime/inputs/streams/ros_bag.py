"""ROS bags as a stream: folders of ROS 2, their .db3 files, .bag files of ROS 1."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ....monitor import OutriderWarning
from .frame import Frame, require
from .image_message import Decode, choose_topic, decoder, image_type, read_frames


class RosBag:
    """The pictures of one topic of a bag, in the order they were recorded.

    The first message that cannot be read ends the stream with an OutriderWarning. Raises ValueError for what is no bag
    or a topic that is not there (see `choose_topic`), ImportError naming the extra `watch`.
    """

    live = False

    def __init__(self, path: Path, topic: str | None = None) -> None:
        rosbag = require("rosbags.rosbag1" if path.suffix == ".bag" else "rosbags.rosbag2", "ROS bags")
        self._path, self._encoding = path, "ros1" if path.suffix == ".bag" else "cdr"
        self._open = ExitStack()
        try:
            self._reader = self._open.enter_context(rosbag.Reader(path))
        except Exception as error:  # noqa: BLE001 (a dozen kinds: YAML, SQLite, MCAP, zstd, struct)
            raise ValueError(f"{path}: expected a ROS bag, got {str(error) or type(error).__name__}") from None
        try:
            types = {connection.topic: connection.msgtype for connection in self._reader.connections}
            self.topic = choose_topic(path, types, topic)
            self._connections = [found for found in self._reader.connections if found.topic == self.topic]
            self._decode = decoder(image_type(types[self.topic]) or "", self._encoding)
        except BaseException:
            self._open.close()
            raise

    def __iter__(self) -> Iterator[Frame]:
        return read_frames(self.topic, self._messages())

    def _messages(self) -> Iterator[tuple[int, Decode, bytes]]:
        messages: Iterator[tuple[Any, int, Any]] = self._reader.messages(self._connections)
        count = 0
        while True:
            try:
                found = next(messages, None)
            except Exception as error:  # noqa: BLE001 (what decompression and parsing raise for damaged bytes)
                warnings.warn(
                    f"{self._path}: the recording is not whole ({str(error) or type(error).__name__});"
                    f" {count} pictures of {self.topic} could be read",
                    OutriderWarning, stacklevel=2,
                )  # fmt: skip
                return
            if found is None:
                return
            yield found[1], self._decode, bytes(found[2])
            count += 1

    def close(self) -> None:
        self._open.close()
