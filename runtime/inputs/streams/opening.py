"""The stream that a text names: a folder, a video, a camera, a URL, a topic, a pipeline, an MCAP file or a bag."""

from __future__ import annotations

import re
from pathlib import Path

from ....networks.pictures.reading import IMAGE_SUFFIXES
from ...printable import without_credentials
from .folder import Folder, natural_order
from .frame import Stream
from .live import Camera, GStreamer, Remote, RosTopic
from .live.gstreamer import is_pipeline
from .live.remote import is_url
from .live.ros_topic import PREFIX
from .mcap_file import McapFile
from .ros_bag import RosBag
from .video import Video

ASSUMED_RATE = 30.0
"""Pictures of a folder in a second, unless a rate is given."""

_RECORDINGS: dict[str, type[McapFile | RosBag]] = {".mcap": McapFile, ".db3": RosBag, ".bag": RosBag}


def open_stream(source: str, *, topic: str | None = None, rate: float | None = None, patience: float = 10.0) -> Stream:
    """Open the stream that `source` names.

    source: the index or device of a camera, the URL of a stream (see `Remote`), ros2:/TOPIC (see `RosTopic`), a
    pipeline of GStreamer, a ROS 2 bag (a folder with metadata.yaml), an .mcap file, a .db3 file of ROS 2 or a .bag file
    of ROS 1, a folder of such files, in the order of their names, a folder of pictures or one of them; any other file
    is a video.
    topic: of a bag, needed where several hold pictures. rate: frames a second, of a folder (30 by default) or asked of
    a camera. patience: see `Live`.
    Raises FileNotFoundError, ValueError or ImportError that say what was expected.
    """
    if is_pipeline(source):
        _refuse_topic("a pipeline", topic)
        return GStreamer(source, patience)
    if is_url(source):
        _refuse_topic(without_credentials(source), topic)
        return Remote(source, patience)
    if source.startswith(PREFIX):
        _refuse_topic(source, topic)
        return RosTopic(source, patience)
    path = Path(source)
    if path.is_char_device():
        _refuse_topic(source, topic)
        return Camera(source, rate, patience)
    camera = re.fullmatch(r"(?:/dev/video)?(\d+)", source)
    if camera and not (path.is_dir() or path.is_file()):
        _refuse_topic(source, topic)
        return Camera(int(camera[1]), rate, patience)
    if not path.exists():
        raise FileNotFoundError(
            f"{source}: expected a folder, a video, an .mcap file, a ROS bag, a URL or the index of a camera,"
            " got no such file"
        )
    if path.is_dir():
        if (path / "metadata.yaml").is_file():
            return RosBag([path], topic)
        for suffix, kind in _RECORDINGS.items():
            if files := sorted(path.glob(f"[!.]*{suffix}"), key=lambda file: natural_order(file.name)):
                return kind(files, topic)
        _refuse_topic(source, topic)
        return Folder(path, rate or ASSUMED_RATE)
    if path.suffix in _RECORDINGS:
        return _RECORDINGS[path.suffix]([path], topic)
    _refuse_topic(source, topic)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return Folder(path, rate or ASSUMED_RATE)
    return Video(path)


def _refuse_topic(source: str, topic: str | None) -> None:
    if topic is not None:
        raise ValueError(f"expected topic= only for an .mcap file or a ROS bag, got {source}, which has no topics")
