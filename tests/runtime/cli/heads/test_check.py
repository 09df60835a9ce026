"""`outrider head check`: exit status, lines that cannot be judged, the table, JSON, the log."""

from __future__ import annotations

import json

import pytest

from outrider.monitor.heads import HeadGuard
from outrider.networks.transformers import open_decoder
from outrider.runtime.inputs.prompts import read_prompts

from ..outcomes import error_of, lines_of
from .conftest import write


@pytest.fixture
def calm(home, tmp_path):
    """Three prompts well below the threshold."""
    guard = HeadGuard.load(home.calibrated, open_decoder(home.model))
    safe = [line.prompt["prompt"] for line in read_prompts(home.safe)]
    scores = guard.scores(safe)
    return write(tmp_path / "calm.jsonl", *({"prompt": safe[i]} for i in scores.argsort()[:3]))


def test_the_exit_status_tells_calm_from_flagged_prompts(head, home, calm):
    assert head("check", calm, "--guard", home.calibrated).code == 0
    result = head("check", home.unsafe, "--guard", home.calibrated)
    assert result.code == 1
    assert "24 prompts, " in result.out
    assert "ALARM" in result.out


@pytest.mark.parametrize("size", ["1", "5"])
def test_verdicts_are_those_of_the_library_line_by_line(head, home, size):
    result = head("check", home.unsafe, "--guard", home.calibrated, "--batch-size", size, "--json")
    found = lines_of(result)
    guard = HeadGuard.load(home.calibrated, open_decoder(home.model))
    expected = guard.check([line.prompt for line in read_prompts(home.unsafe)])
    assert [line["line"] for line in found] == list(range(1, 25))
    assert [line["status"] for line in found] == [verdict.status.name.lower() for verdict in expected]
    assert [line["score"] for line in found] == pytest.approx([verdict.score for verdict in expected], abs=1e-4)
    assert {line["label"] for line in found} == {"unsafe"}


def test_in_half_precision_prompts_go_one_by_one_as_in_a_calibration(head, home, monkeypatch):
    sizes = []
    plain = HeadGuard.check
    monkeypatch.setattr(HeadGuard, "check", lambda guard, prompts: sizes.append(len(prompts)) or plain(guard, prompts))
    assert head("check", home.unsafe, "--guard", home.calibrated, "--rows", ":9").code == 1
    assert sizes == [8, 1]
    arguments = ("--safe", home.safe, "--rows", ":24", "--dtype", "bfloat16", "--permutations", "0", "-o", "h.outrider")
    assert head("search", "--unsafe", home.unsafe, *arguments).code == 0
    assert head("calibrate", "--guard", "h.outrider", "--safe", home.safe, "--rows", "24:").code == 0
    sizes.clear()
    head("check", home.unsafe, "--guard", "h.outrider", "--rows", ":3")
    assert sizes == [1, 1, 1]


def test_a_line_that_cannot_be_judged_is_a_fault_and_never_ok(head, home, calm, tmp_path):
    good = calm.read_text().splitlines()
    picture = {"prompt": "what is this", "image": "no.png"}
    broken = write(tmp_path / "b.jsonl", good[0], "{oops", {"prompt": ""}, picture, {"prompt": "rain " * 90}, good[1])
    result = head("check", broken, "--guard", home.calibrated, "--json", "--batch-size", "3")
    lines = lines_of(result)
    assert result.code == 1
    assert [line["status"] for line in lines] == ["ok", "fault", "fault", "fault", "fault", "ok"]
    assert [line["line"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert lines[1]["score"] is None
    words = ("an object in JSON", "an empty one", "picture", "at most 64 tokens")
    assert all(word in line["reason"] for word, line in zip(words, lines[1:5], strict=True))
    table = head("check", broken, "--guard", home.calibrated).out
    assert "6 prompts, 0 flagged (0.00%), 4 prompts could not be judged" in table
    assert next(line for line in table.splitlines() if line.strip().startswith("2 ")).split()[1] == "FAULT"


def test_only_what_is_shown_tells_of_the_prompt(head, home, tmp_path):
    result = head("check", home.unsafe, "--guard", home.calibrated, "--log", "e.jsonl", "--json")
    assert result.code == 1
    words = [line.prompt["prompt"] for line in read_prompts(home.unsafe)]
    log = (tmp_path / "e.jsonl").read_text()
    assert not [text for text in words if text in log or text in result.out]
    assert '"source":"prompts of tiny"' in log


def test_the_log_makes_a_report(head, outrider, home, tmp_path):
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    broken = write(tmp_path / "b.jsonl", "{oops", *home.unsafe.read_text().splitlines())
    flagged = sum(line["status"] == "alarm" for line in lines_of(
        head("check", broken, "--guard", home.calibrated, "--log", "e.jsonl", "--json")
    ))  # fmt: skip
    statistics = json.loads(outrider("report", "e.jsonl", "--json").out)
    counts = statistics["counts"]
    assert (counts["frames"], counts["alarms"], counts["faults"]) == (25, flagged, 1)
    assert outrider("report", "e.jsonl", "-o", "r.html").code == 0
    assert "prompts of tiny" in (tmp_path / "r.html").read_text("utf-8")


def test_what_cannot_be_checked_is_one_sentence(head, outrider, home, calm, tmp_path):
    assert "expected a heads file with a threshold" in error_of(head("check", calm, "--guard", home.searched))
    assert "no such file" in error_of(head("check", tmp_path / "no.jsonl", "--guard", home.calibrated))
    assert "within --rows" in error_of(head("check", calm, "--guard", home.calibrated, "--rows", "9:"))
    error_of(outrider("head", "check", tmp_path, calm, "--guard", home.calibrated))
