"""The bytes of image messages: what is received stays as it came."""

from __future__ import annotations

import struct

import pytest

pytest.importorskip("cyclonedds")


@pytest.mark.parametrize(
    ("name", "order"), [(b"\0\1\0\0", "<"), (b"\0\0\0\0", ">"), (b"\0\7\0\0", "<"), (b"\0\6\0\0", ">")]
)
def test_every_encoding_has_its_stamp_and_the_name_that_ros_knows(name, order):
    from outrider.runtime.dds.images import RosImage

    body = struct.pack(f"{order}iI", -1, 4_000_000) + b"rest"
    message = RosImage.deserialize(name + body)
    assert message.stamp_ns == -1_000_000_000 + 4_000_000
    assert message.data == (b"\0\1\0\0" if order == "<" else b"\0\0\0\0") + body
    assert RosImage.deserialize(name + bytes(8)).stamp_ns is None
    assert RosImage.deserialize_key(name) is None


def test_types_are_named_as_ros_names_them_in_dds():
    from outrider.runtime.dds.images import RosCompressedImage, RosImage

    names = [kind.__idl_typename__ for kind in (RosImage, RosCompressedImage)]
    assert names == ["sensor_msgs.msg.dds_.Image_", "sensor_msgs.msg.dds_.CompressedImage_"]
