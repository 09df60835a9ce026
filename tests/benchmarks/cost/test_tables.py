from __future__ import annotations

from benchmarks.cost.tables import guard, memory, places, reading, speed


def test_time_is_told_in_microseconds_and_as_a_ratio():
    row = {
        "criterion": "Box()", "neurons": 3904, "loops_us": 5621.36, "whole_us": 1.96, "p99_9_us": 2.0,
        "times_sum": 0.816, "bytes": 66376,
    }  # fmt: skip
    deviation, inference = speed({
        "deviation": [row], "inference": [{"monitor": "bare", "median_ms": 18.277, "ratio": 1.0499}],
    })  # fmt: skip
    assert deviation.rows == [["Box()", "3,904", "5,621.4", "2.0", "0.82", "2.0", "66,376"]]
    assert inference.rows == [["bare", "18.28", "1.050"]]


def test_memory_pairs_the_peak_of_a_criterion_with_its_cost():
    (table,) = memory({
        "peak": [{"criterion": "Box()", "peak": [471e6, 472e6], "growth": 1.00049, "signature": 49200}],
        "cost": [{"criterion": "Box()", "ratio": 1.166}],
    })  # fmt: skip
    assert table.rows == [["Box()", "471", "472", "1.000", "49,200", "1.17"]]


def test_the_guard_has_the_quietest_tenth_in_brackets():
    keys = "median", "p99.9", "bare less bare: p99.9", "p99.9 less p99.9", "bare less bare: the same"
    beside = {key: {"all": i + 0.26, "quietest tenth": -i} for i, key in enumerate((*keys, "bare: p99.9 above median"))}
    within = {key: {"all": 9.94, "quietest tenth": 9} for key in ("median", "p99.9", "spin: p99.9 above median")}
    case = {"case": "dense", "beside bare": beside, "within the call": within, "with events": {"frames": 0}}
    busy = case | {"case": "drive", "with events": {"frames": 1200, "median": 48.06}}
    table, sentence = guard({"frames": 100_000, "cases": [case, busy]})
    assert list(table.rows[0]) == [
        "dense", "0.3 (0.0)", "1 (-1)", "2 (-2)", "3 (-3)", "4 (-4)", "5 (-5)", "9.9 (9.0)", "10 (9)", "10 (9)",
    ]  # fmt: skip
    assert "100,000 frames" in table.title
    assert sentence.startswith("drive: 1,200 frames")
    assert "48.1 µs" in sentence


def test_reading_beyond_its_bar_is_marked():
    rows = [
        {"kind": kind, "ours ms": 1.256, "opencv ms": 1.2, "ratio": ratio, "largest difference": 0}
        for kind, ratio in (("JPEG", 1.104), ("H.264", 1.106))
    ]
    (table,) = reading({"size": [480, 640], "bar": 1.1, "rows": rows})
    assert table.title == "Reading a frame of 640 × 480 pixels"
    assert table.rows == [["JPEG", "1.26", "1.20", "1.10", "0"], ["H.264", "1.26", "1.20", "1.11 !", "0"]]


def test_what_is_beyond_the_bar_is_marked_and_a_refusal_said():
    whole = {
        "columns": ["a", "b"], "bare ms": 70.26, "equal": True, "map off by": 2.3e-6, "agreed": [15, 16],
        "ratios": {"bare again": 1.001, "outside": 1.1, "in the graph": 1.1001},
    }  # fmt: skip
    refused = {"columns": ["a"], "bare ms": 5, "ratios": {"bare again": 0.98, "outside": 1.2}, "refused": "no such op"}
    table, text = places({"One": whole, "Two": refused})
    assert table.rows == [
        ["One", "70.3", "2", "1.001", "1.100", "1.100 !", "yes", "2e-06", "15 of 16"],
        ["Two", "5.0", "1", "0.980", "1.200 !", "–", "–", "–", "–"],
    ]
    assert text == "Two does not leave as ONNX: no such op"
    (alone,) = places({"One": whole | {"equal": False}})
    assert alone.rows[0][6] == "no !"
