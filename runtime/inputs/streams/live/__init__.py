"""Live sources of pictures: cameras, streams over a network, topics of ROS 2, pipelines of GStreamer."""

from __future__ import annotations

from .base import Live
from .camera import Camera
from .gstreamer import GStreamer
from .remote import Remote
from .ros_topic import RosTopic

__all__ = ["Camera", "GStreamer", "Live", "Remote", "RosTopic"]
