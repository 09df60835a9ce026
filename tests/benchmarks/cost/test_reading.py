"""The readers that are compared give the same pictures, and both give a thousand of them."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from benchmarks.cost import reading

pytest.importorskip("cv2")


@pytest.fixture
def few(monkeypatch):
    for name, value in {"FILES": 2, "FRAMES": 4, "AT_ONCE": 2, "HEIGHT": 64, "WIDTH": 128}.items():
        monkeypatch.setattr(reading, name, value)


@pytest.mark.parametrize(
    ("suffix", "dtype", "grey"), [(".png", np.uint16, True), (".png", np.uint16, False), (".png", np.uint8, False)]
)
def test_pictures_are_read_alike_for_ever(few, tmp_path, suffix, dtype, grey):
    paths = reading.write_pictures(tmp_path / "a", suffix, dtype, grey=grey)
    ours, theirs = reading.pictures_ours(paths), reading.pictures_theirs(paths, grey=grey)
    for one, other in islice(zip(ours, theirs, strict=False), 5):
        assert one.shape == (64, 128, 1 if grey else 3)
        np.testing.assert_array_equal(one, other)


def test_a_video_begins_anew_and_is_compared(few, tmp_path):
    pytest.importorskip("av")
    path = reading.write_video(tmp_path / "a.mp4")
    frames = list(islice(reading.video_ours(path), 5))
    np.testing.assert_array_equal(frames[0], frames[2])
    row = reading.compare("H.264", reading.video_ours(path), reading.video_theirs(path))
    assert row["largest difference"] <= 2
    assert row["ours ms"] > 0
    assert row["ratio"] > 0
