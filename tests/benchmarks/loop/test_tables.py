from __future__ import annotations

from benchmarks.loop.tables import drive


def test_faults_have_a_row_each_and_one_for_all():
    fault = {
        "fault": "fog", "changed": 20, "changed and flagged soon": 19, "flagged soon": 18, "left without": 17,
        "left with": 1, "stopped": 16, "delays": [3, None, 4, 9],
    }  # fmt: skip
    missed = fault | {"fault": "noise", "delays": [None], "left with": 0}
    clean = {"drives": 20, "alarms": 1, "stopped": 2, "frames": 10_000, "frames above": 5}
    table, drives, frames, times = drive(
        {
            "settings": {"frames": 500, "fault at": 250}, "clean": clean, "faults": [fault, missed],
            "frame ms": {"bare": {"0.5": 0.1599}, "monitored": {"0.5": 0.2204}},
        }
    )  # fmt: skip
    assert table.rows == [
        ["fog", "20", "19", "18", "17", "1", "16", "4"],
        ["noise", "20", "19", "18", "17", "0", "16", "–"],
        ["all", "40", "38", "36", "34", "1", "32", ""],
    ]
    assert drives == "Clean drives: 1 of 20 had an alarm, 2 were stopped."
    assert frames == "Of their 10,000 frames 5 lay above the threshold."
    assert times == "Median time of a frame: 0.160 ms bare, 0.220 ms guarded."
