"""The tables of segmentation."""

from __future__ import annotations

from benchmarks.places.segmentation_tables import segmentation


def test_a_row_for_each_method_in_each_table():
    def counted(count: int, of: int, low: float, high: float) -> dict[str, float]:
        return {"count": count, "of": of, "low": low, "high": high}

    monitor = {
        "pixels": {"AUROC": 0.9234, "AUPR": 0.4151, "FPR95": 0.3},
        "at 10 %": {"clean": 0.0949, "animal": 0.41, "feathered": 0.3, "control": 0.1},
        "IoU": {"animal": 0.331, "feathered": 0.2},
        "asked": {
            "clean": counted(12, 117, 0.054, 0.172),
            "clean, foreign": counted(10, 86, 0.057, 0.203),
            "animals": counted(60, 117, 0.42, 0.61),
        },
    }
    again = {
        "recalibrated": {
            "0.1": {
                "clean": counted(1, 56, 0.0005, 0.096),
                "animals": counted(28, 56, 0.36, 0.64),
                "control": counted(0, 56, 0.0, 0.064),
            }
        }
    }
    figures = {"frames": 117, "foreign": 86, "given": 30, "asked": 0.05, "network": "Net"}
    pixels, frames, asked, recalibrated = segmentation(figures | {"rows": {"a": monitor | again, "b": monitor}})
    assert pixels.rows[0] == ["a", "92.3", "41.5", "30.0", "0.33", "0.20"]
    assert frames.title == "Net: 117 frames, each method's threshold at 10 % of the clean ones"
    assert frames.rows[1] == ["b", "9 %", "41 %", "30 %", "10 %"]
    assert asked.rows[0] == ["a", "10 % (5–17)", "12 % (6–20)", "51 % (42–61)"]
    assert recalibrated.rows == [["a", "0.1", "2 % (0–10)", "50 % (36–64)", "0 % (0–6)"]]
    assert len(segmentation(figures | {"rows": {"b": monitor}})) == 3
