"""Plans of small modules of Python's own, so that nothing of ours is started."""

from __future__ import annotations

import pytest

from benchmarks.scheduling import Plan, State, Task, named

FINE = ("timeit", "-n1", "-r1", "pass")
BROKEN = ("timeit", "-n1", "-r1", "raise ValueError('no luck')")
WITHOUT_DATA = ("site", "--unknown")  # exits with 10
MISSING = 10


def plan(tmp_path, *tasks: Task, **options) -> tuple[Plan, list[str]]:
    said: list[str] = []
    return Plan(tasks, tmp_path, MISSING, say=said.append, **options), said


def test_a_task_that_fails_is_named_and_the_others_run(tmp_path):
    found, said = plan(
        tmp_path, Task("first", BROKEN, 1), Task("second", FINE, 1, after=("first",)),
        Task("third", FINE, 1, needs=("first",)), Task("fourth", FINE, 1),
    )  # fmt: skip
    assert not found.run()
    failed, done = named(found.states, State.FAILED), named(found.states, State.DONE)
    assert (sorted(failed), sorted(done)) == (["first", "third"], ["fourth", "second"])
    assert "no luck" in next(line for line in said if line.startswith("first"))
    assert "no luck" in found.log(found.by_name["first"]).read_text()
    assert found.left == 0


def test_missing_data_are_no_failure_and_leave_out_what_needs_them(tmp_path):
    found, _ = plan(tmp_path, Task("data", WITHOUT_DATA, 1), Task("row", FINE, 1, needs=("data",)))
    assert found.run()
    assert found.states == {"data": State.LEFT_OUT, "row": State.LEFT_OUT}


def test_what_has_not_changed_is_skipped(tmp_path):
    made = tmp_path / "made.json"
    made.touch()
    tasks = Task("kept", FINE, 1, key="a", makes=(made,)), Task("broken", BROKEN, 1, key="b")
    plan(tmp_path, *tasks)[0].run()
    again, _ = plan(tmp_path, *tasks)
    again.run()
    assert again.states == {"kept": State.SKIPPED, "broken": State.FAILED}

    def state(**options) -> State:
        task = Task("kept", FINE, 1, key=options.pop("key", "a"), makes=(made,))
        other, _ = plan(tmp_path, task, **options)
        other.run()
        return other.states["kept"]

    assert state(anew=True) == State.DONE
    assert state(key="c") == State.DONE
    assert state(key="c") == State.SKIPPED
    made.unlink()
    assert state(key="c") == State.DONE


def test_the_longest_chain_goes_first_and_a_task_that_is_alone_last(tmp_path):
    slept = "import time; time.sleep(0.3)"
    tasks = (
        Task("alone", (*FINE[:3], slept), 50, alone=True), Task("short", (*FINE[:3], slept), 5),
        Task("long", (*FINE[:3], slept), 9), Task("root", (*FINE[:3], slept), 1),
        Task("leaf", FINE, 10, after=("root",)),
    )  # fmt: skip
    found, _ = plan(tmp_path, *tasks, workers=1)
    found.run()
    assert list(found.states) == ["root", "leaf", "long", "short", "alone"]


def test_tasks_that_are_alone_have_nothing_beside_them(tmp_path):
    beside: list[set[str]] = []
    slept = (*FINE[:3], "import time; time.sleep(0.5)")
    found, _ = plan(tmp_path, Task("a", slept, 1, alone=True), Task("b", slept, 1), Task("c", slept, 1))
    found.run(lambda: beside.append(set(found.running)))
    assert {"b", "c"} in beside
    assert all(one == {"a"} for one in beside if "a" in one)


def test_a_plan_refuses_to_wait_for_what_is_not_in_it(tmp_path):
    with pytest.raises(ValueError, match="got nothing"):
        plan(tmp_path, Task("a", FINE, 1, after=("nothing",)))


def test_a_task_runs_in_the_python_that_it_names(tmp_path):
    other = tmp_path / "python"
    other.write_text('#!/bin/sh\necho "$OMP_NUM_THREADS $*"\n')
    other.chmod(0o755)
    found, _ = plan(tmp_path, Task("a", ("room.module", "--flag"), 1, python=str(other)))
    found.run()
    assert found.log(found.by_name["a"]).read_text() == "1 -m room.module --flag\n"
