"""`diagnostic_msgs/msg/DiagnosticArray` of ROS 2, as DDS has it. Imports cyclonedds.

See `runtime.dds.headers` for how the types of ROS are written down.
"""

import struct
import sys
from dataclasses import dataclass

from cyclonedds.idl import IdlStruct
from cyclonedds.idl import annotations as annotate
from cyclonedds.idl.types import byte, sequence

from ...dds.headers import RosHeader, Time

__all__ = ["TYPE_HASH", "DiagnosticArray", "DiagnosticStatus", "KeyValue", "RosHeader", "Time"]

TYPE_HASH = "RIHS01_5a8a36efb05fb25070fa0fb3810290c0e6cd4862b54a8fb975a1ee8dc55a333e"
"""Of the type's description (REP-2016). Nodes of Iron and later look for it in a writer's USER_DATA."""


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
