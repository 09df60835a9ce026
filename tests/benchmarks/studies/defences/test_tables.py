from __future__ import annotations

from benchmarks.studies.defences.tables import arrays, defences

CELL = {
    "unsafe": ["aaarg"], "safe": ["raaaa"], "halves": [3, 2], "prefills": 1.25, "tokens_read": 40.4,
    "tokens_written": 12.0, "seconds": 1.0,
}  # fmt: skip
FIGURES = {
    "model": "tiny", "unsafe": 5, "safe": 5, "tokens": 24, "seeds": [0, 1], "examples": 100, "seconds": 90.0,
    "cells": {
        "base": {"none": CELL, "both": CELL | {"unsafe": ["rrrrr"]}},
        "SSFT": {"none": CELL | {"unsafe": ["aaaaa", "rrrrr"], "safe": ["raaaa", "gaaaa"]}},
    },
    "judge": {"judge": "rules", "right": 9, "n": 10, "accuracy": 0.9, "interval": [0.55, 0.99]},
    "setting": {"steps": 32, "batch": 8, "rate": 1e-3, "rank": 16, "below": 20},
}  # fmt: skip


def test_letters_become_rates():
    found = arrays(FIGURES["cells"])
    assert found["base"]["none"]["unsafe answered"].tolist() == [[True, True, True, False, False]]
    assert found["base"]["none"]["safe refused"].tolist() == [[True, False, False, False, False]]
    assert found["SSFT"]["none"]["unsafe answered"].mean() == 0.5


def test_rows_tell_instructions_from_xstest_and_what_it_costs():
    table, sentence, claimed, _ = defences(FIGURES)
    first, both, tuned = table.rows
    assert first[:2] == ["base", "none"]
    assert first[2].startswith("60 % [")
    assert first[3:5] == ["100 %", "0 %"]  # the first three of the unsafe ones are instructions
    assert first[5].startswith("20 % [")
    assert first[6:8] == ["0 %", "50 %"]  # the first two of the safe ones are XSTest's
    assert first[8:] == ["10 %", "1.25", "40", "12.0"]
    assert both[2] == "0 % [0, 0]"
    assert tuned[2].startswith("50 % [")
    assert tuned[8] == "5 %"
    assert "means of 2 seeds, 32 steps of 8 of 100 examples" in sentence
    assert "right on 9 of 10" in sentence
    assert "2 core-minutes" in sentence
    assert [row[0] for row in claimed.rows][-1] == "SSFT is safer than the base"
