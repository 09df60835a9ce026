from __future__ import annotations

import sys

import pytest

pytest.importorskip("torch")

from benchmarks.evidence import plan
from benchmarks.keys import ROOT


def test_every_task_is_a_command_of_the_benchmarks_and_the_report_comes_last(tmp_path):
    tasks = plan(quick=False, folder=tmp_path)
    for task in tasks:
        assert ROOT.joinpath(*task.command[0].split(".")).with_suffix(".py").is_file(), task.name
    report = tasks[-1]
    assert report.command == ("benchmarks.report",)
    assert set(report.after) == {task.name for task in tasks[:-1]}
    assert [task.name for task in tasks if task.alone] == ["cost: time"]


def test_a_quick_run_changes_no_result(tmp_path):
    tasks = plan(quick=True, folder=tmp_path)
    assert not [task.name for task in tasks if "--quick" not in task.command]
    assert not [task.name for task in tasks if "--keep" in task.command]
    assert all(path.parent == tmp_path for task in tasks for path in task.makes)


def test_the_rows_of_rivals_do_not_rest_on_what_is_ours(tmp_path, monkeypatch):
    files = {}
    monkeypatch.setattr("benchmarks.evidence.code_key", lambda *given: files.setdefault(len(files), given))
    tasks = plan(quick=False, folder=tmp_path)
    for task, given in zip(tasks, files.values(), strict=False):
        ours = any("coverage" in path.relative_to(ROOT).parts for path in given)
        assert ours == (not any(word in task.name for word in ("pytorch-ood", "rivals", "scio", "columns"))), task.name
    assert all(task.python == sys.executable for task in tasks if "scio" not in task.name)
