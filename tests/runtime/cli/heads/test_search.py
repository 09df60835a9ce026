"""`outrider head search`: what `HeadGuard` finds, going on where it stopped, and the map."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from outrider.monitor.heads import FeatureStore, HeadGuard
from outrider.networks.packages import install_hint
from outrider.networks.transformers import open_decoder
from outrider.runtime.inputs.prompts import of_kind, read_prompts

from ...parsed_page import whole
from ..outcomes import error_of
from .conftest import write


def given(home, *more):
    return (
        "--unsafe",
        home.unsafe,
        "--safe",
        home.safe,
        "--rows",
        ":12",
        "--permutations",
        "4",
        "-o",
        "g.outrider",
        *more,
    )


def test_the_search_is_that_of_the_library(head, home):
    result = head("search", *given(home, "--heads", "3", "--json"))
    assert (result.code, result.err) == (0, "")
    found = json.loads(result.out, parse_constant=pytest.fail)
    guard = HeadGuard(open_decoder(home.model), heads=3)
    kinds = [
        of_kind(read_prompts(path), kind, slice(12))[0] for path, kind in ((home.unsafe, "unsafe"), (home.safe, "safe"))
    ]
    report = guard.search(*kinds, permutations=4)
    assert found["chosen"] == [list(pair) for pair in report.chosen]
    assert np.allclose(found["auroc"], report.auroc)
    assert (found["unsafe"], found["safe"], found["p_value"]) == (12, 12, report.p_value)
    assert HeadGuard.load("g.outrider", guard.decoder).chosen == guard.chosen


def test_a_labelled_file_and_files_of_each_kind_give_the_same(head, home, tmp_path):
    both = write(tmp_path / "both.jsonl", *home.unsafe.read_text().splitlines(), *home.safe.read_text().splitlines())
    one = head("search", *given(home, "--json")).out
    other = head("search", "--labelled", both, "--rows", ":12", "--permutations", "4", "-o", "g.outrider", "--json").out
    same = head("search", "--unsafe", both, "--safe", both, *given(home, "--json")[4:]).out
    assert json.loads(one) == json.loads(other) == json.loads(same)


def test_a_search_goes_on_from_its_features(head, home, monkeypatch):
    first = head("search", *given(home, "--features", "f.npz", "--json"))
    runs = []
    monkeypatch.setattr("outrider.networks.transformers.decoder.Decoder.prefill", lambda *_: runs.append(1))
    again = head("search", *given(home, "--features", "f.npz", "--json"))
    assert (again.code, again.out, runs) == (0, first.out, [])


def test_ctrl_c_keeps_what_was_measured(head, home, monkeypatch, tmp_path):
    from outrider.networks.transformers.decoder import Decoder

    plain, calls = Decoder.prefill, []

    def interrupted(decoder, inputs, **keep):
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return plain(decoder, inputs, **keep)

    monkeypatch.setattr(Decoder, "prefill", interrupted)
    result = head("search", *given(home, "--features", "f.npz"))
    assert result.code == 130
    assert "the same command goes on from f.npz" in result.err
    kept = FeatureStore(tmp_path / "f.npz")
    assert not (tmp_path / "g.outrider").exists()
    assert head("search", *given(home, "--features", "f.npz")).code == 0
    assert len(calls) == 6 + 24 - 5
    assert len(kept) == 0  # not opened yet; the command's own was


def test_the_map_comes_as_a_page_and_as_a_picture(head, home, tmp_path):
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    result = head("search", *given(home, "--page", "h.html", "--picture", "h.png"))
    assert "written: g.outrider, h.html, h.png" in result.out
    assert "cross-validated AUROC of the choice" in result.out
    page = whole((tmp_path / "h.html").read_text("utf-8"))
    assert sum("title" in attributes for tag, attributes in page.tags if tag == "td") == 8
    assert (tmp_path / "h.png").read_bytes().startswith(b"\x89PNG")


def test_a_second_pass_runs_for_candidates_alone(head, home, monkeypatch):
    monkeypatch.setattr("outrider.runtime.cli.heads.search._CANDIDATES", 3)
    found = json.loads(head("search", *given(home, "--statistic", "exact", "--json")).out)
    assert sum(value is not None for row in found["auroc"] for value in row) == 3
    assert found["statistic"]["name"] == "exact"


def test_wrong_lines_are_named_and_left_out(head, home, tmp_path):
    spoiled = write(tmp_path / "spoiled.jsonl", "{oops", {"prompt": ""}, *home.safe.read_text().splitlines())
    result = head("search", "--unsafe", home.unsafe, "--safe", spoiled, *given(home, "--json")[4:-1], "--json")
    assert result.code == 0
    assert "spoiled.jsonl, line 1: expected an object in JSON" in result.err
    assert "spoiled.jsonl, line 2: expected a prompt with words" in result.err
    found = json.loads(result.out)
    assert found["safe"] == 10
    assert len(found["left_out"]["safe"]) == 2


def test_a_line_without_a_label_is_of_no_kind_where_one_file_has_both(head, home, tmp_path):
    """It must not count as unsafe and as safe; and each line is named once."""
    lines = [*home.unsafe.read_text().splitlines()[:12], *home.safe.read_text().splitlines()[:12]]
    both = write(tmp_path / "both.jsonl", {"prompt": "rain"}, "{oops", *lines)
    result = head("search", "--labelled", both, "--permutations", "0", "-o", "g.outrider", "--json")
    found = json.loads(result.out)
    assert (found["unsafe"], found["safe"]) == (12, 12)
    assert result.err.count("line 1: expected a label, safe or unsafe, got none") == 1
    assert result.err.count("line 2: ") == 1


def test_one_labelled_file_may_come_through_a_pipe(head, home, monkeypatch):
    lines = [*home.unsafe.read_text().splitlines()[:12], *home.safe.read_text().splitlines()[:12]]
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO("\n".join(lines).encode())))
    assert head("search", "--labelled", "-", "--permutations", "0", "-o", "g.outrider").code == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("--safe", "safe.jsonl"), "expected --unsafe FILE and --safe FILE"),
        (("--labelled", "a", "--safe", "b"), "--labelled"),
        (("--labelled", "safe.jsonl"), "expected at least one unsafe prompt"),
        (("--labelled", "no.jsonl"), "no.jsonl: no such file"),
        (("--unsafe", "a", "--safe", "a", "--statistic", "deflection_profile", "--heads", "3"), "expected no --heads"),
    ],
)
def test_prompts_that_do_not_make_a_search_are_refused(head, home, tmp_path, change, message):
    (tmp_path / "safe.jsonl").write_bytes(home.safe.read_bytes())
    write(tmp_path / "a", {"prompt": "rain"})
    assert message in error_of(head("search", *change, "-o", "g.outrider"))


def test_too_few_prompts_name_the_number(head, home):
    said = error_of(head("search", "--unsafe", home.unsafe, "--safe", home.safe, "--rows", ":4", "-o", "g.outrider"))
    assert "expected at least 10 unsafe prompts" in said


def test_a_missing_extra_is_told_before_the_work(head, home, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert install_hint("report") in error_of(head("search", *given(home, "--page", "h.html")))
    assert not Path("g.outrider").exists()


def test_a_folder_that_is_not_there_is_told_before_the_work(head, home):
    assert "no/g.outrider: expected a folder" in error_of(head("search", *given(home)[:-1], "no/g.outrider"))
