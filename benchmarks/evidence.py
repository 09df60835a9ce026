"""Evidence: `python -m benchmarks.evidence` measures everything that documents say of detection, and writes RESULTS.md.

Detection on four networks, fewer taps, the attacker who knows the monitor, and what criteria cost. Two commands run at
a time, each on one thread. What has not changed since the last run is skipped, so that a run that was broken off goes
on. Keys, logs and scores lie in the cache, under `benchmarks/evidence`. A command that fails is named at the end, and
the others still run. A network whose data or weights are missing is left out, which is said.

`--quick` takes small samples, leaves out costs, fewer taps and rows of units, and changes no result. Its tables go to
the cache.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from outrider.networks import cache_folder

from .keys import ROOT, code_key, digest, files_under
from .report import SECTIONS
from .results import FOLDER, load
from .scheduling import Plan, State, Task, named, shown
from .tables import markdown

NETWORKS = {"cifar10": 3.0, "gtsrb": 2.0, "fashion-mnist": 1.0, "mobilenet": 4.0}
"""Each with about how many times as slow as Fashion-MNIST it is."""
OURS = ("default", "channels", "units")
GROUPS: dict[str, tuple[tuple[str, ...], float]] = {
    "ours": (("default", "channels"), 100),
    "units": (("units",), 350),
    "pytorch-ood": (("pytorch-ood", "hbos"), 150),
    "other rivals": (("oodeel", "art", "nac"), 70),
    "scio": (("scio",), 60),
}
"""Parts of a table that run together, with about how many seconds they take for Fashion-MNIST."""
ATTACKS = {"cifar10": 1100, "gtsrb": 700, "fashion-mnist": 400, "mobilenet": 300}
NO_UNITS = ("mobilenet",)
DETECTORS = "benchmarks.detection.detectors"
STAGED = "benchmarks.detection.stages"
ADAPTIVE = "benchmarks.detection.adaptive"
ATTACKER = "who knows the monitor"
PACKAGES = {
    "torch": "torch", "onnxruntime": "onnxruntime", "foolbox": "foolbox", "pytorch-ood": "pytorch_ood",
    "oodeel": "oodeel", "scio-pypi": "scio", "adversarial-robustness-toolbox": "art", "pyod": "pyod",
}  # fmt: skip
DATA = "cifar10", "fashion-mnist", "mnist", "mobilenet-v2", "gtsrb", "gtsrb.npz"
"""Files and folders of the cache, or of `OUTRIDER_DATA`, that the tables rest on."""
NO_DATA = 3
FAILED = "failed"
"""How a reason begins why a row is left out of a table, where its detector broke down."""
SCIO = (3, 12)
QUICK = 0.06
"""What a quick run takes of the time of a whole one."""


def plan(*, quick: bool, folder: Path) -> list[Task]:
    """The tasks. folder: where a quick run keeps its figures."""
    found = [task for network in NETWORKS for task in _detection(network, quick=quick, folder=folder)]
    found.append(_adaptive(quick=quick))
    if not quick:
        found += [
            _task("fewer taps: mobilenet", (STAGED, "mobilenet"), 320, needs=("mobilenet: columns",), of="ours"),
            _task("cost: time", ("benchmarks.cost.speed",), 240, alone=True, of="ours"),
        ]  # fmt: skip
        before = tuple(task.name for task in found)
        found.append(Task("RESULTS.md", ("benchmarks.report",), 5, after=before))
    return found


def _detection(network: str, *, quick: bool, folder: Path) -> Iterator[Task]:
    share = QUICK if quick else 1
    more = ("--quick", "--folder", str(folder)) if quick else ()
    columns = f"{network}: columns"
    yield _task(columns, (DETECTORS, network, "--only", "columns", *more), ATTACKS[network] * share, of="columns")
    groups = {name: of for name, of in GROUPS.items() if name != "units" or not (quick or network in NO_UNITS)}
    for group, (parts, seconds) in groups.items():
        whose, python = "ours" if parts[0] in OURS else "rivals", _with_scio() if group == "scio" else sys.executable
        yield _task(
            f"{network}: {group}", (DETECTORS, network, "--only", *parts, *more), seconds * NETWORKS[network] * share,
            needs=(columns,), of=whose, python=python,
        )  # fmt: skip
    file = (folder if quick else FOLDER) / f"detection-{network}.json"
    yield _task(
        f"{network}: table", (DETECTORS, network, *more), 20 * NETWORKS[network] * share,
        after=tuple(f"{network}: {group}" for group in groups), needs=(columns,), of="ours", makes=(file,),
    )  # fmt: skip


def _adaptive(*, quick: bool) -> Task:
    command = (ADAPTIVE, "--quick" if quick else "--keep")
    return _task(ATTACKER, command, 120 if quick else 1300, of="ours")


def _task(
    name: str, command: tuple[str, ...], seconds: float, *, of: str, after: tuple[str, ...] = (),
    needs: tuple[str, ...] = (), alone: bool = False, makes: tuple[Path, ...] = (), python: str = sys.executable,
) -> Task:  # fmt: skip
    """A task whose key is that of its code, weights and data: with all of Outrider's where it measures what is ours."""
    files = [_file_of(command[0])]
    if of == "ours":
        files += files_under("coverage", "monitor", "networks")
    key = digest(command, python, code_key(*files), _data(), _versions())
    return Task(name, command, seconds, after, needs, alone, key, makes, python)


def _data() -> list[tuple[str, int, int]]:
    """Which files of weights and data are here: a file that was written anew counts as another."""
    folders = [Path(folder) for folder in (cache_folder(), os.environ.get("OUTRIDER_DATA")) if folder]
    places = [ROOT / "networks" / "zoo" / "weights", *(folder / name for folder in folders for name in DATA)]
    files = (path for place in places for path in (place, *sorted(place.rglob("*"))) if path.is_file())
    return [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]


def _versions() -> list[str]:
    """Which release of each library of a table is here, or none."""
    return [f"{name} {version(name) if find_spec(module) else None}" for name, module in PACKAGES.items()]


def _with_scio() -> str:
    """The Python that `make evidence` gave scio, where this one is too old for it and another was there."""
    own = ROOT / ".venv" / "scio" / "bin" / "python"
    return str(own) if sys.version_info < SCIO and own.is_file() else sys.executable


def _file_of(module: str) -> Path:
    return ROOT.joinpath(*module.split(".")).with_suffix(".py")


def _tables(states: dict[str, State]) -> list[str]:
    """The results of detection that stand, of those that were to be made."""
    made = [name.removesuffix(": table") for name in named(states, State.DONE, State.SKIPPED) if ": table" in name]
    return sorted(f"detection-{network}" for network in made)


def _quick_tables(folder: Path, kept: list[str]) -> Path:
    """The tables of a quick run, in one file. kept: the results that it made."""
    parts = {section.name: section.parts for section in SECTIONS}
    path = folder / "QUICK.md"
    path.write_text("\n\n".join(markdown(parts[name](load(name, folder).figures)) for name in kept), encoding="utf-8")
    return path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small samples; no result changes")
    parser.add_argument("--anew", action="store_true", help="run what has not changed too")
    parser.add_argument("--workers", type=int, default=2, help="how many commands run at a time")
    parser.add_argument("--list", action="store_true", help="name the commands and run none")
    options = parser.parse_args()
    folder = cache_folder() / "benchmarks" / "evidence" / ("quick" if options.quick else "whole")
    tasks = plan(quick=options.quick, folder=folder)
    if options.list:
        print(*(f"{task.seconds:6.0f} s  {task.name}: python -m {' '.join(task.command)}" for task in tasks), sep="\n")
        return 0
    found = Plan(tasks, folder, NO_DATA, options.workers, options.anew)
    with shown(found, "evidence") as move:
        well = found.run(move)
    made = _tables(found.states)
    if options.quick:
        print(f"tables: {_quick_tables(folder, made)}; of attacks: {found.log(found.by_name[ATTACKER])}")
    for name in made:
        for who, why in load(name, folder if options.quick else FOLDER).figures["left_out"].items():
            if why.startswith(FAILED):
                print(f"no row: {name}, {who}: {why}")
    for name in named(found.states, State.LEFT_OUT):
        print(f"left out, since its data are missing (make data; see benchmarks/detection/traffic_signs.py): {name}")
    for name in named(found.states, State.FAILED):
        print(f"failed: {name}, see {found.log(found.by_name[name])}")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
