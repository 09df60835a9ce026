from __future__ import annotations

import pytest

from benchmarks.tables import Table, markdown, percent, show

TABLE = Table("What it costs", ["case", "a|b"], [["bare", "1.0"], ["[1] guarded", "2.5"]])


def test_markdown_has_a_line_for_the_headings_and_for_each_row():
    assert markdown([TABLE, "A sentence."]).splitlines() == [
        "**What it costs**", "", "| case | a&#124;b |", "|---|---|", "| bare | 1.0 |", "| [1] guarded | 2.5 |", "",
        "A sentence.",
    ]  # fmt: skip


def test_a_terminal_shows_every_cell_as_it_is(capsys):
    show([TABLE, "A sentence."])
    printed = capsys.readouterr().out
    assert [word for word in ("a|b", "[1] guarded", "2.5", "A sentence.") if word not in printed] == []


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match=r"expected 2 cells in each row, got 1: \['bare'\]"):
        Table("", ["case", "ms"], [["bare"]])


def test_a_share_is_written_in_per_cent():
    assert (percent(0.0484), percent(0.00254, 2), percent(1)) == ("4.8 %", "0.25 %", "100.0 %")
