from __future__ import annotations

from benchmarks.reliability.tables import parity, soak


def test_parity_has_a_row_for_each_network_and_criterion():
    row = {
        "verdicts": 300, "alarms": 17, "inside_score": 1.14e-7, "inside_verdicts": 0, "torch_score": 0.0123,
        "torch_verdicts": 2, "torch_band": 0.5,
    }  # fmt: skip
    (table,) = parity({"LeNet": {"bitmap": row, "default": row | {"alarms": 18}}})
    assert table.rows[0] == ["LeNet", "bitmap", "300", "17", "1.1e-07", "0", "1.2e-02", "2", "5.0e-01"]
    assert table.rows[1][:4] == ["LeNet", "default", "300", "18"]


def test_the_long_run_is_one_row():
    figures = {
        "frames": 108_000, "seconds": 32.3, "statuses": {"OK": 107_999, "ALARM": 1},
        "rss_bytes": [408.94e6, 1, 409.98e6],
        "growth": 0.00254, "descriptors": [12, 12], "threads": [4, 3, 5], "events_expected": 2484,
        "events_written": 2483, "dropped": 1,
    }  # fmt: skip
    table, statuses = soak(figures)
    assert table.title == "108,000 frames, 60 minutes at 30 fps, guarded in 32 s"
    assert table.rows == [["408.9", "410.0", "0.25 %", "12", "3 to 5", "2,484", "2,483", "1"]]
    assert statuses == "Statuses of the frames: 107,999 OK, 1 ALARM."
