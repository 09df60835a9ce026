"""Live sources of pictures: cameras, streams over a network, pipelines of GStreamer."""

from __future__ import annotations

from .base import Live
from .camera import Camera
from .gstreamer import GStreamer
from .remote import Remote

__all__ = ["Camera", "GStreamer", "Live", "Remote"]
