"""Which stream a text names."""

from __future__ import annotations

import pytest


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


def test_a_folder_named_like_a_camera_is_a_folder(opened, photos, monkeypatch):
    monkeypatch.chdir(photos.parent)
    photos.rename("0")
    stream = opened("0", rate=2.0)
    assert [frame.time for frame in stream] == [0.0, 0.5, 1.0, 1.5]
    assert not stream.live
