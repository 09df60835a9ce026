"""Bags of ROS 1 and 2, whole and damaged."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from outrider.monitor import OutriderWarning
from outrider.runtime.inputs.streams import image_message

from .recordings import HEIGHT, RGB, STAMP, WIDTH, colours, drive, image, pictures_of, write_bag, write_mcap


def write_bag1(ros, path, messages):
    rosbag1 = pytest.importorskip("rosbags.rosbag1")
    store = ros.typesys.get_typestore(ros.typesys.Stores.ROS1_NOETIC)
    kinds = {kind.split("/")[-1]: value for kind, value in store.types.items()}
    with rosbag1.Writer(path) as writer:
        connection = writer.add_connection("/camera", image_message.IMAGE, typestore=store)
        for seconds, pixels in messages:
            stamp = store.types["builtin_interfaces/msg/Time"](sec=int(seconds), nanosec=0)
            message = kinds["Image"](
                kinds["Header"](seq=0, stamp=stamp, frame_id=""), HEIGHT, WIDTH, "rgb8", 0, 3 * WIDTH,
                pixels.reshape(-1),
            )  # fmt: skip
            data = store.serialize_ros1(message, image_message.IMAGE)
            writer.write(connection, round(seconds * 1e9), data)
    return path


@pytest.mark.parametrize(
    "stamps", [(0, 0, 0, 0), (0, 0.03, 0.06, 0.09), (10, 10.03, 0, 10.09), (10, 10.03, 9e8, 10.09)]
)
def test_a_bag_has_one_clock_whatever_the_stamps(opened, ros, tmp_path, stamps):
    messages = [("/c", STAMP + row / 10, image(ros, RGB, stamp=stamp)) for row, stamp in enumerate(stamps)]
    for path in (write_mcap(ros, tmp_path / "a.mcap", messages), write_bag(ros, tmp_path / "bag", messages)):
        times = [frame.time for frame in opened(path)]
        assert times == pytest.approx([STAMP + row / 10 for row in range(4)], abs=1e-6)


@pytest.mark.parametrize("storage", ["SQLITE3", "MCAP"])
def test_a_ros_2_bag(opened, ros, tmp_path, storage):
    pixels, messages = drive(ros, padding=3)
    bag = write_bag(ros, tmp_path / "bag", messages, storage)
    places = [bag, *bag.glob("*.db3"), *bag.glob("*.mcap")]
    assert len(places) == 2
    for place in places:
        stream = opened(place)
        frames = list(stream)
        assert np.array_equal([frame.picture.transpose(1, 2, 0) for frame in frames], pixels)
        assert [frame.time for frame in frames] == pytest.approx([STAMP + row / 10 for row in range(5)], abs=1e-6)
        stream.close()
        stream.close()


def test_a_ros_1_bag(opened, ros, tmp_path):
    pixels = colours(3)
    path = write_bag1(ros, tmp_path / "a.bag", [(STAMP + row, picture) for row, picture in enumerate(pixels)])
    frames = list(opened(path))
    assert np.array_equal([frame.picture.transpose(1, 2, 0) for frame in frames], pixels)
    assert [frame.time for frame in frames] == [STAMP, STAMP + 1, STAMP + 2]


def test_a_bag_with_a_broken_message_ends_there_and_is_told(opened, ros, tmp_path):
    pixels, messages = drive(ros, 10)
    bag = write_bag(ros, tmp_path / "bag", messages, compress=True)
    (database,) = bag.glob("*.db3")
    with closing(sqlite3.connect(database)) as content, content:
        content.execute("UPDATE messages SET data = x'0011' WHERE timestamp = ?", (round((STAMP + 0.6) * 1e9),))
        assert content.execute("SELECT changes()").fetchone() == (1,)
    with pytest.warns(OutriderWarning, match=r"bag: the recording is not whole \(.*\); 6 pictures of /camera"):
        read = pictures_of(opened(bag))
    assert np.array_equal(read, pixels[:6])


def test_what_is_no_bag(opened, ros, tmp_path):
    bag = write_bag(ros, tmp_path / "bag", drive(ros)[1])
    (database,) = bag.glob("*.db3")
    database.write_bytes(database.read_bytes()[:-5000])
    with pytest.raises(ValueError, match="expected a ROS bag, got Cannot open database"):
        opened(bag)
    (bag / "metadata.yaml").write_text("no: bag")
    with pytest.raises(ValueError, match="expected a ROS bag, got A metadata key is missing"):
        opened(bag)
