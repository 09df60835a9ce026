"""Independent commands, two at a time, the longest first; what has not changed is skipped."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from .keys import ROOT

TICK = 0.2


class State(Enum):
    """How a task ended."""

    DONE = "done"
    SKIPPED = "nothing has changed"
    LEFT_OUT = "left out: its data are missing"
    FAILED = "failed"


@dataclass(frozen=True)
class Task:
    """A module of the benchmarks with its arguments.

    seconds: about how long it takes on one core. after: the names of tasks that must have ended before. needs: those
    of them without which it cannot run. alone: whether nothing may run beside it. key: what it rests on; one that ends
    with the same key again is skipped. makes: files without which it is not skipped. python: what runs it.
    """

    name: str
    command: tuple[str, ...]
    seconds: float
    after: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    alone: bool = False
    key: str = ""
    makes: tuple[Path, ...] = ()
    python: str = sys.executable


@dataclass
class Plan:
    """Tasks, where their keys and logs lie, and how each ended.

    missing: the exit status of a task whose data are missing. say: gets a line for each that ends.
    """

    tasks: Sequence[Task]
    folder: Path
    missing: int
    workers: int = 2
    anew: bool = False
    say: Callable[[str], object] = print
    states: dict[str, State] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.running: dict[str, tuple[subprocess.Popen, float]] = {}
        self.by_name = {task.name: task for task in self.tasks}
        unknown = {name for task in self.tasks for name in (*task.after, *task.needs)} - self.by_name.keys()
        if unknown:
            raise ValueError(f"expected tasks to follow tasks of the plan, got {', '.join(sorted(unknown))}")
        before = {task.name: self._stored(task).get("seconds") for task in self.tasks}
        self.seconds = {task.name: before[task.name] or task.seconds for task in self.tasks}

    def run(self, tick: Callable[[], object] = lambda: None) -> bool:
        """Run all. tick: called every moment. Returns whether none failed."""
        try:
            while len(self.states) < len(self.tasks):
                self._end()
                self._start()
                tick()
                if self.running:
                    time.sleep(TICK)
        finally:
            for process, _ in self.running.values():
                process.terminate()
        return State.FAILED not in self.states.values()

    @property
    def done(self) -> float:
        """How many seconds of work are done, a running task counted by its time so far."""
        now = time.monotonic()
        ended = sum(self.seconds[name] for name in self.states)
        return ended + sum(min(now - began, self.seconds[name]) for name, (_, began) in self.running.items())

    @property
    def left(self) -> float:
        """About how many seconds it still takes."""
        return max(sum(self.seconds.values()) - self.done, 0) / self.workers

    def log(self, task: Task) -> Path:
        """Where the output of a task goes."""
        return self._file(task, "logs", "log")

    def _start(self) -> None:
        ready = [task for task in self.tasks if self._ready(task)]
        for task in sorted(ready, key=lambda task: -self._chain(task)):
            lost = [name for name in task.needs if self.states[name] in (State.FAILED, State.LEFT_OUT)]
            if lost:
                self._ended(task, self.states[lost[0]], f"without {lost[0]}")
            elif not self.anew and task.key and self._unchanged(task):
                self._ended(task, State.SKIPPED)
            elif self._room(task):
                self._launch(task)

    def _ready(self, task: Task) -> bool:
        waits = [name for name in (*task.after, *task.needs) if name not in self.states]
        return task.name not in self.states and task.name not in self.running and not waits

    def _room(self, task: Task) -> bool:
        if any(self.by_name[name].alone for name in self.running):
            return False
        return not self.running if task.alone else len(self.running) < self.workers

    def _chain(self, task: Task) -> float:
        """The seconds of a task and of the longest chain of those that follow it; those that run alone come last."""
        following = [other for other in self.tasks if task.name in (*other.after, *other.needs)]
        return self.seconds[task.name] * (not task.alone) + max(map(self._chain, following), default=0.0)

    def _launch(self, task: Task) -> None:
        path = self.log(task)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8") as log:
            process = subprocess.Popen(
                [task.python, "-m", *task.command], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )  # fmt: skip
        self.running[task.name] = (process, time.monotonic())

    def _end(self) -> None:
        for name, (process, began) in list(self.running.items()):
            if process.poll() is None:
                continue
            del self.running[name]
            task, took = self.by_name[name], time.monotonic() - began
            if process.returncode == 0:
                self._keep(task, took)
                self._ended(task, State.DONE, f"{took:.0f} s")
            elif process.returncode == self.missing:
                self._ended(task, State.LEFT_OUT, _last_line(self.log(task)))
            else:
                self._ended(task, State.FAILED, f"{_last_line(self.log(task))} ({self.log(task)})")

    def _ended(self, task: Task, state: State, more: str = "") -> None:
        self.states[task.name] = state
        text = f"{state.value}{': ' * bool(more)}{more}"
        self.say(f"{task.name}: {text}; about {self.left / 60:.0f} minutes left")

    def _unchanged(self, task: Task) -> bool:
        return self._stored(task).get("key") == task.key and all(path.is_file() for path in task.makes)

    def _keep(self, task: Task, took: float) -> None:
        path = self._file(task, "keys", "json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"key": task.key, "seconds": took}), encoding="utf-8")

    def _stored(self, task: Task) -> dict:
        try:
            return dict(json.loads(self._file(task, "keys", "json").read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError):
            return {}

    def _file(self, task: Task, kind: str, ending: str) -> Path:
        return self.folder / kind / f"{re.sub(r'[^a-z0-9]+', '-', task.name.lower())}.{ending}"


@contextmanager
def shown(plan: Plan, title: str) -> Iterator[Callable[[], None]]:
    """A bar while the tasks of a plan run, and a line for each that ends. Gives what moves the bar."""
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[left]}")
    with Progress(*columns, refresh_per_second=2) as progress:
        bar = progress.add_task(title, total=sum(plan.seconds.values()), left="")
        plan.say = lambda line: progress.console.print(line, markup=False, highlight=False, soft_wrap=True)

        def move() -> None:
            doing, left = " · ".join(plan.running) or title, f"{plan.left / 60:.0f} min left"
            progress.update(bar, completed=plan.done, description=doing, left=left)

        yield move


def named(states: dict[str, State], *wanted: State) -> list[str]:
    return [name for name, state in states.items() if state in wanted]


def _last_line(path: Path) -> str:
    lines: Iterable[str] = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line.strip() for line in reversed(list(lines)) if line.strip()), "no output")
