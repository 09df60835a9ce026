"""Image topics of ROS 2, published by a second process on loopback."""

from __future__ import annotations

import io
import threading
import time

import numpy as np
import pytest

from outrider.monitor import OutriderWarning
from outrider.networks.packages import install_hint
from outrider.runtime.inputs.streams.live import base, ros_topic

pytest.importorskip("cyclonedds")
pytest.importorskip("rosbags")

from ..recordings import RGB, colours
from .ros_camera import DOMAIN, LOOPBACK, RosCamera

SOON = 30.0
STAMP = (1_700_000_000, 123_456_789)
TOPIC = "/camera/image_raw"


@pytest.fixture(autouse=True)
def loopback(monkeypatch):
    monkeypatch.setenv("CYCLONEDDS_URI", LOOPBACK)
    monkeypatch.setenv("ROS_DOMAIN_ID", str(DOMAIN))
    monkeypatch.setattr(base, "_RETRY_SECONDS", 0.01)


@pytest.fixture
def ros(tmp_path):
    process = RosCamera(tmp_path)
    yield process
    process.close()


@pytest.fixture
def heard(opened):
    """A stream of a topic, opened while `send` is called again and again: a volatile topic tells nobody what was."""

    def start(topic, send, **options):
        done, failed = threading.Event(), []

        def sending():
            try:
                while not done.wait(0.02):
                    send()
            except Exception as error:  # noqa: BLE001 (a test has to know)
                failed.append(error)

        thread = threading.Thread(target=sending, daemon=True)
        thread.start()
        try:
            return opened(f"ros2:{topic}", patience=SOON, **options)
        finally:
            done.set()
            thread.join(SOON)
            assert not failed

    return start


def next_of(frames, condition=lambda frame: True):
    return next(frame for frame in frames if frame is not None and condition(frame))


def until(condition):
    end = time.monotonic() + SOON
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


@pytest.mark.parametrize(("reliable", "xcdr2"), [(False, False), (True, False), (False, True)])
def test_pictures_come_with_the_stamp_of_the_camera(heard, ros, reliable, xcdr2):
    ros.open(TOPIC, reliable=reliable, xcdr2=xcdr2)
    stream = heard(TOPIC, lambda: ros.send(TOPIC, RGB[:, :, ::-1], STAMP))
    frame = next_of(stream)
    assert np.array_equal(frame.picture.transpose(1, 2, 0), RGB)
    assert (frame.stamp_ns, frame.name) == (1_700_000_000_123_456_789, f"{TOPIC}[0]")
    assert frame.time == pytest.approx(1_700_000_000.123456789)
    assert 0 <= time.monotonic() - frame.captured < SOON
    assert stream.live


def test_the_newest_waits_and_the_others_are_counted(heard, ros):
    pixels = colours(5)
    ros.open(TOPIC, reliable=True)
    stream = heard(TOPIC, lambda: ros.send(TOPIC, pixels[0], (1, 0)))
    frames = iter(stream)
    next_of(frames)
    while next(frames) is not None:
        pass
    before = stream.dropped
    for place in range(1, 5):
        ros.send(TOPIC, pixels[place], (1 + place, 0))
    assert until(lambda: stream.dropped == before + 3)
    frame = next_of(frames)
    assert np.array_equal(frame.picture.transpose(1, 2, 0), pixels[4][:, :, ::-1])
    assert frame.time == 5.0


def test_compressed_pictures(heard, ros):
    pillow = pytest.importorskip("PIL.Image")
    file = io.BytesIO()
    pillow.fromarray(RGB).save(file, "PNG")
    topic = f"{TOPIC}/compressed"
    ros.open(topic, "sensor_msgs/CompressedImage")
    stream = heard(topic, lambda: ros.send_compressed(topic, file.getvalue(), STAMP))
    assert np.array_equal(next_of(stream).picture.transpose(1, 2, 0), RGB)
    ros.send_compressed(topic, b"no picture", STAMP)
    frame = next_of(stream, lambda frame: frame.problem)
    assert frame.picture is None
    assert "expected a picture" in frame.problem


def test_a_message_of_several_megabytes(heard, ros):
    pixels = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), np.uint8)
    ros.open(TOPIC, reliable=True)
    stream = heard(TOPIC, lambda: ros.send(TOPIC, pixels, STAMP, "rgb8"))
    assert np.array_equal(next_of(stream).picture, pixels.transpose(2, 0, 1))


def test_a_stamp_that_nobody_set_is_the_time_of_arrival(heard, ros):
    ros.open(TOPIC)
    before = time.time()
    frame = next_of(heard(TOPIC, lambda: ros.send(TOPIC, RGB, (0, 0))))
    assert frame.stamp_ns is None
    assert before <= frame.time <= time.time()


def test_a_topic_that_vanishes_is_taken_up_again(heard, ros):
    ros.open(TOPIC)
    stream = heard(TOPIC, lambda: ros.send(TOPIC, RGB, STAMP))
    frames = iter(stream)
    next_of(frames)
    ros.leave(TOPIC)
    assert until(lambda: stream._problem == "nobody publishes it any more")
    ros.open(TOPIC)
    assert until(lambda: ros.matched(TOPIC))

    def sent():
        ros.send(TOPIC, RGB, STAMP)
        return next(frames) is not None

    with pytest.warns(OutriderWarning, match=rf"^{TOPIC} is there again after .* \(nobody publishes it any more\)$"):
        assert until(sent)
    assert stream.reconnects == 1


def test_a_topic_that_does_not_appear(opened, ros, monkeypatch):
    monkeypatch.setattr(ros_topic, "_OPENING_SECONDS", 0.0)
    with pytest.raises(
        ValueError, match=rf"^/left: expected pictures, got no such topic in domain {DOMAIN} for 0.1 s; "
    ):
        opened("ros2:/left", patience=0.1)
    ros.open(TOPIC)
    ros.open("/chatter", "std_msgs/String")
    message = ""
    end = time.monotonic() + SOON
    while "there are /camera/image_raw" not in message and time.monotonic() < end:  # discovery takes its time
        with pytest.raises(ValueError, match="no such topic") as refused:
            opened("ros2:left", patience=0.5)
        message = str(refused.value)
    assert f"no such topic in domain {DOMAIN} for 0.5 s; there are {TOPIC}" in message
    with pytest.raises(ValueError, match=r"^/chatter: expected pictures, got a topic of std_msgs/msg/String$"):
        opened("ros2:/chatter", patience=3.0)
    with pytest.raises(ValueError, match=r"got nothing for 3 s from a topic that is there$"):
        opened(f"ros2:{TOPIC}", patience=3.0)


def test_names_and_packages(opened, monkeypatch):
    with pytest.raises(ValueError, match=r"expected a ROS 2 name, .*, got '/a b'"):
        opened("ros2:/a b")
    monkeypatch.setitem(__import__("sys").modules, "cyclonedds.core", None)
    with pytest.raises(ImportError) as missing:
        opened("ros2:/a")
    assert str(missing.value) == f"subscribing to ROS 2 needs one more package: {install_hint('dds')}"
