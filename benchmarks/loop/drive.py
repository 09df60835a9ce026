"""The closed loop: `python -m benchmarks.loop.drive` drives 20 unseen tracks with every fault of the camera.

Each track is driven clean and with each fault switched on half-way, without the guard and with it. The network, the
profile and the threshold come from other tracks, and so did every choice; see `outrider.runtime.demos.drive.trials`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from outrider.monitor import clopper_pearson
from outrider.runtime.demos.drive import (
    ALARM,
    CHANGED,
    DEVELOPMENT,
    EVALUATION,
    FAULT_AT,
    FAULTS,
    FRAMES,
    FROZEN,
    WEIGHTS,
    DriveRecord,
    DriveTrial,
    changes,
    frame_times,
    make_monitor,
    run_trials,
)

from ..results import keep
from ..tables import show
from . import tables


def judge(
    name: str, clean: Sequence[DriveRecord], bare: Sequence[DriveRecord], guarded: Sequence[DriveRecord]
) -> dict[str, Any]:
    """The figures of one fault over the tracks."""
    changed = [changes(*pair) for pair in zip(clean, bare, strict=True)]
    delays = [record.delay for record in guarded]
    soon = [delay is not None and delay <= tables.SOON for delay in delays]
    return {
        "fault": name,
        "drives": len(bare),
        "changed": sum(changed),
        "changed and flagged soon": sum(both for both in map(all, zip(changed, soon, strict=True))),
        "flagged soon": sum(soon),
        "delays": delays,
        "left without": sum(record.left_at is not None for record in bare),
        "left with": sum(record.left_at is not None for record in guarded),
        "stopped": sum(record.stopped_at is not None for record in guarded),
        "metres without": [round(record.travelled, 1) for record in bare],
        "metres with": [round(record.travelled, 1) for record in guarded],
        "false alarm before": sum(record.false_alarm for record in guarded),
    }


def clean_figures(records: Sequence[DriveRecord]) -> dict[str, Any]:
    """What the guard did on drives without a fault."""
    ratio = np.concatenate([record.ratio for record in records])
    return {
        "drives": len(records),
        "alarms": sum(record.false_alarm for record in records),
        "stopped": sum(record.stopped_at is not None for record in records),
        "left": sum(record.left_at is not None for record in records),
        "frames": len(ratio),
        "frames above": int((ratio > 1).sum()),
        "highest": [round(max(record.ratio), 2) for record in records],
        "metres": round(sum(record.travelled for record in records)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--development", action="store_true", help="the tracks of development; nothing is kept")
    parser.add_argument("--tracks", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--profile", type=Path, help="a profile made before, or where to leave the one made now")
    options = parser.parse_args()
    tracks = (DEVELOPMENT if options.development else EVALUATION)[: options.tracks]
    began = time.perf_counter()

    def step(text: str) -> None:
        print(f"{time.perf_counter() - began:6.0f} s  {text}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        profile = options.profile or Path(folder) / "drive.outrider"
        if not profile.exists():
            make_monitor(WEIGHTS, workers=options.workers, step=step).save(profile)

        def drives(fault: str, guarded: bool, keep_frames: bool = False) -> list[DriveRecord]:
            step(f"{len(tracks)} drives, {fault or 'clean'}, {'with' if guarded else 'without'} the guard")
            trials = [DriveTrial(track, fault, guarded, keep=keep_frames) for track in tracks]
            return list(run_trials(trials, WEIGHTS, profile, workers=options.workers))

        clean, clean_guarded = drives("", False), clean_figures(drives("", True))
        rows = [judge(name, clean, drives(name, False), drives(name, True)) for name in FAULTS]
        step("frame times")
        frames = next(iter(run_trials([DriveTrial(tracks[0], keep=True)], WEIGHTS))).frames
        bare, monitored = frame_times(profile, WEIGHTS, frames, rounds=5000)
    times = {
        name: {f"{share:g}": float(np.quantile(values, share)) * 1e3 for share in (0.5, 0.99, 0.999)}
        for name, values in (("bare", bare), ("monitored", monitored))
    }
    settings = {"alarm": ALARM, "frozen": FROZEN, "frames": FRAMES, "fault at": FAULT_AT, "changed": CHANGED}
    figures = {"settings": settings, "clean": clean_guarded, "faults": rows, "frame ms": times}
    show(tables.drive(figures))
    low, high = clopper_pearson(clean_guarded["alarms"], clean_guarded["drives"])
    left = sum(record.left_at is not None for record in clean)
    print(
        f"Clean drives with an alarm: 95 % interval {low:.1%} to {high:.1%}. Left the road without the guard: {left}."
    )
    if not options.development and len(tracks) == len(EVALUATION):
        keep("drive", figures)


if __name__ == "__main__":
    main()
