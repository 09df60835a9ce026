"""`diagnostic_msgs/msg/DiagnosticArray` of ROS 2, as DDS has it. Imports cyclonedds.

See `runtime.dds.headers` for how the types of ROS are written down.
"""

import struct
import sys
from dataclasses import dataclass

import numpy as np
from cyclonedds.idl import IdlStruct
from cyclonedds.idl import annotations as annotate
from cyclonedds.idl.types import byte, sequence, uint8, uint32

from ...dds.headers import RosHeader, Time

__all__ = [
    "IMAGE_HASH",
    "TYPE_HASH",
    "DiagnosticArray",
    "DiagnosticStatus",
    "KeyValue",
    "MapImage",
    "RosHeader",
    "Time",
]

IMAGE_HASH = "RIHS01_d31d41a9a4c4bc8eae9be757b0beed306564f7526c88ea6a4588fb9582527d47"
TYPE_HASH = "RIHS01_5a8a36efb05fb25070fa0fb3810290c0e6cd4862b54a8fb975a1ee8dc55a333e"
"""Of the description of a type, like that of Image (REP-2016). Nodes of Iron and later look for it in USER_DATA."""


@dataclass
@annotate.final
class KeyValue(IdlStruct, typename="diagnostic_msgs.msg.dds_.KeyValue_"):
    """One value, as text."""

    key: str
    value: str


@dataclass
@annotate.final
class DiagnosticStatus(IdlStruct, typename="diagnostic_msgs.msg.dds_.DiagnosticStatus_"):
    """How one component does."""

    level: byte
    name: str
    message: str
    hardware_id: str
    values: sequence[KeyValue]


@dataclass
@annotate.final
class DiagnosticArray(IdlStruct, typename="diagnostic_msgs.msg.dds_.DiagnosticArray_"):
    """How several components do."""

    header: RosHeader
    status: sequence[DiagnosticStatus]

    def serialize(self, buffer=None, endianness=None, use_version_2=None) -> bytes:
        """The bytes that cyclonedds would make, several times as fast: it holds Python's lock, so the loop waits."""
        if buffer is not None or endianness is not None or use_version_2:
            return super().serialize(buffer, endianness, use_version_2)
        stamp = self.header.stamp
        out = bytearray(_ENCODING)
        out += _TIME.pack(stamp.sec, stamp.nanosec)
        _put(out, self.header.frame_id)
        _count(out, self.status)
        for status in self.status:
            out.append(status.level)
            _put(out, status.name)
            _put(out, status.message)
            _put(out, status.hardware_id)
            _count(out, status.values)
            for pair in status.values:
                _put(out, pair.key)
                _put(out, pair.value)
        return bytes(out)


@dataclass
@annotate.final
class MapImage(IdlStruct, typename="sensor_msgs.msg.dds_.Image_"):
    """A map as a picture of 32-bit floats; `data` may be bytes."""

    header: RosHeader
    height: uint32
    width: uint32
    encoding: str
    is_bigendian: uint8
    step: uint32
    data: sequence[uint8]

    @classmethod
    def of(cls, header: RosHeader, values: np.ndarray) -> "MapImage":
        """Of a map (height, width) float32."""
        height, width = values.shape
        data = np.ascontiguousarray(values, np.float32).tobytes()
        return cls(header, height, width, "32FC1", int(sys.byteorder == "big"), 4 * width, data)

    def serialize(self, buffer=None, endianness=None, use_version_2=None) -> bytes:
        """As `DiagnosticArray.serialize`: cyclonedds would take every byte by itself."""
        if buffer is not None or endianness is not None or use_version_2:
            return super().serialize(buffer, endianness, use_version_2)
        out = bytearray(_ENCODING)
        out += _TIME.pack(self.header.stamp.sec, self.header.stamp.nanosec)
        _put(out, self.header.frame_id)
        for number in (self.height, self.width):
            out += _GAPS[len(out) & 3]
            out += _LENGTH.pack(number)
        _put(out, self.encoding)
        out.append(self.is_bigendian)
        out += _GAPS[len(out) & 3]
        out += _LENGTH.pack(self.step)
        out += _LENGTH.pack(len(self.data))
        out += bytes(self.data)
        return bytes(out)


# Plain CDR in the machine's own order of bytes; what takes four begins at a multiple of four.
_ENCODING = b"\0\1\0\0" if sys.byteorder == "little" else b"\0\0\0\0"
_TIME, _LENGTH = struct.Struct("=iI"), struct.Struct("=I")
_GAPS = (b"", b"\0\0\0", b"\0\0", b"\0")


def _count(out: bytearray, items: list) -> None:
    out += _GAPS[len(out) & 3]
    out += _LENGTH.pack(len(items))


def _put(out: bytearray, text: str) -> None:
    data = text.encode()
    out += _GAPS[len(out) & 3]
    out += _LENGTH.pack(len(data) + 1)
    out += data
    out.append(0)
