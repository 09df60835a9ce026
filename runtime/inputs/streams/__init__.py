"""Streams of pictures to watch: folders, videos, cameras, MCAP files and ROS bags, one frame at a time."""

from __future__ import annotations

from .camera import Camera
from .folder import Folder
from .frame import Frame, Stream
from .mcap_file import McapFile
from .opening import ASSUMED_RATE, open_stream
from .pace import paced
from .ros_bag import RosBag
from .video import Video

__all__ = ["ASSUMED_RATE", "Camera", "Folder", "Frame", "McapFile", "RosBag", "Stream", "Video", "open_stream", "paced"]
