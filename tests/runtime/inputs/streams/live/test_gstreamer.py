"""Pipelines, with an OpenCV of the test's own in the place of one that was built with GStreamer."""

from __future__ import annotations

import sys
from itertools import chain, repeat
from types import SimpleNamespace

import numpy as np
import pytest

from outrider.monitor import OutriderWarning
from outrider.runtime.inputs.streams.live import base

from ..recordings import RGB


class Cv2:
    """As much of OpenCV as is asked. pictures: what `read` gives before the end; None: a pipeline that is wrong."""

    CAP_GSTREAMER, __version__ = 1800, "4.6.0"

    def __init__(self, pictures, built="YES (1.22.0)"):
        self.pictures, self.built, self.asked = pictures, built, []

    def getBuildInformation(self):  # noqa: N802
        return f"  Video I/O:\n    FFMPEG:                      YES\n    GStreamer:                   {self.built}\n"

    def VideoCapture(self, pipeline, api):  # noqa: N802
        self.asked.append((pipeline, api))
        reads = chain(((True, one) for one in self.pictures or ()), repeat((False, None)))
        return SimpleNamespace(isOpened=lambda: self.pictures is not None, read=lambda: next(reads), release=list)


@pytest.fixture
def cv2(monkeypatch):
    monkeypatch.setattr(base, "_RETRY_SECONDS", 30.0)

    def use(pictures, **options):
        module = Cv2(pictures, **options)
        monkeypatch.setitem(sys.modules, "cv2", module)
        return module

    return use


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [(RGB[:, :, ::-1], RGB.transpose(2, 0, 1)), (RGB[:, :, 0], RGB[None, :, :, 0]), (RGB[:, :, :1], None)],
)
def test_pictures_are_turned_to_red_green_blue(opened, cv2, pixels, expected):
    module = cv2([pixels])
    stream = opened("gst:v4l2src device=/dev/video0 ! videorate", patience=0.05)
    with pytest.warns(OutriderWarning, match="v4l2src .* gave no picture for 0.05 s: the end of the stream"):
        (frame,) = [frame for frame in stream if frame]
    assert np.array_equal(frame.picture, RGB[None, :, :, 0] if expected is None else expected)
    assert frame.picture.flags.c_contiguous
    (pipeline, api), *_ = module.asked
    assert api == 1800
    assert pipeline.startswith("v4l2src device=/dev/video0 ! videorate ! videoconvert ! video/x-raw,format=BGR ! app")
    assert "drop=true max-buffers=1" in pipeline


def test_a_sink_of_ones_own_is_left_alone(opened, cv2):
    module = cv2([RGB])
    opened("videotestsrc ! appsink name=mine", patience=0.05)
    assert module.asked == [("videotestsrc ! appsink name=mine", 1800)]


def test_pictures_of_another_form_are_problems(opened, cv2):
    cv2([np.zeros((4, 4, 4), np.uint8)])
    frame = next(frame for frame in opened("a ! b", patience=5.0) if frame)
    assert frame.picture is None
    assert "expected pictures of 1 or 3 channels, got an array (4, 4, 4)" in frame.problem


def test_a_pipeline_that_does_not_open_is_refused_without_its_password(opened, cv2):
    cv2(None)
    with pytest.raises(ValueError, match=r"got a pipeline that does not open; `gst-launch-1.0` says why") as refused:
        opened("rtspsrc location=rtsp://a/1 user-pw=geheim ! decodebin")
    assert "geheim" not in str(refused.value)


def test_an_opencv_without_it_says_what_to_do(opened, cv2, monkeypatch):
    cv2([RGB], built="NO")
    with pytest.raises(
        ImportError, match=r"need an OpenCV built with GStreamer, got 4.6.0 without it .*WITH_GSTREAMER"
    ):
        opened("videotestsrc ! fakesink")
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ImportError, match=r"got none; install one that has it"):
        opened("gst:videotestsrc")
