"""The endurance run, short: its log is complete, and nothing is left open; what is wrong is said."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("psutil")
from benchmarks.reliability.soak import problems, read_log, soak


def test_two_thousand_frames_leave_a_complete_log(tmp_path):
    result = soak(2_000, tmp_path)
    assert sum(result["statuses"].values()) == 2_000
    assert all(result["statuses"].values())
    assert result["events_written"] == result["events_expected"] > 40
    assert (result["dropped"], result["failures"], result["sequence_has_holes"]) == (0, 0, False)
    assert result["closed_in_full"]
    assert len(set(result["descriptors"])) == len(set(result["threads"])) == 1


def test_rotated_files_are_read_in_the_order_of_their_numbers(tmp_path):
    for name, start in (("events.2.jsonl", 2), ("events.10.jsonl", 4), ("events.jsonl", 6)):
        lines = [{"seq": start, "type": "event", "kind": "drift"}, {"seq": start + 1, "type": "start"}]
        (tmp_path / name).write_text("\n".join(map(json.dumps, lines)))
    assert read_log(tmp_path) == ([2, 3, 4, 5, 6, 7], {"event": 3, "drift": 3, "start": 3})


GOOD = {
    "growth": 0.01, "descriptors": [12, 12], "threads": [3, 3], "events_expected": 9, "events_written": 7, "dropped": 2,
    "sequence_has_holes": False, "closed_in_full": True,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, []),
        ({"growth": 0.011}, ["memory grew by 1.10%"]),
        ({"threads": [3, 4]}, ["descriptors [12, 12], threads [3, 4]"]),
        ({"events_written": 8}, ["9 events expected, 8 written"]),
        ({"sequence_has_holes": True}, ["the log is not complete"]),
        ({"closed_in_full": False}, ["the log is not complete"]),
    ],
)
def test_each_fault_of_a_run_is_named(change, said):
    assert problems(GOOD | change) == said
