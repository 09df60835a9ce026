from __future__ import annotations

from benchmarks.detection.tables import DEFAULT, detectors, leads, stages

COLUMN = {"n": 1846, "tried": 2000, "l2": 2.4006, "linf": 0.1}


def row(auroc: float, flagged: float, **more) -> dict:
    cell = {"auroc": auroc, "flagged": flagged, "aupr": 0.25, "fpr95": 0.125}
    return {
        "false_alarms": 0.05, "false_alarms_interval": [0.046, 0.054], "mean_auroc": auroc, "mean_flagged": flagged,
        "columns": {"FGSM": cell}, **more,
    }  # fmt: skip


RIVAL = {"setting": "its own", "profiled": 2000, "judged": [300, 299], "fit_s": 3.4, "us_an_image": 1234.5}
FIGURES = {
    "network": "lenet", "accuracy": 0.9154, "splits": {"profile": 50000, "calibration": 10000, "test": 10000},
    "columns": {"test": {"n": 10000, "tried": 0, "l2": 0.0, "linf": 0.0}, "FGSM": COLUMN},
    "rows": {
        DEFAULT: row(0.5, 0.004, bytes=1234, few=80, few_false_alarms=0.1, few_false_alarms_interval=[0.05, 0.2]),
        "oodeel Gram": row(0.98, 0.976, **RIVAL),
        "margin alone": row(0.9, 0.5),
    },
    "left_out": {"pytorch-ood MCD": "needs dropout"},
}  # fmt: skip


def test_the_best_detector_stands_first():
    table, ahead, more, settings, left_out, columns = detectors(FIGURES)
    assert table.header == ["detector", "false alarms", "FGSM", "mean"]
    assert table.rows == [
        ["oodeel Gram", "5.0 %", "98.0 (98)", "98.0 (98)"],
        ["margin alone", "5.0 %", "90.0 (50)", "90.0 (50)"],
        [DEFAULT, "5.0 %", "50.0 (0)", "50.0 (0)"],
    ]
    assert "91.5 %" in table.title
    assert ahead.rows == [
        ["FGSM", "50.0", "of the criteria alone", "margin alone", "90.0", "40.0"],
        ["FGSM", "50.0", "of the rivals", "oodeel Gram", "98.0", "48.0"],
    ]
    assert more.rows[2] == [DEFAULT, "5.0 (4.6 to 5.4)", "10.0 (5.0 to 20.0)", "25.0", "12.5", "1,234"]
    assert more.rows[0][2:] == ["", "25.0", "12.5", ""]
    assert settings.rows == [["oodeel Gram", "its own", "2,000", "at most 300", "3", "1,234"]]
    assert left_out == "Left out: pytorch-ood MCD, which needs dropout."
    assert columns.rows == [["test", "10,000", "–", "–", "–"], ["FGSM", "1,846", "2,000", "2.401", "0.100"]]


def test_nobody_is_ahead_by_what_would_not_be_seen():
    rows = {DEFAULT: row(0.5, 0), "other": row(0.5004, 0)}
    assert leads(FIGURES | {"rows": rows}) == ["No rival and no criterion alone is ahead of the default in any column."]
    assert leads(FIGURES | {"rows": {"other": row(0.5, 0)}}) == []


def test_taps_are_counted_for_each_choice():
    _, taps, _ = stages(FIGURES | {"taps": {"auto": ["a", "b"], "stages": ["a"]}})
    assert taps == "Taps, the output among them: 'auto' 2, 'stages' 1."
