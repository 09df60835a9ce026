"""The tables, from figures in JSON types."""

from __future__ import annotations

import json

from benchmarks.studies.reasons.tables import HEADS, arrays, reasons
from benchmarks.tables import markdown

FIGURES = {
    "model": "tiny", "seeds": [0, 1], "seconds": 120.0,
    "setting": {"steps": 4, "batch": 2, "rank": 8, "below": 1, "rate": 0.001},
    "base": {name: [False, False, False, True] for name in HEADS},
    "rewriting": {"kept": 3, "too long": 2, "too short": 1},
    "refused": {
        kind: {
            str(size): [{name: [True, False, seed == 0, kind == "plain"] for name in HEADS} for seed in (0, 1)]
            for size in (50, 800)
        }
        for kind in ("plain", "reasons")
    },
}  # fmt: skip


def test_figures_become_arrays_of_seeds_and_prompts():
    found = arrays(json.loads(json.dumps(FIGURES)))
    assert found["plain"][800]["safe"].tolist() == [[True, False, True, True], [True, False, False, True]]


def test_rows_tell_rates_and_claims():
    text = markdown(reasons(json.loads(json.dumps(FIGURES))))
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    assert ["untuned", "–", "25 %", "25 %", "25 %", "25 %"] in rows
    cells = {(row[0], row[1]): row[2:] for row in rows}
    assert all(cell.startswith("62 % [") for cell in cells["plain refusals", "50"])  # 5 of 8
    assert all(cell.startswith("38 % [") for cell in cells["reasons (SafeCoT)", "800"])  # 3 of 8
    assert cells["less over-refusal, all sizes", "plain − reasons, borderline"][0].startswith("+25.0 [")
    assert "that keep the rules: 3 of 6; too long: 2; too short: 1." in text
    assert "2 core-minutes in all" in text
