"""Endurance: `python -m benchmarks.reliability.soak` guards an hour's worth of frames at 30 fps, as fast as they go.

One guard has everything on: deadline, frozen picture, watchdog, 3 of 5, fallback, log with pictures, rotation, metrics
and drift test. Most frames are clean. In between come runs of strange ones, and frames with NaN, black, cut short,
missing and late ones. Memory and open files are looked at after every tenth of the frames. The log must hold what was
counted beside the loop: an event for each frame that alarms and for each change of status, none missing.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from outrider.monitor import Monitor, Status
from outrider.networks import OnnxNetwork, drive_model
from outrider.runtime import EventLog, Guard, Heartbeat, hold_last_safe

from ..results import keep
from ..tables import show
from . import tables

HOUR = 30 * 3600
POOL = 256
GROWTH = 0.01
"""How much memory may grow between the first tenth and the end."""


def stream(clean: np.ndarray, count: int) -> Iterator[tuple[Any, float | None]]:
    """Frames and when they were taken: clean ones, and of every 1,000 some that are not."""
    strange, nan = clean[:POOL] * 3 - 1, clean[0].copy()
    nan[0, 0, 0] = np.nan
    black, short = np.zeros_like(clean[0]), clean[0][:, 1:]
    odd: dict[int, Any] = {i: strange[i % POOL] for i in (300, 500, 501, 502, 503, 700, 702, 704)}
    odd |= {100: nan, 200: black, 400: short, 600: None}
    for i in range(count):
        frame = odd.get(i % 1000, clean[i % POOL])
        yield frame, time.monotonic() - 100 if i % 1000 == 800 else None


def soak(count: int, folder: Path) -> dict[str, Any]:
    """What became of so many frames: memory, descriptors, threads, and events against an own count."""
    rng = np.random.default_rng(0)
    network = OnnxNetwork(drive_model(), taps="auto")
    monitor = Monitor(network)
    clean = rng.random((POOL, *network.input_shape), np.float32)
    monitor.profile([rng.random((50, *network.input_shape), np.float32) for _ in range(80)], minimum_per_class=0)
    monitor.calibrate([rng.random((50, *network.input_shape), np.float32) for _ in range(20)], 0.002)
    log = EventLog(folder / "events.jsonl", max_bytes=1 << 20, keep=10_000, thumbnails=16, thumbnail_seconds=0.2)
    guard = Guard(
        monitor, deadline=10.0, frozen=10, silence=60.0, alarm=(3, 5), clear=(3, 5), fallback=hold_last_safe, log=log,
        heartbeat=Heartbeat(folder / "heartbeat"),
    )  # fmt: skip
    process, samples = psutil.Process(), []
    expected, own, last = 0, 0, Status.OK
    statuses = dict.fromkeys(Status, 0)
    began = time.perf_counter()
    with guard:
        log.attach(guard.metrics, seconds=5.0)
        for i, (frame, captured) in enumerate(stream(clean, count), 1):
            _, verdict = guard(frame, captured)
            counters = guard.metrics.counters
            alarmed = counters.alarms + counters.faults + counters.stale
            expected += verdict.status != last or alarmed > own
            last, own = verdict.status, alarmed
            statuses[verdict.status] += 1
            if i % max(count // 10, 1) == 0:
                samples.append((process.memory_info().rss, descriptors(process), threading.active_count()))
    seconds = time.perf_counter() - began
    complete = log.close(60.0)
    sequence, written = read_log(folder)
    memory, files, threads = (list(column) for column in zip(*samples, strict=True))
    return {
        "frames": count,
        "seconds": seconds,
        "statuses": {status.name: number for status, number in statuses.items()},
        "rss_bytes": memory,
        "growth": max(memory) / memory[0] - 1,
        "descriptors": files,
        "threads": threads,
        "events_expected": expected,
        "events_written": written["event"] - written["drift"],
        "dropped": log.health().dropped,
        "failures": log.health().failures,
        "closed_in_full": complete,
        "sequence_has_holes": sequence != list(range(len(sequence))),
    }


def descriptors(process: psutil.Process) -> int:
    """Those that stay open: the log's thread may be at a picture just now."""
    looks = []
    for _ in range(5):
        looks.append(process.num_fds())
        time.sleep(0.01)
    return min(looks)


def read_log(folder: Path) -> tuple[list[int], dict[str, int]]:
    """The sequence numbers of all files in order, and how many lines there are of each type and of drift."""
    files = sorted(folder.glob("events.*.jsonl"), key=lambda path: int(path.name.split(".")[1]))
    sequence, kinds = [], {"event": 0, "drift": 0}
    for path in [*files, folder / "events.jsonl"]:
        for line in path.read_text().splitlines():
            fields = json.loads(line)
            sequence.append(fields["seq"])
            kinds[fields["type"]] = kinds.get(fields["type"], 0) + 1
            kinds["drift"] += fields.get("kind") == "drift"
    return sequence, kinds


def problems(result: dict[str, Any]) -> list[str]:
    """What is not as it should be, in words."""
    found = []
    if result["growth"] > GROWTH:
        found.append(f"memory grew by {result['growth']:.2%}")
    if len(set(result["descriptors"])) > 1 or len(set(result["threads"])) > 1:
        found.append(f"descriptors {result['descriptors']}, threads {result['threads']}")
    if result["events_written"] + result["dropped"] != result["events_expected"]:
        found.append(f"{result['events_expected']} events expected, {result['events_written']} written")
    if result["sequence_has_holes"] or not result["closed_in_full"]:
        found.append("the log is not complete")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=HOUR)
    parser.add_argument("--keep", action="store_true", help="write the raw figures to results/soak.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = soak(options.frames, Path(folder))
    show(tables.soak(result))
    if options.keep:
        keep("soak", result)
    if found := problems(result):
        sys.exit("; ".join(found))


if __name__ == "__main__":
    main()
