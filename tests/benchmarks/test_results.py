"""RESULTS.md is what the command writes; what README and docs quote of it is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import report, results
from benchmarks.quotes import misquoted

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_results_md_is_what_the_command_writes():
    assert report.FILE.read_text(encoding="utf-8") == report.document(), "run `python -m benchmarks.report`"


def test_every_result_has_its_section():
    sections = [section.name for section in report.SECTIONS]
    assert len(set(sections)) == len(sections)
    assert set(results.names()) <= set(sections)


def test_a_section_without_its_figures_is_left_out(monkeypatch):
    monkeypatch.setattr(report, "names", lambda: ["drive"])
    assert [line for line in report.document().splitlines() if line.startswith("## ")] == ["## The closed loop"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_documents_quote_what_was_measured(document):
    assert misquoted(document.read_text(encoding="utf-8"), report.figures) == []


def test_a_kept_result_comes_back_with_its_machine(tmp_path):
    results.keep("time", {"loops": [1.5, None]}, tmp_path)
    found = results.load("time", tmp_path)
    assert found.figures == {"loops": [1.5, None]}
    assert found.cores >= 1
    assert len(found.date.split("-")) == 3


@pytest.mark.parametrize("name", results.names())
def test_a_figure_that_changes_makes_its_quote_wrong(name):
    rows = [line for line in report.figures(name).splitlines() if line.startswith("| ")]
    good = f"<!-- results: {name} -->\n{rows[1]}\n<!-- end -->"
    assert misquoted(good, report.figures) == []
    cells = rows[1].split("|")
    place = next(i for i, cell in enumerate(cells) if i > 1 and cell.strip()[:1].isdigit())
    cells[place] = cells[place].replace(cells[place].strip(), "12345.678")
    assert len(misquoted(good.replace(rows[1], "|".join(cells)), report.figures)) == 1
