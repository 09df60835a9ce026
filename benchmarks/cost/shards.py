"""Profiles from many workers: `python -m benchmarks.cost.shards` prints what parts, merging and workers cost.

ResNet-18 with random weights, 1,000 classes, the default criteria; each worker is a process of its own on one thread.
Merging: the parts of so many workers, read from files and joined, with the bytes of a part and the most memory that the
process held. Workers: frames a second of one plain process against one and two that learn shards at the same time, each
counted from its first frame to its last. Memory: the most that a worker held after few and after many frames.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from outrider.monitor import Monitor
from outrider.networks import OnnxNetwork

from ..results import keep
from ..tables import Part, Table, show
from .speed import resnet18

SHAPE = (3, 224, 224)
THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class Noise:
    """Frames that are made when they are read: each row is the same whoever reads it."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.began = 0.0

    def __len__(self) -> int:
        return self._count

    def batches(self, rows: range, size: int):
        self.began = self.began or time.perf_counter()
        for start in range(rows.start, rows.stop, size):
            some = range(start, min(start + size, rows.stop))
            yield np.stack([np.random.default_rng(row).random(SHAPE, np.float32) for row in some])


def worker(model: Path, frames: int, shard: str, output: Path) -> None:
    """Learn a shard in this process, or with no shard as one plain process; print what it took."""
    monitor, data = Monitor(OnnxNetwork(model, threads=1)), Noise(frames)
    if shard:
        part = monitor.profile_part(data, shard, minimum_per_class=0)
        seconds, count = time.perf_counter() - data.began, len(part.rows)
        part.save(output)
    else:
        monitor.profile(data.batches(range(frames), 64), minimum_per_class=0)
        seconds, count = time.perf_counter() - data.began, frames
        monitor.save(output)
    print(json.dumps({"seconds": seconds, "frames": count, "peak": peak_bytes(), "bytes": output.stat().st_size}))


def merging(model: Path, folder: Path) -> None:
    """Merge the parts of a folder in this process; print what it took."""
    network = OnnxNetwork(model, threads=1)
    before, began = peak_bytes(), time.perf_counter()
    monitor = Monitor.merge(sorted(folder.glob("part-*.outrider")), network)
    seconds = time.perf_counter() - began
    monitor.save(folder / "whole.outrider")
    print(json.dumps({"seconds": seconds, "before": before, "peak": peak_bytes()}))


def peak_bytes() -> int:
    """The most memory this process ever held, in bytes."""
    status = Path("/proc/self/status").read_text().splitlines()
    line = next((line for line in status if line.startswith("VmHWM")), None)
    return int(line.split()[1]) * 1024 if line else psutil.Process().memory_info().rss


def start(*arguments: Any) -> subprocess.Popen:
    command = [sys.executable, "-m", "benchmarks.cost.shards", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | THREAD)


def told(process: subprocess.Popen) -> dict[str, Any]:
    output, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"expected a process that ends well, got exit status {process.returncode}")
    return json.loads(output.splitlines()[-1])


def measured(parts: int, each: int, frames: int, folder: Path) -> dict[str, Any]:
    """parts: to be merged, of so many frames each. frames: of the comparison of workers."""
    model = folder / "resnet18.onnx"
    model.write_bytes(resnet18())
    for k in range(parts):
        path = folder / f"part-{k:04}.outrider"
        told(start("--worker", model, each * parts, f"{k}/{parts}", path))
    sizes = [path.stat().st_size for path in folder.glob("part-*.outrider")]
    merged = told(start("--merging", model, folder))
    (whole,) = folder.glob("whole.outrider")
    merged |= {"parts": parts, "bytes": sizes, "whole": whole.stat().st_size}
    plain = told(start("--worker", model, frames, "", folder / "plain.outrider"))
    one = told(start("--worker", model, frames, "0/1", folder / "one.outrider"))
    both = [start("--worker", model, 2 * frames, f"{k}/2", folder / f"two-{k}.outrider") for k in range(2)]
    two = [told(process) for process in both]
    few = told(start("--worker", model, frames // 4, "0/1", folder / "few.outrider"))
    return {"merged": merged, "plain": plain, "one": one, "two": two, "few": few}


def tables(figures: dict[str, Any]) -> list[Part]:
    merged, plain, one, two = (figures[name] for name in ("merged", "plain", "one", "two"))
    mib = 2.0**20
    rate = plain["frames"] / plain["seconds"]
    rows = [("one plain process", plain), ("one worker", one), ("each of two workers", max(two, key=_slowness))]
    return [
        Table(
            f"Merging {merged['parts']} parts of ResNet-18, default criteria",
            ("", ""),
            [
                ("seconds in all", f"{merged['seconds']:.1f}"),
                ("ms a part", f"{1000 * merged['seconds'] / merged['parts']:.0f}"),
                ("MiB of a part, median", f"{np.median(merged['bytes']) / mib:.1f}"),
                ("MiB of the profile", f"{merged['whole'] / mib:.1f}"),
                ("MiB at most, above the network", f"{(merged['peak'] - merged['before']) / mib:.0f}"),
            ],
        ),
        Table(
            "Frames a second, ResNet-18 on one thread each",
            ("", "frames/s", "of plain"),
            [
                (name, f"{run['frames'] / run['seconds']:.1f}", f"{run['frames'] / run['seconds'] / rate:.2f}")
                for name, run in rows
            ],
        ),
        Table(
            "Most memory of a worker",
            ("frames", "MiB"),
            [(f"{run['frames']:,}", f"{run['peak'] / mib:.0f}") for run in (figures["few"], one)],
        ),
    ]


def _slowness(run: dict[str, Any]) -> float:
    return run["seconds"] / run["frames"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=int, default=64)
    parser.add_argument("--each", type=int, default=64, help="frames of a part; default: %(default)s")
    parser.add_argument("--frames", type=int, default=2048, help="of the comparison; default: %(default)s")
    parser.add_argument("--keep", action="store_true", help="write the figures to results/shards.json")
    parser.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--merging", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        model, frames, shard, output = options.worker
        worker(Path(model), int(frames), shard, Path(output))
        return
    if options.merging:
        merging(*map(Path, options.merging))
        return
    with tempfile.TemporaryDirectory() as folder:
        figures = measured(options.parts, options.each, options.frames, Path(folder))
    show(tables(figures))
    if options.keep:
        keep("shards", figures)


if __name__ == "__main__":
    main()
