"""Two versions side by side: `python -m benchmarks.cost.versions CHECKOUT` prints how much longer this one takes.

CHECKOUT is a folder with another version's rooms. Both versions run in one process, on the same models and frames, in
turning order. Each figure is the median of paired ratios, this version over the other: 1.00 is as before. The verdicts
of both are compared too; a difference ends the run.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from outrider.networks import drive_model
from outrider.networks.cost import paired, ratio

from ..tables import Table, show
from .guard import small

ROOMS = "networks", "coverage", "monitor", "runtime"
FRAMES, BATCH = 64, 64
DISTANCES = {"@relu:channel": "mahalanobis", "@output": "softmax"}
CASES: dict[str, tuple[Callable[[], bytes], dict[str, str]]] = {
    "two dense layers, ranges": (small, {"@relu": "single_range"}),
    "two dense layers, distances and softmax": (small, DISTANCES),
    "drive network, what the default takes": (
        lambda: Path(drive_model()).read_bytes(),
        DISTANCES | {"conv1.relu:unit": "single_range"},
    ),
}


def version(package: str) -> SimpleNamespace:
    """The rooms of a package."""
    return SimpleNamespace(**{room: import_module(f"{package}.{room}") for room in ROOMS})


def other_version(checkout: Path, folder: Path) -> SimpleNamespace:
    """The rooms of another checkout, under a name of their own: their imports of each other are relative."""
    package = folder / "outrider_of_before"
    package.mkdir()
    for room in ROOMS:
        if not (checkout / room / "__init__.py").is_file():
            raise SystemExit(f"expected a checkout with the rooms {', '.join(ROOMS)}, got {checkout}")
        (package / room).symlink_to(checkout.resolve() / room)
    sys.path.insert(0, str(folder))
    return version(package.name)


def taught(rooms: SimpleNamespace, model: bytes, criteria: dict[str, str]) -> Any:
    """A calibrated monitor of one version."""
    network = rooms.networks.OnnxNetwork(model)
    parsed = {selector: rooms.coverage.parse_criterion(text) for selector, text in criteria.items()}
    monitor = rooms.monitor.Monitor(network, parsed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # frames of noise are predicted as few classes
        monitor.profile((frames(network, seed) for seed in range(20)), minimum_per_class=0)
        monitor.calibrate((frames(network, seed) for seed in range(100, 120)), 0.01)
    return monitor


def frames(network: Any, seed: int) -> np.ndarray:
    """A batch of noise."""
    return np.random.default_rng(seed).random((BATCH, *network.input_shape), np.float32)


def refuse_other_verdicts(ours: Any, theirs: Any) -> None:
    """End the run where the two versions disagree on a frame."""
    for frame in frames(ours.network, 7):
        found, expected = (monitor(frame)[1] for monitor in (ours, theirs))
        same = (found.status, found.score, found.reason) == (expected.status, expected.score, expected.reason)
        if not same or not np.array_equal(found.deviation, expected.deviation):
            raise SystemExit(f"expected the verdict of before, {expected}, got {found}")


def in_turn(call: Callable[[np.ndarray], object], pool: np.ndarray) -> Callable[[], object]:
    """A call with the next frame of a pool."""
    turns = itertools.count()
    return lambda: call(pool[next(turns) % len(pool)])


def compared(name: str, ours: SimpleNamespace, theirs: SimpleNamespace, rounds: int) -> list[str]:
    """The row of a case: a guard's frame, a monitor's frame, the two against each other, a batch."""
    make, criteria = CASES[name]
    monitors = [taught(rooms, make(), criteria) for rooms in (ours, theirs)]
    refuse_other_verdicts(*monitors)
    pool = frames(monitors[0].network, 9)
    guards = [
        rooms.runtime.Guard(monitor, deadline=1.0, frozen=10).warm_up()
        for rooms, monitor in zip((ours, theirs), monitors, strict=True)
    ]
    guarded = paired({f"{i}": in_turn(guard, pool) for i, guard in enumerate(guards)}, rounds)
    alone = paired({f"{i}": in_turn(monitor, pool) for i, monitor in enumerate(monitors)}, rounds)
    both = paired({"monitor": in_turn(monitors[0], pool), "guard": in_turn(guards[0], pool)}, rounds)
    batches = paired({f"{i}": lambda m=monitor: m.check(pool) for i, monitor in enumerate(monitors)}, rounds // 20)
    for guard in guards:
        guard.close()
    found = ratio(guarded, "0", "1"), ratio(alone, "0", "1"), ratio(both, "monitor", "guard"), ratio(batches, "0", "1")
    return [name, *(f"{value:.3f}" for value in found)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, help="a folder with the rooms of another version")
    parser.add_argument("--rounds", type=int, default=10_000, help="frames of each version in a case; default: 10000")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        theirs = other_version(options.checkout, Path(folder))
        ours = version("outrider")
        rows = [compared(name, ours, theirs, options.rounds) for name in CASES]
    header = "", "guard(frame)", "monitor(frame)", "monitor over guard, both this version", f"check of {BATCH}"
    show([Table("this version over the other, medians of paired ratios", header, rows)])


if __name__ == "__main__":
    main()
