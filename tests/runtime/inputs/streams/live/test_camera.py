"""Cameras, with FFmpeg's own test picture in the place of a device."""

from __future__ import annotations

import threading
import time
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest

from outrider.monitor import OutriderWarning
from outrider.runtime.inputs.streams.live import base, camera

from ..recordings import HEIGHT, RGB, WIDTH


@pytest.fixture
def device(monkeypatch):
    pytest.importorskip("av")

    def use(file, kind="lavfi"):
        monkeypatch.setattr(camera, "_device", lambda _av, _index: (file, kind))

    monkeypatch.setattr(base, "_RETRY_SECONDS", 0.01)
    return use


def test_a_camera_gives_its_newest_picture(opened, device):
    device(f"testsrc=size={WIDTH}x{HEIGHT}:rate=200,realtime")
    stream = opened("0")
    assert stream.live
    frames = []
    for frame in stream:
        if frame is not None:
            frames.append(frame)
            time.sleep(0.05)
        if len(frames) == 5:
            break
    stream.close()
    assert all(frame.picture.shape == (3, HEIGHT, WIDTH) for frame in frames)
    assert np.diff([frame.time for frame in frames]).min() > 0.02
    assert np.diff([frame.captured for frame in frames]) == pytest.approx(np.diff([frame.time for frame in frames]))
    assert frames[0].captured <= time.monotonic()


def test_a_camera_that_is_not_there(opened, device):
    device("/dev/nowhere", "v4l2")
    with pytest.raises(
        ValueError, match=r"camera 3 \(/dev/nowhere\): expected pictures, got no such file or directory"
    ):
        opened("3")


def test_a_camera_that_goes_away_is_told_and_not_waited_for(opened, device):
    device(f"testsrc=size={WIDTH}x{HEIGHT}:rate=50:duration=0.2,realtime")
    stream = opened("0", patience=0.5)
    device("/dev/nowhere", "v4l2")
    stream._file, stream._format = "/dev/nowhere", "v4l2"
    with pytest.warns(OutriderWarning, match=r"camera 0 gave no picture for 0.5 s: no such file or directory"):
        items = list(stream)
    assert items[-1] is None
    assert [item for item in items if item is not None]


def test_a_camera_that_comes_back_is_taken_up_again(opened, device):
    device(f"testsrc=size={WIDTH}x{HEIGHT}:rate=50:duration=0.1,realtime")  # each opening gives five pictures
    stream = opened("0", patience=20.0)
    with pytest.warns(OutriderWarning, match=r"camera 0 is there again after .* \(the end of the stream\)"):
        frames = list(islice((frame for frame in stream if frame), 12))
    stream.close()
    assert np.all(np.diff([frame.time for frame in frames]) > 0)
    assert stream.reconnects >= 1


def test_a_camera_is_named_by_its_device(monkeypatch, opened):
    av = pytest.importorskip("av")
    asked = []

    def open_(file, **options):
        asked.append((file, options))
        raise av.error.OSError(16, "Device or resource busy")

    monkeypatch.setattr(av, "open", open_)
    with pytest.raises(ValueError, match=r"camera /dev/null \(/dev/null\): expected pictures, got device or resource"):
        opened("/dev/null", rate=12.5)  # the one character device that is everywhere
    assert asked[0] == ("/dev/null", {"format": "v4l2", "options": {"framerate": "12.5"}})


class Stalled:
    """A device whose second picture never comes."""

    def __init__(self, picture):
        self.picture, self.released = picture, threading.Event()
        stream = SimpleNamespace(codec_context=SimpleNamespace(name="rawvideo"))
        self.streams = SimpleNamespace(video=[stream])

    def demux(self, _stream):
        yield SimpleNamespace(is_corrupt=False, size=1, pts=0, decode=lambda: [self.picture])
        self.released.wait(20)

    def close(self):
        pass


def test_a_camera_that_hangs_is_told_and_not_waited_for(opened, device, monkeypatch):
    av = pytest.importorskip("av")
    stalled = Stalled(av.VideoFrame.from_ndarray(RGB, "rgb24"))
    device("/dev/video0", "v4l2")
    monkeypatch.setattr(av, "open", lambda *_, **__: stalled)
    stream = opened("0", patience=0.3)
    with pytest.warns(OutriderWarning, match=r"camera 0 gave no picture for 0.3 s$"):
        first, *rest = list(stream)
    assert np.array_equal(first.picture.transpose(1, 2, 0), RGB)
    assert set(rest) == {None}
    stalled.released.set()
    stream.close()
