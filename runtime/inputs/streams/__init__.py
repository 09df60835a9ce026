"""Streams of pictures to watch: folders, videos, MCAP files, ROS bags and what is live, one frame at a time."""

from __future__ import annotations

from .folder import Folder
from .frame import Frame, Stream
from .image_message import decoder, read_frames
from .live import Camera, GStreamer, Live, Remote, RosTopic
from .mcap_file import McapFile
from .opening import ASSUMED_RATE, open_stream
from .pace import paced
from .ros_bag import RosBag
from .several import Several
from .video import Video

__all__ = [
    "ASSUMED_RATE", "Camera", "Folder", "Frame", "GStreamer", "Live", "McapFile", "Remote", "RosBag", "RosTopic",
    "Several", "Stream", "Video", "decoder", "open_stream", "paced", "read_frames",
]  # fmt: skip
