"""`std_msgs/msg/Header` of ROS 2, as DDS has it. Imports cyclonedds.

Names and order of the fields are those of the .msg files, and part of the type. A type a::msg::T is `a::msg::dds_::T_`
in DDS; it is final, and goes over the wire as XCDR1. `from __future__ import annotations` would hide the types from
cyclonedds, which reads them as they stand.
"""

from dataclasses import dataclass

from cyclonedds.idl import IdlStruct
from cyclonedds.idl import annotations as annotate
from cyclonedds.idl.types import int32, uint32


@dataclass
@annotate.final
class Time(IdlStruct, typename="builtin_interfaces.msg.dds_.Time_"):
    """Seconds since 1970, UTC, and nanoseconds."""

    sec: int32
    nanosec: uint32


@dataclass
@annotate.final
class RosHeader(IdlStruct, typename="std_msgs.msg.dds_.Header_"):
    """When, and in which coordinate frame."""

    stamp: Time
    frame_id: str
