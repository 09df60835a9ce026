"""What a ROS 2 node expects to hear of a guard, over DDS and without ROS: see docs/how-to/ros2.md."""

from __future__ import annotations

from ...dds.names import domain_id, topic_name
from .publisher import Ros2Publisher
from .statements import LEVELS

__all__ = ["LEVELS", "Ros2Publisher", "domain_id", "topic_name"]
