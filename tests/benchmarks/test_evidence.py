from __future__ import annotations

import os
import sys

import pytest

pytest.importorskip("torch")

from benchmarks import evidence
from benchmarks.evidence import plan
from benchmarks.keys import ROOT
from benchmarks.scheduling import State


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


def test_a_task_rests_on_the_content_of_weights_and_data(tmp_path, monkeypatch):
    monkeypatch.setattr(evidence, "cache_folder", lambda: tmp_path)
    monkeypatch.setenv("OUTRIDER_DATA", str(tmp_path / "own"))

    def key() -> str:
        return evidence._task("quotes", ("benchmarks.quotes",), 1, of="columns").key

    seen = {key()}
    for place in ("gtsrb.npz", "cifar10/train.bin", "own/gtsrb.npz"):
        file = tmp_path / place
        file.parent.mkdir(exist_ok=True)
        for content in (b"one", b"two"):
            file.write_bytes(content)
            os.utime(file, ns=(0, len(seen)))
            new = key()
            assert new not in seen
            seen.add(new)


def test_the_tables_of_a_run_are_those_that_it_made(tmp_path):
    states = {"gtsrb: table": State.LEFT_OUT, "cifar10: table": State.DONE, "mobilenet: table": State.FAILED}
    states |= {"fashion-mnist: table": State.SKIPPED, "fashion-mnist: ours": State.DONE}
    assert evidence._tables(states) == ["detection-cifar10", "detection-fashion-mnist"]
