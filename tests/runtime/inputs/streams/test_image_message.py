"""Image messages of ROS: which topic is watched, and messages that cannot be read."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.runtime.inputs.streams.encodings.rows import EncodingError

from .recordings import LIGHT, RGB, compressed, drive, image, pictures_of, write_bag, write_mcap


def test_an_unknown_encoding_is_named_with_those_that_are_known(opened, ros, tmp_path):
    path = write_mcap(ros, tmp_path / "a.mcap", [("/camera", 1.0, image(ros, LIGHT, "32FC2"))])
    with pytest.raises(EncodingError, match=r"encoded as mono8, .*bayer_bggr16, got '32FC2'"):
        list(opened(path))


def test_an_encoding_that_is_broken_on_the_way_ends_no_watch(opened, ros, tmp_path):
    encodings = enumerate(["mono8", "mono9", "mono8"])
    messages = [("/camera", float(at), image(ros, LIGHT, encoding)) for at, encoding in encodings]
    frames = list(opened(write_mcap(ros, tmp_path / "a.mcap", messages)))
    assert [frame.picture is None for frame in frames] == [False, True, False]
    assert "/camera[1]: expected an image message, got expected pictures encoded as" in frames[1].problem


def two_cameras(ros, path):
    return write_mcap(ros, path, [("/left", 1.0, image(ros, RGB)), ("/right", 1.0, compressed(ros, RGB[::-1]))])


def test_topics_are_chosen_by_name(opened, ros, tmp_path):
    path = str(two_cameras(ros, tmp_path / "a.mcap"))
    assert np.array_equal(pictures_of(opened(path, topic="/left")), [RGB])
    assert np.array_equal(pictures_of(opened(path, topic="/right")), [RGB[::-1]])
    with pytest.raises(ValueError, match=r"expected one topic of pictures, got /left, /right; topic= says which"):
        opened(path)
    with pytest.raises(ValueError, match=r"in topic /up, got none of that name; there are /left, /right"):
        opened(path, topic="/up")


def test_a_topic_without_pictures(opened, ros, tmp_path):
    _, messages = drive(ros)
    with pytest.raises(ValueError, match=r"got one of std_msgs/msg/String; there are /camera"):
        opened(write_bag(ros, tmp_path / "bag", messages), topic="/odometry")
    path = write_mcap(ros, tmp_path / "a.mcap", messages[1::2])
    with pytest.raises(ValueError, match=r"got /odometry \(std_msgs/msg/String\)"):
        opened(path)
    with pytest.raises(ValueError, match=r"expected a topic of sensor_msgs/Image or CompressedImage, got none"):
        opened(write_mcap(ros, tmp_path / "b.mcap", []))
