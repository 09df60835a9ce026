from __future__ import annotations

import numpy as np
import pytest

for name in ("torch", "onnx", "onnxruntime", "sklearn"):
    pytest.importorskip(name)

from benchmarks.places import drives, drives_tables  # noqa: E402
from benchmarks.tables import markdown  # noqa: E402


def test_frames_are_given_as_the_ways_say_and_none_twice():
    ways = dict(drives.ways_to_give(86, 30, np.random.default_rng(0)))
    assert ways["the first"].tolist() == list(range(30))
    assert np.diff(ways["evenly spread"]).min() == 2
    assert ways["evenly spread"][[0, -1]].tolist() == [0, 85]
    for which in ways.values():
        assert len(set(which.tolist())) == 30


def test_frames_drawn_at_random_keep_the_rate_and_the_first_of_a_drive_that_changes_do_not(monkeypatch):
    monkeypatch.setattr(drives, "DRAWS", 200)
    rng = np.random.default_rng(1)
    drift = np.linspace(0, 3, 90) + rng.normal(size=90)
    rows = {(one["given"], one["rate"], one["way"]): one for one in drives.recalibrated(drift, drift + 2)}
    assert {given for given, _, _ in rows} == set(drives.GIVEN)
    assert rows[30, 0.1, "at random"]["clean"] < 0.12
    assert rows[30, 0.1, "the first"]["clean"] > 0.3
    assert rows[30, 0.1, "the first"]["strange"] > rows[30, 0.1, "at random"]["strange"] > 0.3
    assert rows[30, 0.05, "at random"]["clean"] < rows[30, 0.1, "at random"]["clean"]


def test_the_tables_show_the_rate_asked_for_beside_those_of_other_drives():
    of_clean, of_animals = drives.counted(np.arange(86.0), 34.5), drives.counted(np.arange(86.0), 10.5)
    figures = {
        "asked": 0.05, "draws": 7, "promise": "of new frames", "promise again": "of the new drive",
        "refused": {"groups": "expected frames of at least 18 held-out drives"},
        "seen": {"realised": 0.04, "n": 50, "interval": [0.005, 0.137]},
        "test": {"new": {"drives": ["Seq05VD"], "clean": of_clean, "animal": of_animals}},
        "again": drives.recalibrated(np.arange(86.0), np.arange(86.0) + 5),
    }  # fmt: skip
    text = markdown(drives_tables.drives(figures))
    assert "| test, a new drive (Seq05VD) | 86 | 59.3 % [48, 70] | 87.2 % [78, 93] |" in text
    assert "`groups=` is refused: expected frames of at least 18 held-out drives." in text
    assert "| 30 frames, the first | 10 % | " in text
