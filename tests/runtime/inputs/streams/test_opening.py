"""Which stream a text names."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.runtime.inputs.streams import opening


@pytest.mark.parametrize("name", ["a.mcap", "a.db3", "a.bag", "a.mp4"])
@pytest.mark.parametrize("content", [b"", b"no such thing" * 100])
def test_files_of_other_content(opened, tmp_path, name, content):
    pytest.importorskip("av")
    pytest.importorskip("rosbags")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name}: expected an? (MCAP file|ROS bag|video), got "):
        opened(tmp_path / name)


def test_no_such_source(opened, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere.mp4: expected a folder, a video, an .mcap file"):
        opened(tmp_path / "nowhere.mp4")


@pytest.mark.parametrize("source", ["photos", "photos/frame_1.png", "0"])
def test_only_bags_have_topics(opened, photos, source, monkeypatch):
    monkeypatch.chdir(photos.parent)
    with pytest.raises(
        ValueError, match=f"expected topic= only for an .mcap file or a ROS bag, got {source}, which has no"
    ):
        opened(source, topic="/camera")


def test_one_picture_is_read_as_in_a_folder(opened, tmp_path):
    image_module = pytest.importorskip("PIL.Image")
    turned = image_module.Exif()
    turned[0x112] = 6
    image_module.fromarray(np.zeros((4, 6), np.uint8)).save(tmp_path / "a.JPG", exif=turned)
    image_module.fromarray(np.full((4, 6), 0.5, np.float32)).save(tmp_path / "b.tif")
    (frame,) = opened(tmp_path / "a.JPG")
    assert (frame.picture.shape, frame.name) == ((1, 6, 4), str(tmp_path / "a.JPG"))
    (frame,) = opened(tmp_path / "b.tif")
    assert (frame.picture.dtype, frame.picture.max()) == (np.float32, 0.5)


def test_a_folder_named_like_a_camera_is_a_folder(opened, photos, monkeypatch):
    monkeypatch.chdir(photos.parent)
    photos.rename("0")
    stream = opened("0", rate=2.0)
    assert [frame.time for frame in stream] == [0.0, 0.5, 1.0, 1.5]
    assert not stream.live


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("rtsp://me:secret@camera/1", "Remote"),
        ("HTTPS://camera/video.mjpg", "Remote"),
        ("udp://@239.0.0.1:5000", "Remote"),
        ("rtspsrc location=rtsp://camera/1 ! decodebin", "GStreamer"),
        ("gst:v4l2src", "GStreamer"),
        ("ros2:/camera/image_raw", "RosTopic"),
        ("/dev/null", "Camera"),
        ("7", "Camera"),
    ],
)
def test_what_a_text_names(monkeypatch, source, kind):
    made = []
    for name in ("Remote", "GStreamer", "RosTopic", "Camera"):
        monkeypatch.setattr(opening, name, lambda *arguments, name=name: made.append((name, *arguments)))
    opening.open_stream(source, rate=5.0, patience=3.0)
    ((name, first, *rest),) = made
    assert name == kind
    assert first == (int(source) if source == "7" else source)
    assert rest == ([5.0, 3.0] if kind == "Camera" else [3.0])


def test_a_url_of_another_kind_is_refused_without_its_password():
    with pytest.raises(ValueError, match=r"^ftp://\*\*\*@host/a: expected a stream at rtsp://, .*, got ftp://$"):
        opening.open_stream("ftp://me:secret@host/a")


@pytest.mark.parametrize("source", ["rtsp://me:secret@camera/1", "videotestsrc user-pw=secret ! fakesink", "ros2:/a"])
def test_live_sources_have_no_topics(source):
    with pytest.raises(ValueError, match="expected topic= only for") as caught:
        opening.open_stream(source, topic="/camera")
    assert "secret" not in str(caught.value)
