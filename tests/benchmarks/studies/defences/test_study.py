"""The whole study on a tiny model."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

pytest.importorskip("peft")
pytest.importorskip("matplotlib")

from benchmarks.studies.defences import study as module
from benchmarks.studies.defences.study import SIZES, Study, main
from benchmarks.studies.defences.tables import arrays, defences
from benchmarks.studies.reasons.tuning import Setting

from .tiny_material import tiny_base, tiny_material

TINY = replace(
    SIZES["quick"], examples=20, setting=Setting(steps=1, batch=2, rate=1e-2, rank=2, below=1),
    base=("none", "both", "context", "probe"), methods=("SSFT", "DPO"),
)  # fmt: skip


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setitem(module.SIZES, "quick", TINY)
    monkeypatch.setattr(module, "material", lambda _folder, _most, _learned: tiny_material())
    monkeypatch.setattr(module, "opened", lambda _path: tiny_base())


def test_figures_hold_judgements_and_no_words(tmp_path):
    found = tiny_material()
    study = Study(TINY, tmp_path, found, tiny_base, "cpu")
    table = study.table([0, 1])
    figures = json.loads(json.dumps(study.figures(table, [0, 1], 60.0)))
    cells = figures["cells"]
    assert {model: list(of) for model, of in cells.items()} == {
        "base": ["none", "both", "context", "probe"],
        "SSFT": ["none", "context", "context_unrelated"],
        "DPO": ["none", "context"],
    }
    assert [len(row) for row in cells["SSFT"]["none"]["unsafe"]] == [5, 5]
    assert cells["base"]["none"]["halves"] == [3, 2]
    assert {*"".join(cells["base"]["none"]["unsafe"])} <= {*"arg"}
    written = json.dumps(figures) + "".join(path.read_text() for path in (tmp_path / "cells").iterdir())
    assert not [one.text for one in found.asked if one.text in written]
    cell = table.cell("SSFT, seed 1", "context")
    said = ["r" if one.judgement == "refused" else one.judgement[0] for one in cell.outcomes if not one.unsafe]
    assert cells["SSFT"]["context"]["safe"][1] == "".join(said)
    judged = arrays(cells)
    answered, refused = (judged["SSFT"]["none"][rate].mean() for rate in ("unsafe answered", "safe refused"))
    assert answered == sum(row.count("a") for row in cells["SSFT"]["none"]["unsafe"]) / 10
    assert refused == sum(row.count("r") for row in cells["SSFT"]["none"]["safe"]) / 10


def test_the_command_gathers_what_other_runs_did(small, tmp_path, capsys):
    given = ["--prompts", "folder", "--quick", "--folder", str(tmp_path)]
    main([*given, "--seeds", "1"])
    assert "the table needs seed 0" in capsys.readouterr().out
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "quick" / "cells").iterdir()}
    assert len(before) == 5
    main([*given, "--seeds", "0", "1"])
    told = capsys.readouterr().out
    assert "instruction and exemplars" in told
    assert "no rule was written" in " ".join(told.split())
    assert "held?" in told
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert (tmp_path / "quick" / "picture.png").read_bytes().startswith(b"\x89PNG")
    assert float((tmp_path / "quick" / "seconds").read_text()) > 0


def test_kept_figures_make_the_tables(small, tmp_path, monkeypatch, capsys):
    kept = {}
    monkeypatch.setattr(module, "keep", lambda name, figures: kept.update({name: figures}))
    main(["--prompts", "folder", "--quick", "--folder", str(tmp_path), "--keep"])
    capsys.readouterr()
    table, sentence, rows, last = defences(json.loads(json.dumps(kept["studies-defences"])))
    assert len(table.rows) == 4 + 3 + 2
    assert "means of 1 seeds" in sentence
    assert rows.rows[0][0] == "instruction with exemplars is safer"
    assert "weakly aligned" in last


def test_prompts_that_were_left_out_make_no_figures(tmp_path):
    study = Study(TINY, tmp_path, tiny_material(), tiny_base, "cpu")
    table = study.table([0])
    short = replace(table, cells=tuple(replace(cell, left_out=1) for cell in table.cells))
    with pytest.raises(ValueError, match="prompts that fit into the context"):
        study.figures(short, [0], 0.0)


def test_the_sizes_are_what_they_say():
    assert SIZES["default"].most * 4 == 120
    assert SIZES["default"].seeds == (0, 1, 2)
    assert SIZES["large"].most > 2_000
    assert set(SIZES["default"].base) >= {"none", "both", "self_check_input", "context", "probe", "heads"}
