"""The experiment: a monitor learns from clean drives, then the camera fails half-way, without and with the guard."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ....monitor import Monitor
from ....networks import OnnxNetwork
from ....networks.zoo.steering import drive_model
from ..steps import Step, times_in_turn
from .faults import FAULTS
from .loop import FAULT_AT, FRAMES, DriveRecord, DriveTrial, standard_guard
from .trials import FALSE_ALARM_RATE, HELD_OUT, PROFILED, SHOWN, make_monitor, run_trials


@dataclass(frozen=True)
class Pair:
    """The same drive with the same fault, without and with the guard."""

    fault: str
    bare: DriveRecord
    guarded: DriveRecord


@dataclass(frozen=True)
class DriveExperiment:
    """All that the page shows.

    after: the frames of a drive after the fault. clean: drives under the guard without a fault. profile:
    `Monitor.describe()`. bare, monitored: (n,) seconds per frame of the network alone and of the guard with the
    network, frame by frame in turn.
    """

    after: int
    pairs: tuple[Pair, ...]
    clean: tuple[DriveRecord, ...]
    profile: dict[str, Any]
    bare: np.ndarray
    monitored: np.ndarray


@dataclass(frozen=True)
class Size:
    """The size of the experiment: frames of a drive, drives of each sort, faults, false-alarm rate, frames timed."""

    frames: int = FRAMES
    fault_at: int = FAULT_AT
    profiled: int = len(PROFILED)
    held_out: int = len(HELD_OUT)
    clean: int = 10
    faults: int = len(FAULTS)
    rate: float = FALSE_ALARM_RATE
    timed: int = 1500


FULL = Size()
FAST = Size(frames=80, fault_at=40, profiled=4, held_out=4, clean=1, faults=3, rate=0.01, timed=50)


def run_experiment(step: Step, weights: Path, size: Size = FULL, *, workers: int = 1) -> DriveExperiment:
    """Run the experiment with the network in a folder of weights; `step` is told what begins."""
    names = list(FAULTS)[: size.faults]
    monitor = make_monitor(
        weights,
        profiled=PROFILED[: size.profiled],
        held_out=HELD_OUT[: size.held_out],
        rate=size.rate,
        frames=size.frames,
        workers=workers,
        step=step,
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "drive.outrider"
        monitor.save(path)
        tracks = SHOWN[len(names) : len(names) + size.clean]
        step(f"driving {len(tracks)} other tracks under the guard, nothing at fault")
        trials = [DriveTrial(track, guarded=True, frames=size.frames) for track in tracks]
        clean = tuple(run_trials(trials, weights, path, workers=workers))
        step(f"driving with {len(names)} faults of the camera, each without the guard and with it")
        trials = [
            DriveTrial(track, fault, guarded, frames=size.frames, fault_at=size.fault_at, keep=True)
            for track, fault in zip(SHOWN, names, strict=False)
            for guarded in (False, True)
        ]
        drives = list(run_trials(trials, weights, path, workers=workers))
        step("timing one frame with and without the guard")
        bare, monitored = frame_times(path, weights, drives[0].frames[: size.fault_at], size.timed)
    pairs = tuple(Pair(*both) for both in zip(names, drives[::2], drives[1::2], strict=True))
    return DriveExperiment(size.frames - size.fault_at, pairs, clean, monitor.describe(), bare, monitored)


def frame_times(profile: Path, weights: Path, frames: list[np.ndarray], rounds: int) -> tuple[np.ndarray, np.ndarray]:
    """Seconds per frame, bare and under the guard. frames: (3, 84, 96) uint8."""
    network = OnnxNetwork(drive_model(weights))
    guard = standard_guard(Monitor.load(profile, network)).warm_up()
    floats = [frame.astype(np.float32) / np.float32(255) for frame in frames]
    return times_in_turn(network.run, guard, floats, rounds)
