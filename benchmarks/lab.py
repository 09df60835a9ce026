"""The safety laboratory: `python -m benchmarks.lab` runs all of its studies and writes RESULTS.md; `make lab`.

Two commands run at a time, each on one thread, one for each seed of a study, then one that gathers its seeds. Each part
of a study lies in the cache when it is done, so that a run that was broken off goes on. Logs with the tables lie there
too, under `benchmarks/lab`. A command that fails is named at the end, and the others still run.

The studies of language models take unsafe and safe prompts from the folder of `--prompts`, by default the folder
`prompts` in `$OUTRIDER_DATA`; without one they are left out, which is said. `--quick` takes one seed and few steps, and
changes no result.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from outrider.networks import cache_folder

from .scheduling import Plan, State, Task, named, shown

SEEDS = (0, 1, 2)
QUICK = 0.08
"""What a quick run takes of the time of a whole one with one seed."""
NO_DATA = 3


@dataclass(frozen=True)
class Study:
    """A study: its folder under `studies`, and about how many seconds each seed of it takes on one core.

    needs: the study whose models it measures. prompts: whether it reads the folder of prompts.
    """

    name: str
    seconds: float
    needs: str | None = None
    prompts: bool = False


STUDIES = (
    Study("testbed", 1500),
    Study("mechanism", 300, needs="testbed"),
    Study("clip", 700),
    Study("reasons", 600, prompts=True),
    Study("defences", 500, prompts=True),
)


def plan(*, quick: bool, prompts: Path | None, device: str = "cpu", large: bool = False) -> list[Task]:
    """The tasks. prompts: without a folder, the studies that need one are left out."""
    found = [
        task
        for study in STUDIES
        if prompts is not None or not study.prompts
        for task in _tasks(study, quick=quick, prompts=prompts, device=device, large=large)
    ]
    if not quick:
        found.append(Task("RESULTS.md", ("benchmarks.report",), 5, after=tuple(task.name for task in found)))
    return found


def _tasks(study: Study, *, quick: bool, prompts: Path | None, device: str, large: bool) -> Iterator[Task]:
    given = ["--prompts", str(prompts)] if study.prompts else []
    given += ["--quick"] if quick else ["--large"] if large else []
    given += [] if device == "cpu" else ["--device", device]
    command = f"benchmarks.studies.{study.name}.study", *given
    seconds = study.seconds * (QUICK if quick else 1)
    if quick:
        yield Task(study.name, command, seconds, needs=(study.needs,) if study.needs else ())
        return
    for seed in SEEDS:
        needs = (f"{study.needs}, seed {seed}",) if study.needs else ()
        yield Task(f"{study.name}, seed {seed}", (*command, "--seeds", str(seed)), seconds, needs=needs)
    seeds = tuple(f"{study.name}, seed {seed}" for seed in SEEDS)
    yield Task(study.name, (*command, "--keep"), 20, needs=seeds)


def prompts_folder(given: Path | None) -> Path | None:
    """The folder of prompts: the one named, that of `$OUTRIDER_DATA`, or none.

    Raises FileNotFoundError for a named folder without prompts.
    """
    own = os.environ.get("OUTRIDER_DATA")
    folder = given or (Path(own) / "prompts" if own else None)
    if folder is not None and any(folder.glob("*.jsonl")):
        return folder.resolve()
    if given is not None:
        raise FileNotFoundError(f"{given}: expected a folder with .jsonl files of prompts, got none")
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="one seed, few steps; no result changes")
    size.add_argument("--large", action="store_true", help="the sizes for one GPU; with --device cuda")
    parser.add_argument("--prompts", type=Path, metavar="FOLDER", help="default: $OUTRIDER_DATA/prompts")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="default: %(default)s")
    parser.add_argument("--workers", type=int, default=2, help="how many commands run at a time")
    parser.add_argument("--list", action="store_true", help="name the commands and run none")
    options = parser.parse_args()
    prompts = prompts_folder(options.prompts)
    tasks = plan(quick=options.quick, prompts=prompts, device=options.device, large=options.large)
    if options.list:
        print(*(f"{task.seconds:6.0f} s  {task.name}: python -m {' '.join(task.command)}" for task in tasks), sep="\n")
        return 0
    size_of = "quick" if options.quick else "large" if options.large else "whole"
    found = Plan(tasks, cache_folder() / "benchmarks" / "lab" / size_of, NO_DATA, options.workers)
    with shown(found, "lab") as move:
        well = found.run(move)
    for name in named(found.states, State.DONE):
        if name != "RESULTS.md" and ", seed" not in name:
            print(f"tables of {name}: {found.log(found.by_name[name])}")
    if prompts is None:
        left_out = " and ".join(study.name for study in STUDIES if study.prompts)
        print(f"left out, since there is no folder of prompts: {left_out}; name one with --prompts (PROMPTS= for make)")
    for name in named(found.states, State.FAILED):
        print(f"failed: {name}, see {found.log(found.by_name[name])}")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
