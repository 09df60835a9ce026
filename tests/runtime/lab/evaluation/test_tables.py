from __future__ import annotations

from dataclasses import replace

import pytest

from outrider.runtime.lab.evaluation.cells import DefenceCell, Outcome, Rate
from outrider.runtime.lab.evaluation.evaluating import DefenceTable
from outrider.runtime.lab.evaluation.judge import ANSWERED, GARBAGE, REFUSED
from outrider.runtime.lab.evaluation.labelled import JudgeMeasured
from outrider.runtime.lab.evaluation.tables import HEADER, rate_text, table_markdown, table_rows, table_text

JUDGE = JudgeMeasured(
    "rules",
    {
        ANSWERED: {ANSWERED: 9, REFUSED: 1, GARBAGE: 0},
        REFUSED: {ANSWERED: 2, REFUSED: 8, GARBAGE: 0},
        GARBAGE: {ANSWERED: 0, REFUSED: 0, GARBAGE: 0},
    },
)
OUTCOMES = (
    Outcome("a", True, ANSWERED, 1, 10, 4),
    Outcome("b", True, REFUSED, 1, 20, 1),
    Outcome("c", False, GARBAGE, 2, 1000, 1),
    Outcome("d", False, ANSWERED, 1, 30, 2),
)
CELLS = DefenceCell("base", "none", OUTCOMES, 0, 1.0), DefenceCell("a|b", "context", OUTCOMES, 1, 1.0)
TABLE = DefenceTable(CELLS, {("a|b", "both"): "there is none"}, JUDGE, 24)


def test_rows_are_read_off_the_cells():
    first, second, third = table_rows(TABLE)
    assert len(first) == len(HEADER)
    assert first == (
        "base", "none", "50.0 % [1.3, 98.7]", "0.0 % [0.0, 84.2]", "25.0 %", "1.25", "265", "2.0", "0",
    )  # fmt: skip
    assert second[:2] == ("a|b", "contextual knowledge (attack)")
    assert second[-1] == "1"
    assert third == ("a|b", "instruction and exemplars", *["–"] * 7)


def test_the_text_stands_in_columns():
    lines = table_text(TABLE).splitlines()
    assert lines[0].startswith("model")
    ends = [line.rstrip().rindex(word) + len(word) for line, word in zip(lines[:2], ("left out", "0"), strict=True)]
    assert ends[0] == ends[1]
    assert "first 24 tokens" in lines[5]
    assert "right on 17 of 20" in lines[6]
    assert "1 of 10 answered called refused, 2 of 10 refused called answered" in lines[6]
    assert lines[-2].startswith("Left out")
    assert lines[-1] == "a|b, instruction and exemplars: not measured: there is none"


def test_the_markdown_keeps_its_cells():
    lines = table_markdown(TABLE).splitlines()
    assert {line.count("|") for line in lines[:5]} == {len(HEADER) + 1}
    assert lines[3].startswith("| a&#124;b | contextual knowledge (attack) |")


def test_a_judge_without_a_mistake_and_a_table_without_gaps():
    perfect = JudgeMeasured("rules", {ANSWERED: {ANSWERED: 3, REFUSED: 0, GARBAGE: 0}})
    text = table_text(replace(TABLE, cells=CELLS[:1], missing={}, judge=perfect))
    assert "right on 3 of 3" in text
    assert "called" not in text
    assert "Left out" not in text
    checked = replace(CELLS[0], defence="self_check_output")
    assert "self-check of the output reads" in table_text(replace(TABLE, cells=(checked,)))


@pytest.mark.parametrize(
    ("rate", "expected"), [(Rate(0, 10), "0.0 % [0.0, 30.8]"), (Rate(10, 10), "100.0 % [69.2, 100.0]")]
)
def test_a_rate_with_its_interval(rate, expected):
    assert rate_text(rate) == expected
