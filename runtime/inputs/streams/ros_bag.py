"""ROS bags as a stream: folders of ROS 2, their .db3 files, .bag files of ROS 1."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from ....networks.packages import require
from .frame import Frame
from .image_message import choose_topic, decoder, image_type, read_frames, whole


class RosBag:
    """The pictures of one topic of a bag, in the order they were recorded.

    The first message that cannot be read ends the stream with an OutriderWarning. Raises ValueError for what is no bag
    or a topic that is not there (see `choose_topic`), ImportError naming the extra `watch`.
    """

    live, dropped, reconnects = False, 0, 0

    def __init__(self, path: Path, topic: str | None = None) -> None:
        version, encoding = (1, "ros1") if path.suffix == ".bag" else (2, "cdr")
        rosbag = require(f"rosbags.rosbag{version}", "ROS bags need more packages")
        self._path = path
        self._open = ExitStack()
        try:
            self._reader = self._open.enter_context(rosbag.Reader(path))
        except Exception as error:  # noqa: BLE001 (a dozen kinds: YAML, SQLite, MCAP, zstd, struct)
            raise ValueError(f"{path}: expected a ROS bag, got {str(error) or type(error).__name__}") from None
        try:
            types = {connection.topic: connection.msgtype for connection in self._reader.connections}
            self.topic = choose_topic(path, types, topic)
            self._connections = [found for found in self._reader.connections if found.topic == self.topic]
            self._decode = decoder(image_type(types[self.topic]) or "", encoding)
        except BaseException:
            self._open.close()
            raise

    def __iter__(self) -> Iterator[Frame]:
        found = self._reader.messages(self._connections)
        messages = ((nanoseconds, self._decode, bytes(data)) for _, nanoseconds, data in found)
        return read_frames(self.topic, whole(messages, f"{self._path}", self.topic))

    def close(self) -> None:
        self._open.close()
