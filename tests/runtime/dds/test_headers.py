"""The header of a message against the rules of CDR."""

from __future__ import annotations

import struct

import pytest

pytest.importorskip("cyclonedds")


def test_the_bytes_of_a_header():
    from outrider.runtime.dds.headers import RosHeader, Time

    data = RosHeader(Time(-2, 4_000_000_000), "cam").serialize(use_version_2=False)
    order = "<" if data[1] & 1 else ">"
    assert data[4:] == struct.pack(f"{order}iII", -2, 4_000_000_000, 4) + b"cam\0"
    assert RosHeader.__idl_typename__ == "std_msgs.msg.dds_.Header_"
