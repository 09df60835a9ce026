"""Memory: `python -m benchmarks.cost.memory` prints the peak memory of profiling and the bytes of signatures.

Each profile runs in a process of its own, on frames made one batch at a time. Peak memory is the process's own maximum
(VmHWM). The allocator gives freed blocks back at once: without that, equal runs differ by 10 %. The time of the profile
pass is compared with that of the bare forward passes on the same frames.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import torch

from outrider.coverage import (
    Box,
    ClassMahalanobis,
    CoverageBitmap,
    Criterion,
    Energy,
    Gaussian,
    Mahalanobis,
    Margin,
    MultiRange,
    NearestNeighbour,
    Neighbours,
    NeuronRank,
    Pattern,
    RelativeMahalanobis,
    SingleRange,
)
from outrider.monitor import Monitor
from outrider.networks import TorchNetwork, trained
from outrider.networks.cost import paired, ratio

from ..results import keep
from ..tables import show
from . import tables

CRITERIA: dict[str, Criterion] = {
    "single range": SingleRange(),
    "multi range, 32 sections": MultiRange(32),
    "bitmap, 8 sections": CoverageBitmap(),
    "neuron rank": NeuronRank(),
    "nearest neighbour, 256 kept": NearestNeighbour(capacity=256),
    "gaussian": Gaussian(),
    "mahalanobis": Mahalanobis(),
    "relative mahalanobis": RelativeMahalanobis(),
    "class mahalanobis": ClassMahalanobis(),
    "neighbours, 512 kept": Neighbours(),
    "pattern, 1024 kept": Pattern(),
    "box, 128 cells": Box(),
    "margin": Margin(),
    "energy": Energy(),
}
COUNTS = (5_000, 50_000)
BATCH = 250
ALLOCATOR = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}


def batches(count: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(0)
    for _ in range(count // BATCH):
        yield rng.random((BATCH, 3, 32, 32), np.float32)


def network(neurons: str = "channel") -> TorchNetwork:
    return TorchNetwork(trained("resnet-cifar10"), (3, 32, 32), taps="auto", neurons=neurons)


def profile_once(name: str, count: int) -> None:
    """Profile in this process and print its peak memory in bytes."""
    torch.set_num_threads(1)
    monitor = Monitor(network(), CRITERIA[name])
    monitor.profile(batches(count), minimum_per_class=0)
    print(json.dumps({"peak": peak_bytes(), "signature": monitor.learned.nbytes}))


def peak_bytes() -> int:
    """The most memory this process ever held, in bytes."""
    status = Path("/proc/self/status").read_text().splitlines()
    line = next((line for line in status if line.startswith("VmHWM")), None)
    return int(line.split()[1]) * 1024 if line else psutil.Process().memory_info().rss


def peaks() -> list[dict]:
    results = []
    for name, criterion in CRITERIA.items():
        seen = []
        for count in COUNTS:
            command = [sys.executable, "-m", "benchmarks.cost.memory", "--once", name, str(count)]
            environment = os.environ | ALLOCATOR
            done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
            seen.append(json.loads(done.stdout.splitlines()[-1]))
        results.append(
            {
                "criterion": repr(criterion),
                "peak": [run["peak"] for run in seen],
                "growth": seen[1]["peak"] / seen[0]["peak"],
                "signature": seen[0]["signature"],
            }
        )
    return results


def profile_cost(rounds: int) -> list[dict]:
    """The profile pass of 5,000 frames against the bare forward passes of the same frames."""
    torch.set_num_threads(1)
    frames = list(batches(5_000))
    bare = network()

    def forward() -> None:
        for batch in frames:
            bare.run(batch)

    calls = {"bare": forward}
    for name, criterion in CRITERIA.items():
        monitor = Monitor(network(), criterion)
        calls[name] = lambda m=monitor: m.profile(frames, minimum_per_class=0)
    times = paired(calls, rounds, warm_up=1)
    return [
        {"criterion": repr(CRITERIA[name]), "ratio": ratio(times, name, "bare"), "s": float(np.median(times[name]))}
        for name in CRITERIA
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--once", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if options.once:
        profile_once(options.once[0], int(options.once[1]))
        return
    cost = profile_cost(options.rounds)
    figures = {"peak": peaks(), "cost": cost}
    print(network().taps)
    show(tables.memory(figures))
    keep("memory", figures)


if __name__ == "__main__":
    main()
