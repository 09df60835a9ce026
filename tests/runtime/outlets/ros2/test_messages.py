"""The bytes of a message against the rules of CDR and against cyclonedds, and the hash of its type."""

from __future__ import annotations

import struct
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from .loops import type_hash

pytest.importorskip("cyclonedds")


def test_the_bytes_are_those_of_the_cdr_rules():
    from outrider.runtime.outlets.ros2 import messages as m

    array = m.DiagnosticArray(
        m.RosHeader(m.Time(-2, 4_000_000_000), "cam"),
        [
            m.DiagnosticStatus(2, "η", "", "hw", [m.KeyValue("score", "1.5")]),
            m.DiagnosticStatus(3, "b", "no", "", []),
        ],
    )
    little = sys.byteorder == "little"
    order = "<" if little else ">"

    def length(value):
        return struct.pack(order + "I", value)

    # OMG CDR: a string is its length with the zero at its end, its bytes and the zero; a sequence its length and its
    # items; an octet stands where it stands, an integer at a multiple of its size, counted behind the four bytes that
    # name the encoding (RTPS 2.2, 10.2.1.2: CDR_LE is 0x0001).
    expected = (
        (b"\x00\x01\x00\x00" if little else b"\x00\x00\x00\x00")
        + struct.pack(order + "iI", -2, 4_000_000_000)
        + length(4) + b"cam\0"  # 16
        + length(2)  # 20
        + b"\x02" + b"\0\0\0"  # 24
        + length(3) + b"\xce\xb7\0" + b"\0"  # 32
        + length(1) + b"\0" + b"\0\0\0"  # 40
        + length(3) + b"hw\0" + b"\0"  # 48
        + length(1)  # 52
        + length(6) + b"score\0" + b"\0\0"  # 64
        + length(4) + b"1.5\0"  # 72
        + b"\x03" + b"\0\0\0"  # 76
        + length(2) + b"b\0" + b"\0\0"  # 84
        + length(3) + b"no\0" + b"\0"  # 92
        + length(1) + b"\0" + b"\0\0\0"  # 100
        + length(0)
    )  # fmt: skip
    assert array.serialize() == expected
    assert m.DiagnosticArray.deserialize(expected) == array


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9)
pairs = st.lists(st.tuples(texts, texts), max_size=3)


@given(
    st.integers(-(1 << 31), (1 << 31) - 1), st.integers(0, (1 << 32) - 1), texts,
    st.lists(st.tuples(st.integers(0, 255), texts, texts, texts, pairs), max_size=3),
)  # fmt: skip
def test_the_bytes_are_those_of_cyclonedds(sec, nanosec, frame_id, statuses):
    from cyclonedds.idl import IdlStruct

    from outrider.runtime.outlets.ros2 import messages as m

    array = m.DiagnosticArray(
        m.RosHeader(m.Time(sec, nanosec), frame_id),
        [m.DiagnosticStatus(*rest, [m.KeyValue(*pair) for pair in values]) for *rest, values in statuses],
    )
    assert array.serialize(use_version_2=False) == IdlStruct.serialize(array, use_version_2=False)
    assert array.serialize(use_version_2=True) == IdlStruct.serialize(array, use_version_2=True)


@given(st.integers(0, (1 << 31) - 1), texts, st.integers(1, 5), st.integers(1, 7))
def test_the_bytes_of_a_map_are_those_of_cyclonedds(sec, frame_id, height, width):
    from cyclonedds.idl import IdlStruct

    from outrider.runtime.outlets.ros2 import messages as m

    values = np.random.default_rng(sec).random((height, width), np.float32)
    image = m.MapImage.of(m.RosHeader(m.Time(sec, 7), frame_id), values)
    assert (image.height, image.width, image.encoding, image.step) == (height, width, "32FC1", 4 * width)
    whole = replace(image, data=list(image.data))
    assert image.serialize(use_version_2=False) == IdlStruct.serialize(whole, use_version_2=False)
    assert image.serialize() == IdlStruct.serialize(whole, use_version_2=False)
    read = np.frombuffer(bytes(m.MapImage.deserialize(image.serialize()).data), np.float32)
    np.testing.assert_array_equal(read.reshape(values.shape), values)


def test_the_hash_of_images_is_that_of_another_implementation():
    typesys = pytest.importorskip("rosbags.typesys")
    from outrider.runtime.outlets.ros2.messages import IMAGE_HASH

    store = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)
    assert store.hash_rihs01("sensor_msgs/msg/Image") == IMAGE_HASH


def test_the_hash_is_that_of_the_type():
    from outrider.runtime.outlets.ros2.messages import TYPE_HASH

    assert type_hash() == TYPE_HASH
