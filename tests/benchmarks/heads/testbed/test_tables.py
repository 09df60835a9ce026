from __future__ import annotations

from benchmarks.heads.testbed import tables


def test_cells_say_what_is_caught_and_what_of_the_answered():
    row = {
        "n": 24,
        "auroc": 0.98765,
        "caught": 0.955,
        "flagged": 0.04,
        "caught_wider": 0.94,
        "flagged_wider": 0.02,
        "answered": 7,
        "answered_caught": 5,
    }
    judged = {name: row | {"answered_auroc": 0.912} for name in (*tables.TESTS, "pixels")}
    judged["new images"] = row | {"answered": 0, "answered_auroc": None}
    shares = {"refused": 0.25, "answered": 0.75, "answered_own": 0.5}
    figures = {
        "build": {
            "named": {"dog": 0.9}, "recognised": {"dog": 1.0}, "seconds": 60.0, "processor_seconds": 61.0,
            "tower_steps": 1500, "lora_steps": 160,
        },
        "model_does": {"threshold": {"safe": shares}, "pixels": {"unsafe": shares, "safe": shares}},
        "sizes": {"threshold": {"safe": 208}, "pixels": {"unsafe": 48, "safe": 47}},
        "rows": {"read-out": judged, "angle": {name: found | {"n": 8} for name, found in judged.items()}},
    }  # fmt: skip
    does, said, told, wider, attacked, answered, note = tables.testbed(figures)
    assert does.rows == [
        ["threshold", "–", "–", "–", "–", "208", "25 %", "75 %"],
        ["pixels", "48", "25 %", "75 %", "50 %", "47", "25 %", "75 %"],
    ]
    assert "90.0 % of test pictures" in said
    assert told.rows[0] == ["read-out", *["0.988 (96 / 4)"] * 3]
    assert wider.rows[0] == ["read-out", *["94 / 2"] * 3]
    assert attacked.rows[0] == ["read-out", "0.988 (96 / 4)"]
    assert answered.rows[0] == ["read-out", "5/7 (0.91)"]
    assert note.startswith("Inputs of either kind: new images 24 (angles: 8); ")
    assert note.endswith("; pixels 24 (angles: 8).")
