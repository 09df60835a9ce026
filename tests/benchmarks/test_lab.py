from __future__ import annotations

import pytest

pytest.importorskip("torch")

from benchmarks import lab
from benchmarks.keys import ROOT
from benchmarks.lab import SEEDS, STUDIES, plan, prompts_folder
from benchmarks.scheduling import Plan


def test_every_task_is_a_command_and_what_gathers_comes_after_its_seeds(tmp_path):
    tasks = plan(quick=False, prompts=tmp_path)
    assert Plan(tasks, tmp_path, 3).seconds  # names that tasks follow are those of tasks
    for task in tasks:
        assert ROOT.joinpath(*task.command[0].split(".")).with_suffix(".py").is_file(), task.name
    for study in STUDIES:
        gathers = next(task for task in tasks if task.name == study.name)
        assert gathers.needs == tuple(f"{study.name}, seed {seed}" for seed in SEEDS)
        assert [task.name for task in tasks if "--keep" in task.command and study.name in task.name] == [study.name]
    assert set(tasks[-1].after) == {task.name for task in tasks[:-1]}


def test_a_quick_run_changes_no_result(tmp_path):
    tasks = plan(quick=True, prompts=tmp_path)
    assert [task.name for task in tasks] == [study.name for study in STUDIES]
    assert all("--quick" in task.command and "--keep" not in task.command for task in tasks)


def test_without_prompts_the_studies_of_prompts_are_left_out():
    names = {study.name for study in STUDIES if not study.prompts}
    assert {task.name.partition(",")[0] for task in plan(quick=False, prompts=None)} == names | {"RESULTS.md"}


def test_the_folder_of_prompts_is_the_one_named_or_that_of_the_users_data(tmp_path, monkeypatch):
    monkeypatch.delenv("OUTRIDER_DATA", raising=False)
    assert prompts_folder(None) is None
    monkeypatch.setenv("OUTRIDER_DATA", str(tmp_path))
    assert prompts_folder(None) is None
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "xstest.jsonl").write_text("{}\n")
    assert prompts_folder(None) == tmp_path / "prompts"
    with pytest.raises(FileNotFoundError, match="expected a folder with"):
        prompts_folder(tmp_path)


def test_a_failed_study_is_named_and_is_the_exit_status(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(lab, "STUDIES", (lab.Study("missing", 1),))
    monkeypatch.setattr(lab, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr("sys.argv", ["lab", "--quick"])
    assert lab.main() == 1
    assert "failed: missing" in capsys.readouterr().out
