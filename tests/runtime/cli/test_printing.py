"""How answers are printed."""

from __future__ import annotations

import json
import math

import pytest

from outrider.runtime.cli.printing import answer, bare_table, finite, wide_console


def test_an_answer_is_json_or_what_shows_it(capsys):
    shown = []
    answer({"a": [1, None]}, lambda: shown.append(1), as_json=True)
    assert json.loads(capsys.readouterr().out) == {"a": [1, None]}
    assert shown == []
    answer({}, lambda: shown.append(1), as_json=False)
    assert (shown, capsys.readouterr().out) == ([1], "")


def test_a_pipe_gets_whole_names(capsys):
    table = bare_table("name", "n", gap=2)
    table.add_row("long" * 100, "7")
    wide_console().print(table)
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["name", "n"]
    assert row == f"{'long' * 100}  7"


@pytest.mark.parametrize(
    ("value", "kept"), [(0.5, 0.5), (math.inf, None), (-math.inf, None), (math.nan, None), (None, None)]
)
def test_what_is_no_number_is_null(value, kept):
    assert finite(value) == kept
