"""The detections of an object detector, each with its own deviation from those of its class."""

from .verdict import BoxVerdict

__all__ = ["BoxVerdict"]
