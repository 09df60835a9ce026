"""What speaking DDS as ROS 2 does needs: names, and the types of messages that are read."""

from __future__ import annotations

from .names import domain_id, topic_name

__all__ = ["domain_id", "topic_name"]
