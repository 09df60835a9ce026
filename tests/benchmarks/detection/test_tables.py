from __future__ import annotations

from benchmarks.detection.tables import detectors, stages

COLUMN = {"n": 1846, "tried": 2000, "l2": 2.4006, "linf": 0.1}
FIGURES = {
    "network": "lenet", "accuracy": 0.9154, "splits": {"profile": 50000, "calibration": 10000, "test": 10000},
    "columns": {"test": {"n": 10000, "tried": 0, "l2": 0.0, "linf": 0.0}, "FGSM": COLUMN},
    "rows": {
        "worse": {"false_alarms": 0.05, "mean_auroc": 0.5, "columns": {"FGSM": {"auroc": 0.5, "flagged": 0.004}}},
        "better": {"false_alarms": 0.0484, "mean_auroc": 0.98, "columns": {"FGSM": {"auroc": 1.0, "flagged": 0.976}}},
    },
}  # fmt: skip


def test_the_best_detector_stands_first():
    table, left_out, columns = detectors(FIGURES | {"left_out": {"MCD": "needs dropout"}})
    assert table.header == ["detector", "false alarms", "FGSM", "mean"]
    assert table.rows == [["better", "4.8 %", "100.0 (98)", "98.0"], ["worse", "5.0 %", "50.0 (0)", "50.0"]]
    assert "91.5 %" in table.title
    assert left_out == "Left out: pytorch-ood MCD, which needs dropout."
    assert columns.rows == [["test", "10,000", "–", "–", "–"], ["FGSM", "1,846", "2,000", "2.401", "0.100"]]


def test_taps_are_counted_for_each_choice():
    _, taps, _ = stages(FIGURES | {"taps": {"auto": ["a", "b"], "stages": ["a"]}})
    assert taps == "Taps, the output among them: 'auto' 2, 'stages' 1."
