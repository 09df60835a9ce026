"""`sensor_msgs/msg/Image` and `CompressedImage` of ROS 2, as DDS has them. Imports cyclonedds; see `headers`.

What is received stays the bytes that came: cyclonedds would make a Python number of every byte of a picture.
"""

# mypy: ignore-errors

import struct
from dataclasses import dataclass
from typing import Any

from cyclonedds.idl import IdlStruct
from cyclonedds.idl import annotations as annotate
from cyclonedds.idl.types import sequence, uint8, uint32

from .headers import RosHeader

_STAMP = 4  # behind the four bytes that name the encoding


class RosBytes:
    """A message as it came: the bytes of its CDR, in the encoding that rosbags and ROS know as such.

    XCDR2 lays these types out as XCDR1 does, since no number of theirs has 8 bytes; its name is replaced.
    """

    def __init__(self, data: bytes) -> None:
        self.little = bool(data[1] & 1)
        self.data = bytes((0, self.little, 0, 0)) + data[4:]
        self.sample_info: Any = None

    @property
    def stamp_ns(self) -> int | None:
        """The stamp of the header in nanoseconds; None where nobody set it."""
        seconds, nanoseconds = struct.unpack_from("<iI" if self.little else ">iI", self.data, _STAMP)
        return seconds * 1_000_000_000 + nanoseconds or None


@classmethod
def _as_bytes(cls, data: bytes, has_header: bool = True, use_version_2: bool | None = None) -> RosBytes:
    return RosBytes(data)


@classmethod
def _without_key(cls, data: bytes, has_header: bool = True, use_version_2: bool | None = None) -> None:
    return None


@dataclass
@annotate.final
class RosImage(IdlStruct, typename="sensor_msgs.msg.dds_.Image_"):
    """A picture as numbers."""

    header: RosHeader
    height: uint32
    width: uint32
    encoding: str
    is_bigendian: uint8
    step: uint32
    data: sequence[uint8]

    deserialize, deserialize_key = _as_bytes, _without_key


@dataclass
@annotate.final
class RosCompressedImage(IdlStruct, typename="sensor_msgs.msg.dds_.CompressedImage_"):
    """A picture as a JPEG or PNG file."""

    header: RosHeader
    format: str
    data: sequence[uint8]

    deserialize, deserialize_key = _as_bytes, _without_key
