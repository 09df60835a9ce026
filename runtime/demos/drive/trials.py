"""Which tracks serve what, many drives in several processes, and the monitor made from clean drives."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from ....monitor import Monitor
from ....networks import OnnxNetwork
from ....networks.zoo.steering import drive_model
from ..steps import Step
from .faults import FAULTS, Fault, Scene
from .loop import FRAMES, DriveRecord, DriveTrial, Pilot, drive
from .world import World

PROFILED, HELD_OUT = range(2000, 2024), range(3000, 3024)
DEVELOPMENT, EVALUATION, SHOWN = range(4000, 4020), range(5000, 5020), range(6000, 6020)
"""Tracks are numbered by their seed; the network learned on 1000 to 1035, see `school`. Every choice was made on the
tracks of development; those of evaluation belong to the benchmark, the shown ones to the demo."""
PUSH = 0.3
"""Drives for the profile are pushed off their line, so the profile knows the way back; see `drive`."""
FALSE_ALARM_RATE = 0.0005
"""Per frame; the hysteresis of the guard makes false alarms rarer still."""
CHANGED = 1.0
"""So many metres off the path of the clean drive count as changed driving."""


class Driver:
    """Makes trials with the network of a folder of weights, and with its monitor if a profile is given."""

    def __init__(self, weights: Path, profile: Path | None) -> None:
        network = OnnxNetwork(drive_model(weights))
        self._weights = weights
        self._world = World()
        self._bare = Pilot(network)
        self._guarded = None if profile is None else Pilot(network, Monitor.load(profile, network))

    def __call__(self, trial: DriveTrial) -> DriveRecord:
        pilot = self._guarded if trial.guarded else self._bare
        if pilot is None:
            raise ValueError("expected a profile for a drive under a guard, got none")

        def begin(random: np.random.Generator) -> Fault:
            return FAULTS[trial.fault](Scene(self._world, random, self._weights))

        return drive(self._world, pilot, trial, begin if trial.fault else None)


def run_trials(
    trials: Iterable[DriveTrial], weights: Path, profile: Path | None = None, *, workers: int = 1
) -> Iterator[DriveRecord]:
    """The drives, in order, the same for every number of worker processes."""
    if workers == 1:
        yield from map(Driver(weights, profile), trials)
        return
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start, (weights, profile)) as pool:
        yield from pool.map(_run, trials)


def make_monitor(
    weights: Path,
    *,
    profiled: Sequence[int] = PROFILED,
    held_out: Sequence[int] = HELD_OUT,
    rate: float = FALSE_ALARM_RATE,
    frames: int = FRAMES,
    workers: int = 1,
    step: Step = lambda _text: None,
) -> Monitor:
    """The monitor of the network in a folder of weights, profiled and calibrated on clean drives of its own."""
    monitor = Monitor(OnnxNetwork(drive_model(weights)))
    step(f"profiling: the network drives {len(profiled)} tracks, pushed off its line now and then")
    trials = [DriveTrial(track, push=PUSH, frames=frames, keep=True) for track in profiled]
    monitor.profile(_batches(run_trials(trials, weights, workers=workers)))
    step(f"calibrating: it drives {len(held_out)} others undisturbed; {rate:.2%} false alarms a frame")
    trials = [DriveTrial(track, frames=frames, keep=True) for track in held_out]
    monitor.calibrate(_batches(run_trials(trials, weights, workers=workers)), rate)
    return monitor


def changes(clean: DriveRecord, faulty: DriveRecord) -> bool:
    """Whether the fault took the car off the road, or `CHANGED` metres off the path it takes without the fault."""
    if faulty.left_at is not None:
        return True
    path, start = np.array(clean.position), faulty.fault_at or 0
    for position, distance in zip(faulty.position[start:], faulty.distance[start:], strict=True):
        if distance < clean.distance[-1] and _away(path, position) > CHANGED:
            return True
    return False


def _away(path: np.ndarray, position: np.ndarray) -> float:
    """The distance of a point from a polyline (n, 2)."""
    start, along = path[:-1], np.diff(path, axis=0)
    length = np.maximum((along**2).sum(axis=1), 1e-12)
    share = np.clip(((position - start) * along).sum(axis=1) / length, 0, 1)
    return float(np.sqrt(((start + share[:, None] * along - position) ** 2).sum(axis=1)).min())


def _batches(drives: Iterable[DriveRecord]) -> Iterator[np.ndarray]:
    for record in drives:
        for start in range(0, len(record.frames), 100):
            yield np.stack(record.frames[start : start + 100]).astype(np.float32) / np.float32(255)


_driver: Driver | None = None


def _start(weights: Path, profile: Path | None) -> None:
    global _driver  # noqa: PLW0603 (one driver per worker process)
    os.environ["OMP_NUM_THREADS"] = "1"  # for PyTorch, should a fault import it: the workers share the cores
    _driver = Driver(weights, profile)


def _run(trial: DriveTrial) -> DriveRecord:
    assert _driver is not None  # noqa: S101 (for mypy: `_start` made it)
    return _driver(trial)
