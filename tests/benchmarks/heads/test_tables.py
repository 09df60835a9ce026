from __future__ import annotations

from benchmarks.heads.tables import FULL, contrasts, cost, detection, transfer, tuning

ROW = {"auroc": 0.9987, "caught": 0.99, "flagged": 0.014, "chosen": [[1, 2]], "p_value": 0.005}
SIZES = {"unsafe": 50, "safe": 50, "threshold": 200, "test_unsafe": 100, "test_safe": 100}


def test_detection_has_a_column_for_each_set():
    figures = {
        "model": "Llama", "refusals": ["Sorry", "I"], "words": ["sorry"],
        "sets": {"A": {"sizes": SIZES, "rows": {"words": ROW | {"p_value": None}, "heads": ROW}}},
    }  # fmt: skip
    table, sizes, shuffled, *_ = detection(figures)
    assert table.rows == [["words", "0.999 (99 / 1)"], ["heads", "0.999 (99 / 1)"]]
    assert "200 safe for the threshold" in sizes
    assert shuffled == "Choice of heads against shuffled labels, A. heads: p = 0.005."


def test_contrasts_say_how_many_splits_and_prompts():
    row = {"auroc": 0.86, "spread": 0.02, "caught": 0.4, "flagged": 0.05, "splits": 2, "p_values": [0.01, 0.2]}
    columns = {
        "as is": {"sizes": [SIZES, SIZES | {"threshold": 70}], "rows": {"heads": row}},
        "tuned": {"sizes": [SIZES], "rows": {FULL: row | {"splits": 1}, "other": row}},
    }
    table, sizes, *said = contrasts({"model": "Llama", "columns": columns})
    assert table.rows == [
        ["heads", "0.860 ± 0.020 (40 / 5)", "–"],
        [FULL, "–", "0.860, one split (40 / 5)"],
        ["other", "–", "0.860 ± 0.020 (40 / 5)"],
    ]
    assert "70 to 200 safe for the threshold" in sizes
    assert said == [
        "Choice of heads against shuffled labels, as is. heads: p ≤ 0.05 in 1 of 2 splits, largest 0.200.",
        "Choice of heads against shuffled labels, tuned. other: p ≤ 0.05 in 1 of 2 splits, largest 0.200.",
    ]


def test_refusals_before_and_after():
    before, after = {"unsafe": 0.1, "safe": 0.0, "prompts": 299}, {"unsafe": 0.93, "safe": 0.2, "prompts": 299}
    figures = {"rates": {"before": {"X": before}, "after": {"X": after}}, "steps": 100, "batch": 8, "rank": 16}
    assert tuning(figures)[0].rows == [["X", "299", "10 %", "0 %", "93 %", "20 %"]]


def test_transfer_names_the_warnings():
    drift = {"share": 0.5, "n": 200, "score_shift": 1.234, "length_shift": -3.0}
    row = {"from": "A", "to": "B", "auroc": 0.9, "before": {"caught": 1.0, "flagged": 0.5}, "drift": drift,
           "after": {"caught": 0.8, "flagged": 0.05}}  # fmt: skip
    table, said = transfer({"model": "Llama", "rows": [row | {"warnings": ["changed"]}, row | {"warnings": []}]})
    assert [cells[4] for cells in table.rows] == ["warns", "no"]
    assert table.rows[0][3] == "100 / 50"
    assert said.startswith("A to B: 50 % of 200 safe prompts flagged")


def test_cost_stands_beside_its_bar():
    figures = {
        "model": "Llama", "answer": 24, "bars": {"check": "1.01"},
        "lengths": {"40": {"prefill": 0.13, "ratios": {"check": 1.004, "other": 2.5}}},
        "equal": {"read_out": {"prompts": 60, "flagged": 3, "unflagged": 57, "equal": 57}},
    }  # fmt: skip
    table, prefills, equal = cost(figures)
    assert table.rows == [["check", "1.004", "1.01"], ["other", "2.500", "–"]]
    assert prefills == "A prefill takes 130 ms at 40 tokens."
    assert equal.startswith("read_out: 57 of 57 unflagged answers")
