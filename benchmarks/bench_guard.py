"""The guard's own time: `python benchmarks/bench_guard.py` prints what it adds to each of 100,000 frames.

Bare work is a frame copied into the session's buffer, the session's run, and the compiled loops that the guard calls
for it, called directly on the guard's own arrays. Guarded is `guard(frame)` with deadline, frozen picture, 3 of 5, log,
metrics, drift test and watchdog, all on. Every frame is done both ways, in turning order, one thread; the
overhead of a frame is guarded less bare. A median of that is the guard's own time. Its highest quantiles hold what
else the machine did in between, on one side or the other: bare work beside its own median shows how much that is.
Frames are drawn like those of the calibration, at a rate of 1 %: about one of a hundred alarms and is written down.
A frame with an event costs more, and so does the one after it, bare or guarded, while the log's thread encodes what
it writes and holds Python's lock; the table tells them apart.
A heartbeat in a file is a system call more. Python's garbage collector is on, as a user finds it.
"""

# ruff: noqa: SLF001 (bare work is what lies inside the guard)

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from onnx import helper, numpy_helper
from tables import keep, show

from outrider.coverage import SingleRange, kernels
from outrider.monitor import Monitor
from outrider.networks import OnnxNetwork
from outrider.networks.steering import WEIGHTS
from outrider.runtime import Guard, Heartbeat
from outrider.runtime.event_log import EventLog

POOL = 512
MOST_US, MOST_P999_US = 25, 150


def small() -> bytes:
    """16 numbers, two dense layers with ReLU, 4 scores: a few microseconds of session."""
    rng = np.random.default_rng(0)
    weights = {"a": rng.normal(size=(16, 32)), "b": rng.normal(size=(32, 32)), "c": rng.normal(size=(32, 4))}
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["h"]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("MatMul", ["r", "b"], ["i"]),
        helper.make_node("Relu", ["i"], ["s"]),
        helper.make_node("MatMul", ["s", "c"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "small", [helper.make_tensor_value_info("x", 1, ("n", 16))],
        [helper.make_tensor_value_info("y", 1, ("n", 4))],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def dense() -> OnnxNetwork:
    return OnnxNetwork(small(), taps="auto", neurons="unit")


RANGES = {"@relu": SingleRange()}
IN_A_FILE = "the same, heartbeat in a file"
CASES: dict[str, tuple[Callable[[], OnnxNetwork], Any]] = {
    "two dense layers, ranges": (dense, RANGES),
    IN_A_FILE: (dense, RANGES),
    "two dense layers, default criteria": (dense, None),
    "drive network, 84 x 96, default criteria": (lambda: OnnxNetwork(WEIGHTS / "drive.onnx"), None),
}


def bare_work(guard: Guard) -> Callable[[np.ndarray], None]:
    """Session and compiled loops of a guarded frame, with nothing around them."""
    plan, check = guard._plan, guard._check_frame
    network = plan._observe.__self__
    room, run, seen, label = network._frames[0], network._run, network.seen, plan._class
    lend = network._lend
    last = np.zeros(2, np.uint64)  # the guard's own would take frames that come twice for a frozen picture
    calls: list[Callable[[], object]] = [joined._compare for joined in plan._together]
    calls += [partial(one._compare, seen.activations[one._place], label, one._highest) for one in plan._alone]
    calls += [plan._rate, plan._hold]
    if seen.logits is not None:
        calls.insert(0, partial(kernels.predict, seen.logits, label))

    def work(frame: np.ndarray) -> None:
        if lend is None:
            room[...] = frame
        else:
            lend(frame)
        run()
        check._facts(frame.reshape(-1).view(check._words), check._exponent, last)
        for call in calls:
            call()

    return work


def times(name: str, count: int, folder: Path) -> tuple[np.ndarray, np.ndarray, Guard]:
    """Nanoseconds of bare work and of guarded frames, (2, count); which of them wrote an event; the guard."""
    make, criteria = CASES[name]
    network, rng = make(), np.random.default_rng(0)

    def frames(n: int) -> np.ndarray:
        return rng.random((n, *network.input_shape), np.float32)

    monitor = Monitor(network, criteria)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # frames of noise are predicted as few classes
        monitor.profile((frames(100) for _ in range(20)), minimum_per_class=1)
        monitor.calibrate([frames(100) for _ in range(20)], 0.01)
    pool = list(frames(POOL))
    spent, wrote = np.empty((2, count), np.int64), np.zeros(count, bool)
    log = EventLog(folder / "events.jsonl")
    guard = Guard(
        monitor, deadline=1.0, frozen=10, silence=60.0, alarm=(3, 5), clear=(3, 5), log=log,
        heartbeat=Heartbeat(folder / "heartbeat" if name == IN_A_FILE else None),
    )  # fmt: skip
    with log, guard:
        log.attach(guard.metrics)
        bare = bare_work(guard)
        clock, counters, state = time.perf_counter_ns, guard.metrics.counters, None
        for i in range(-1000, count):
            frame = pool[i % POOL]
            for which in (i & 1, 1 - (i & 1)):
                call = guard if which else bare
                began = clock()
                call(frame)
                ended = clock()
                if i >= 0:
                    spent[which, i] = ended - began
            before, state = state, (guard.status, counters.alarms, counters.faults, counters.stale)
            if i >= 0:
                wrote[i] = state != before
    return spent, wrote, guard


def figures(name: str, spent: np.ndarray, wrote: np.ndarray, guard: Guard) -> dict[str, Any]:
    bare, guarded = spent
    overhead = guarded - bare
    quiet = ~(wrote | np.roll(wrote, 1))
    counters = guard.metrics.counters

    def quantiles(values: np.ndarray) -> dict[str, float]:
        median, p99, p999 = np.quantile(values, [0.5, 0.99, 0.999]) / 1e3
        return {"median_us": median, "p99_us": p99, "p99_9_us": p999, "max_us": float(values.max()) / 1e3}

    return {
        "case": name,
        "frames": len(bare),
        "overhead": quantiles(overhead),
        "overhead_without_events": quantiles(overhead[quiet]),
        "overhead_with_events": quantiles(overhead[~quiet]) if not quiet.all() else None,
        "frames_with_events": int((~quiet).sum()),
        "bare": quantiles(bare),
        "guarded": quantiles(guarded),
        "bare_less_its_median": quantiles(bare - np.median(bare)),
        "alarms": counters.alarms,
        "faults": counters.faults,
        "stale": counters.stale,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--keep", action="store_true", help="write the raw figures to results/guard.json")
    options = parser.parse_args()
    results = []
    for name in CASES:
        with tempfile.TemporaryDirectory() as folder:
            results.append(figures(name, *times(name, options.frames, Path(folder))))
    show(
        f"What the guard adds to a frame, µs over {options.frames:,} frames"
        f" (asked for: {MOST_US} in the median, {MOST_P999_US} at p99.9)",
        [
            "case", "median", "p99", "p99.9", "largest", "no event: p99.9", "event: frames", "median", "bare: median",
            "p99.9 above it", "faults, stale",
        ],
        [
            [
                r["case"], *(f"{value:.1f}" for value in r["overhead"].values()),
                f"{r['overhead_without_events']['p99_9_us']:.1f}", f"{r['frames_with_events']:,}",
                f"{r['overhead_with_events']['median_us']:.1f}" if r["overhead_with_events"] else "",
                f"{r['bare']['median_us']:.1f}", f"{r['bare_less_its_median']['p99_9_us']:.1f}",
                f"{r['faults'] + r['stale']}",
            ]
            for r in results
        ],
    )  # fmt: skip
    if options.keep:
        keep("guard", results)


if __name__ == "__main__":
    main()
