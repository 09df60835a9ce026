from __future__ import annotations

import pytest

from benchmarks.cost.onnx_tables import bar, by_error, costs, onnx, working


def row(model: str, dtype: str = "float32", **more: object) -> dict:
    ratios = {"bare again": 2.0, "outside, bitmap": 1.06, "in the graph, bitmap": 1.0501, "in the graph, box(1)": 1.03}
    return {
        "model": model, "exporter": "dynamo", "dtype": dtype, "errors": {}, "opset": 17, "taps": 3, "neurons": 3904,
        "outside_equal": True, "inside_equal": {"bitmap": True, "box(1)": False},
        "agreed": {"bitmap": [9, 9], "box(1)": [8, 9]}, "peak_mb": 1136, "bare_ms": 45.794, "ratios": ratios,
        "size_ratio": {"bitmap": 0.99, "box(1)": 1.051},
    } | more  # fmt: skip


@pytest.mark.parametrize(
    ("model", "dtype", "name", "limit"),
    [
        ("vit", "float32", "outside, bitmap", 1.06),
        ("vit", "int8 QDQ", "outside, bitmap", 1.10),
        ("vit", "float32", "in the graph, bitmap", 1.05),
        ("resnet18-dynamo", "float32", "in the graph, bitmap", 1.03),
        ("resnet18-dynamo", "float32", "in the graph, default", 1.06),
        ("resnet18-dynamo", "float16", "in the graph, bitmap", 1.05),
        ("vit", "float32", "bare again", None),
    ],
)
def test_bars(model, dtype, name, limit):
    assert bar({"model": model, "dtype": dtype}, name) == limit


def test_what_is_beyond_its_bar_is_marked_and_what_meets_it_is_not():
    table, verdict = costs([row("vit"), row("resnet18")])
    assert list(table.header) == [
        "model", "taps", "bare ms", "bare again", "in the graph: bitmap", "in the graph: box", "outside: bitmap",
        "guarded file",
    ]  # fmt: skip
    assert table.rows[0] == ["vit", "3", "45.79", "2.000", "1.050!", "1.030", "1.060", "1.051!"]
    assert table.rows[1][4:] == ["1.050!", "1.030", "1.060", "1.051!"]
    assert verdict == "4 of 6 ratios are within their bars."


def test_criteria_of_one_kind_are_told_apart():
    table, *_ = costs([row("vit", ratios={"in the graph, box(1)": 1.0, "in the graph, box(2)": 1.0})])
    assert list(table.header[3:5]) == ["in the graph: box(1)", "in the graph: box(2)"]


def test_one_signature_for_all_classes_is_said():
    assert (
        "with box(1) on: a, c."
        in costs([row("a", class_free=["box(1)"]), row("b"), row("c", class_free=["box(1)"])])[1]
    )


def test_a_model_that_fails_is_numbered_and_its_error_said_once():
    broken = row("b", errors={"outside, bitmap": "X", "timing": "X", "network": "Y"})
    unmade = {"model": "c", "exporter": "dynamo", "dtype": "float32", "errors": {"make": "Z"}}
    table, *errors = working([row("a"), broken, unmade])
    assert [cells[6] for cells in table.rows] == ["yes", "no [1]", "not made [2]"]
    assert table.rows[0] == ["a", "dynamo", "17", "float32", "3", "3,904", "yes", "yes", "no", "17 of 18", "1,136"]
    assert table.rows[2] == ["c", "dynamo", "–", "float32", "–", "–", "not made [2]", "–", "–", "–", "–"]
    assert errors == ["[1] b, outside, bitmap; timing: X", "[1] b, network: Y", "[2] c, make: Z"]
    assert by_error(broken) == {"X": "outside, bitmap; timing", "Y": "network"}


def test_without_timing_there_is_no_table_of_costs():
    parts = onnx({"versions": {"onnx": "1.2"}, "rows": [{k: v for k, v in row("a").items() if k != "ratios"}]})
    assert len(parts) == 2
    assert parts[1] == "Versions: onnx 1.2."
