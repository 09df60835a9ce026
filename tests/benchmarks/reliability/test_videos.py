"""Damaged copies of one video, counted."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.reliability import videos
from benchmarks.reliability.tables import videos as table_of

pytest.importorskip("av")
pytest.importorskip("cv2")


def test_frames_are_right_faults_or_pass(monkeypatch, tmp_path):
    for name, value in {"HEIGHT": 64, "WIDTH": 96, "FRAMES": 12}.items():
        monkeypatch.setattr(videos, name, value)
    path = tmp_path / "a.mkv"
    videos.write_video(path, *videos.CODECS["MJPEG"])
    data = path.read_bytes()
    stream = videos.open_stream(str(path))
    clean = {frame.picture.tobytes() for frame in stream}
    stream.close()
    assert videos.watched(path, clean) == {"right": 12, "faults": 0, "passed": 0}
    for change in videos.DAMAGES.values():
        damaged = change(data, np.random.default_rng(0))
        assert len(damaged) == len(data)
        assert damaged != data
        path.write_bytes(damaged)
        counts = videos.watched(path, clean)
        assert counts["right"] < 12
        assert sum(counts.values()) <= 12


def test_the_table_gives_the_share_of_what_is_broken():
    row = {"codec": "H.264", "damage": "one bit", "right": 1500, "faults": 450, "passed": 50, "bytes": 9}
    (table,) = table_of({"trials": 20, "frames": 100, "group": 25, "rows": [row, row | {"faults": 0, "passed": 0}]})
    assert table.rows[0] == ["H.264", "one bit", "1,500", "450", "50", "10%"]
    assert table.rows[1][-1] == "0%"
