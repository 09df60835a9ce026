"""Bags of ROS 1 and 2, whole and damaged."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

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


def without_metadata(ros, folder, pixels, storage="SQLITE3"):
    """A folder of recordings of two pictures each, drive_9 before drive_10, as a crash of the recorder leaves it."""
    folder.mkdir()
    for place in range(0, len(pixels), 2):
        messages = [("/camera", STAMP + place + row, image(ros, pixels[place + row])) for row in range(2)]
        bag = write_bag(ros, folder.parent / f"bag_{place}", messages, storage)
        (file,) = [file for file in bag.iterdir() if file.suffix in (".db3", ".mcap")]
        shutil.move(file, folder / f"drive_{9 + place // 2}{file.suffix}")
    return folder


@pytest.mark.parametrize("storage", ["SQLITE3", "MCAP"])
def test_a_folder_without_metadata_is_read_by_its_files_in_order(opened, ros, tmp_path, storage):
    pixels = colours(6)
    folder = without_metadata(ros, tmp_path / "drive", pixels, storage)
    frames = list(opened(folder))
    assert np.array_equal([frame.picture.transpose(1, 2, 0) for frame in frames], pixels)
    assert [frame.time for frame in frames] == [STAMP + row for row in range(6)]
    with pytest.raises(
        ValueError, match=r"drive: expected pictures in topic /left, got none of that name; there are /"
    ):
        opened(folder, topic="/left")


def test_a_file_among_several_that_is_broken_is_left_out(opened, ros, tmp_path):
    pixels = colours(4)
    folder = without_metadata(ros, tmp_path / "drive", pixels)
    (folder / "drive_11.db3").write_bytes(b"")
    with pytest.warns(OutriderWarning, match=r"drive_11.db3: expected a ROS bag, got .*; its pictures are left out"):
        stream = opened(folder)
    assert np.array_equal(pictures_of(stream), pixels)
    for file in folder.iterdir():
        file.write_bytes(b"")
    with pytest.raises(ValueError, match=r"drive_9.db3: expected a ROS bag, got "):
        opened(folder)


# ROS's own recorder, as Debian installs it for its own Python.
RECORDER = """
import sys
import genpy, rosbag
from sensor_msgs.msg import CompressedImage, Image

path, compression, height, width, stamp, source = sys.argv[1:]
height, width, stamp = int(height), int(width), int(stamp)
pixels = open(source, "rb").read()
size = 3 * height * width
with rosbag.Bag(path, "w", compression=compression) as bag:
    for row in range(len(pixels) // size):
        message = Image(height=height, width=width, encoding="bgr8", step=3 * width)
        message.header.frame_id = "camera"
        message.data = pixels[row * size : (row + 1) * size]
        bag.write("/camera/image_raw", message, genpy.Time(stamp + row, 500000000))
        picture = CompressedImage(format="png", data=open(source + ".png", "rb").read())
        bag.write("/camera/image_raw/compressed", picture, genpy.Time(stamp + row, 600000000))
"""


@pytest.mark.parametrize("compression", ["none", "bz2", "lz4"])
def test_a_bag_that_the_tool_of_ros_1_recorded(opened, tmp_path, compression):
    python = shutil.which("python3", path="/usr/bin")
    probe = [python or "python3", "-c", "import rosbag, sensor_msgs.msg"]
    if python is None or subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("no rosbag of ROS 1: apt install python3-rosbag python3-sensor-msgs")
    pytest.importorskip("rosbags")
    pixels, pillow = colours(4), pytest.importorskip("PIL.Image")
    source, bag = tmp_path / "pixels", tmp_path / "a.bag"
    source.write_bytes(pixels[..., ::-1].tobytes())
    pillow.fromarray(RGB).save(f"{source}.png", "PNG")
    arguments = [str(bag), compression, str(HEIGHT), str(WIDTH), str(STAMP), str(source)]
    script = tmp_path / "record.py"
    script.write_text(RECORDER, encoding="utf-8")
    subprocess.run([python, str(script), *arguments], check=True, cwd=tmp_path, env={}, capture_output=True)
    assert Path(bag).read_bytes().startswith(b"#ROSBAG V2.0\n")
    frames = list(opened(bag, topic="/camera/image_raw"))
    assert np.array_equal([frame.picture.transpose(1, 2, 0) for frame in frames], pixels)
    assert [frame.time for frame in frames] == [STAMP + row + 0.5 for row in range(4)]
    assert np.array_equal(pictures_of(opened(bag, topic="/camera/image_raw/compressed")), [RGB] * 4)
    with pytest.raises(ValueError, match=r"got /camera/image_raw, /camera/image_raw/compressed; topic= says which"):
        opened(bag)


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
