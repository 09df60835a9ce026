"""The closed loop: `python benchmarks/bench_drive.py` drives 20 unseen tracks with every fault of the camera.

Each track is driven clean and with each fault switched on half-way, without the guard and with it. Network, profile
and threshold come from other tracks, and so did every choice; see `outrider.runtime.demos.drive.trials`.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tables import keep, show

from outrider.monitor import clopper_pearson
from outrider.networks.zoo.steering import WEIGHTS
from outrider.runtime.demos.drive.experiment import frame_times
from outrider.runtime.demos.drive.faults import FAULTS
from outrider.runtime.demos.drive.loop import ALARM, FROZEN, Drive
from outrider.runtime.demos.drive.trials import (
    CHANGED,
    DEVELOPMENT,
    EVALUATION,
    FAULT_AT,
    FRAMES,
    Trial,
    changes,
    make_monitor,
    run_trials,
)

SOON = 10
"""Frames within which a fault that changes the driving is to be flagged."""


def judge(name: str, clean: Sequence[Drive], bare: Sequence[Drive], guarded: Sequence[Drive]) -> dict[str, Any]:
    """The figures of one fault over the tracks."""
    changed = [changes(*pair) for pair in zip(clean, bare, strict=True)]
    delays = [record.delay for record in guarded]
    soon = [delay is not None and delay <= SOON for delay in delays]
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


def clean_figures(records: Sequence[Drive]) -> dict[str, Any]:
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
    parser = argparse.ArgumentParser(description=__doc__)
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

        def drives(fault: str, guarded: bool, keep_frames: bool = False) -> list[Drive]:
            step(f"{len(tracks)} drives, {fault or 'clean'}, {'with' if guarded else 'without'} the guard")
            trials = [Trial(track, fault, guarded, keep=keep_frames) for track in tracks]
            return list(run_trials(trials, WEIGHTS, profile, workers=options.workers))

        clean, clean_guarded = drives("", False), clean_figures(drives("", True))
        rows = [judge(name, clean, drives(name, False), drives(name, True)) for name in FAULTS]
        step("frame times")
        frames = next(iter(run_trials([Trial(tracks[0], keep=True)], WEIGHTS))).frames
        bare, monitored = frame_times(profile, WEIGHTS, frames, rounds=5000)
    total = {key: sum(row[key] for row in rows) for key in rows[0] if isinstance(rows[0][key], int)}
    show(
        f"{len(tracks)} unseen tracks, {FRAMES} frames each, the fault from frame {FAULT_AT}",
        ["fault", "changes the driving", f"flagged in {SOON} frames", "of all", "median delay", "left without", "with"],
        [
            [
                row["fault"], str(row["changed"]), str(row["changed and flagged soon"]), str(row["flagged soon"]),
                f"{np.median([delay for delay in row['delays'] if delay] or [np.nan]):.0f}",
                f"{row['left without']}", f"{row['left with']}",
            ]
            for row in rows
        ]
        + [["all", str(total["changed"]), str(total["changed and flagged soon"]), str(total["flagged soon"]), "",
            str(total["left without"]), str(total["left with"])]],
    )  # fmt: skip
    times = {
        name: {f"{share:g}": float(np.quantile(values, share)) * 1e3 for share in (0.5, 0.99, 0.999)}
        for name, values in (("bare", bare), ("monitored", monitored))
    }
    low, high = clopper_pearson(clean_guarded["alarms"], clean_guarded["drives"])
    print(
        f"clean drives: {clean_guarded['alarms']} of {clean_guarded['drives']} with an alarm (95 % interval"
        f" {low:.1%} to {high:.1%}), {clean_guarded['stopped']} stopped; {clean_guarded['frames above']} of"
        f" {clean_guarded['frames']} frames above the threshold; without the guard"
        f" {sum(record.left_at is not None for record in clean)} left the road\n"
        f"a frame: {times['bare']['0.5']:.3f} ms bare, {times['monitored']['0.5']:.3f} ms under the guard (medians)"
    )
    if not options.development and len(tracks) == len(EVALUATION):
        settings = {"alarm": ALARM, "frozen": FROZEN, "frames": FRAMES, "fault at": FAULT_AT, "changed": CHANGED}
        keep("drive", {"settings": settings, "clean": clean_guarded, "faults": rows, "frame ms": times})


if __name__ == "__main__":
    main()
