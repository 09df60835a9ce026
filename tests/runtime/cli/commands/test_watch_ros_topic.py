"""`outrider watch ros2:/...` from end to end: a camera and a listener in processes of their own."""

from __future__ import annotations

import threading

import numpy as np
import pytest

pytest.importorskip("cyclonedds")
pytest.importorskip("rosbags")

from ...inputs.streams.live.ros_camera import DOMAIN, LOOPBACK, RosCamera
from ...outlets.ros2 import loops
from ..outcomes import lines_of

TOPIC, VERDICT = "/camera/image_raw", "rt/outrider/verdict"


def test_the_stamp_of_the_camera_comes_back_with_the_verdict(outrider, calibrated, clean, noise, tmp_path, monkeypatch):
    monkeypatch.setenv("CYCLONEDDS_URI", LOOPBACK)
    monkeypatch.setenv("ROS_DOMAIN_ID", str(DOMAIN))
    monkeypatch.setattr(loops, "DOMAIN", DOMAIN)
    camera, listener, done = RosCamera(tmp_path), loops.Subscriber(tmp_path, VERDICT), threading.Event()
    assert loops.wait(lambda: listener.heard("ready"))
    camera.open(TOPIC, reliable=True)
    sent = [np.repeat(picture[:, :, None], 3, axis=2) for picture in (*clean[:3], noise[0])]

    def send():
        place = 0
        while not done.wait(0.02):
            camera.send(TOPIC, sent[place % 4], (1_700_000_000 + place, 123_456_789))
            place += 1

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        result = outrider("watch", calibrated, f"ros2:{TOPIC}", "--ros2", "front", "--json", "--limit", "60")
        lines = lines_of(result)
        assert loops.wait(lambda: len(listener.heard("sample")) >= 20)
    finally:
        done.set()
        thread.join(loops.SOON)
        camera.close()
        listener.close()
    assert result.code == 1
    for line in lines:
        assert line["alarm"] == (round(line["time"] - 0.123456789) % 4 == 3), "the fourth picture is noise"
        assert line["frame"].startswith(f"{TOPIC}[")
        assert line["dropped"] >= 0
    times = {round(line["time"] - 0.123456789): line["status"].upper() for line in lines}
    for heard in listener.heard("sample"):
        assert heard["nanosec"] == 123_456_789
        assert dict(heard["values"])["status"] == times[heard["sec"]]
