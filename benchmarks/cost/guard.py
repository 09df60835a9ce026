"""The guard's own time: `python -m benchmarks.cost.guard` prints what it adds to each of 100,000 frames.

Everything is on: deadline, frozen picture, 3 of 5, log, metrics, drift test and watchdog. Three things are not the
guard's own: the frame's copy into the session's buffer, the session's run, and the compiled loops. They are the bare
work. The guard's own time is measured in two passes.

Beside bare work. Each frame is guarded once and done bare twice, on one thread, in an order drawn anew for each frame.
Bare work is called on the guard's own arrays. `added` is guarded less bare, frame by frame: its median is the guard's
own time. Its p99.9 also holds what the machine did to one of the two calls. `two bare` is one bare call less the other:
no guard is in it, so it shows that part of the machine alone. `p99.9 - bare p99.9` is the p99.9 of guarded calls less
that of bare calls. There the noise of both cancels, but so does what the guard does more rarely than the machine
interrupts. `the same, two bare` takes two bare calls. Bare calls during which the log's thread computed are left out of
both.

Within the call. `own` is the time of `guard(frame)` less that of the session and the compiled loops, each timed inside
the same call. To it is added what the frame may have waited for the guard's own threads, also inside the session's
call, where Python's lock is taken back. That is at most what these threads computed meanwhile, and at most the time for
which the frame's own thread stood still. So what the machine does to the session does not count, and what it does to
the guard does. The clocks count too, about 2 us.

The test loop runs after each frame, compiled, for about 20 us, and touches no memory. What its p99.9 lies above its
median, the machine takes from anything that long. A shared machine has spells: a neighbour in its caches makes all
slower for seconds and takes whole milliseconds now and then. So the cases take turns, a tenth of their frames at a
time. Each figure is given for all frames, and in brackets for the tenth in which the test loop was steadiest.

Frames are drawn like those of the calibration, at a false-alarm rate of 1 %. About one in a hundred alarms; it and the
next are written down, which costs more. Once a second some frames wait for the log's thread, which encodes what it
writes and holds Python's lock. Between the frames of a real loop the processor sleeps: `--pause 0.003` shows what that
does to bare work and to the guard. A heartbeat in a file is one system call more. Python's garbage collector is on.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit
from onnx import helper, numpy_helper

from outrider.coverage import SingleRange
from outrider.monitor import Monitor
from outrider.networks import OnnxNetwork, drive_model
from outrider.runtime import EventLog, Guard, Heartbeat

from ..results import keep
from ..tables import show
from . import tables
from .guard_statistics import BESIDE, WITHIN, Way, figures, with_events

POOL, WARM, SPIN = 512, 300, 10_000
TENTHS = 10


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
    "drive network, 84 x 96, default criteria": (lambda: OnnxNetwork(drive_model()), None),
}


def judge_of(guard: Guard) -> Any:
    """The judge that the guard has bound, for a network that runs into arrays of its own."""
    assert guard.judge is not None
    assert guard.judge.source is not None
    return guard.judge


def bare_work(guard: Guard) -> Callable[[np.ndarray], None]:
    """A function that runs the session and the compiled loops of a guarded frame, and nothing else."""
    judge, check = judge_of(guard), guard.frame_check
    feed, run = judge.source.feed, judge.source.run
    last = np.zeros(2, np.uint64)  # the guard's own would take frames that come twice for a frozen picture
    calls = [*judge.steps, judge.rate, judge.hold]
    if judge.classify is not None:
        calls.insert(0, judge.classify)

    def work(frame: np.ndarray) -> None:
        feed(frame[None])
        run()
        check.facts(frame, check.exponent, last)
        for call in calls:
            call()

    return work


class Stopwatch:
    """Adds up the nanoseconds spent inside the functions that it is put around; set `spent` to 0 to start anew."""

    def __init__(self) -> None:
        self.spent = 0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        clock = time.perf_counter_ns

        def timed(*arguments: Any) -> Any:
            began = clock()
            found = function(*arguments)
            self.spent += clock() - began
            return found

        return timed


def _each(calls: Iterable[Callable[[], object]]) -> None:
    for call in calls:
        call()


def time_work_within(guard: Guard) -> Stopwatch:
    """Put a stopwatch around the session and the compiled loops of a guard."""
    watch = Stopwatch()
    judge, check = judge_of(guard), guard.frame_check
    judge.source.feed, judge.source.run = watch.around(judge.source.feed), watch.around(judge.source.run)
    check.facts = watch.around(check.facts)
    judge.steps[:] = [watch.around(partial(_each, tuple(judge.steps)))]
    judge.rate, judge.hold = watch.around(judge.rate), watch.around(judge.hold)
    if judge.classify is not None:
        judge.classify = watch.around(judge.classify)
    return watch


@contextmanager
def guarded(name: str, folder: Path) -> Iterator[tuple[Guard, list[np.ndarray]]]:
    """A guard with everything on, and frames for it."""
    make, criteria = CASES[name]
    network, rng = make(), np.random.default_rng(0)

    def frames(n: int) -> np.ndarray:
        return rng.random((n, *network.input_shape), np.float32)

    monitor = Monitor(network, criteria)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # frames of noise are predicted as few classes
        monitor.profile((frames(100) for _ in range(20)), minimum_per_class=1)
        monitor.calibrate([frames(100) for _ in range(20)], 0.01, accept_rate=1)
    with EventLog(folder / "events.jsonl") as log, Guard(
        monitor, deadline=1.0, frozen=10, silence=60.0, alarm=(3, 5), clear=(3, 5), log=log,
        heartbeat=Heartbeat(folder / "heartbeat" if name == IN_A_FILE else None),
    ) as guard:  # fmt: skip
        yield guard, list(frames(POOL))


def state(guard: Guard) -> tuple[int, ...]:
    """What an event changes."""
    counters = guard.metrics.counters
    return guard.status, counters.alarms, counters.faults, counters.stale


@njit
def spin(rounds: int, value: float) -> float:
    """Registers alone."""
    for _ in range(rounds):
        value = value * 0.999 + 0.001
    return value


def log_clock(guard: Guard) -> Callable[[], int]:
    """The processor time of the thread of a guard's log, in nanoseconds."""
    return partial(time.clock_gettime_ns, time.pthread_getcpuclockid(guard.evidence.log.thread.ident))


def beside_bare(guard: Guard, pool: list[np.ndarray], count: int, pause: float) -> dict[str, np.ndarray]:
    """Nanoseconds of bare work, of bare work again, of guarded frames and of `spin`, (count,) each.

    Where an event was written, and, (2, count), where the log's thread computed during bare work.
    """
    clock, log, now, bare = time.perf_counter_ns, log_clock(guard), state(guard), bare_work(guard)
    spent, wrote, disturbed = np.zeros((4, count), np.int64), np.zeros(count, bool), np.zeros((3, count), bool)
    calls, draws = (bare, bare, guard), np.random.default_rng(count)
    orders = draws.permuted(np.tile(np.arange(3), (WARM + count, 1)), axis=1).tolist()
    for i, order in enumerate(orders, -WARM):
        frame = pool[i % POOL]
        for which in order:
            if pause:
                time.sleep(pause)
            call = calls[which]
            others = log()
            began = clock()
            call(frame)
            ended = clock()
            if i >= 0:
                spent[which, i] = ended - began
                disturbed[which, i] = log() != others
        began = clock()
        spin(SPIN, 0.5)
        ended = clock()
        before, now = now, state(guard)
        if i >= 0:
            spent[3, i], wrote[i] = ended - began, now != before
    names = "bare", "again", "guarded", "spin"
    return dict(zip(names, spent, strict=True)) | {"wrote": wrote, "disturbed": disturbed[:2]}


def within_the_call(
    watch: Stopwatch, guard: Guard, pool: list[np.ndarray], count: int, pause: float
) -> dict[str, np.ndarray]:  # fmt: skip
    """Nanoseconds of each guarded frame beyond session and loops, and of `spin` after it, (count,) each.

    The first includes what the frame waited for the guard's threads. watch: put around the session and the loops.
    """
    clock, spent = time.perf_counter_ns, np.empty((2, count), np.int64)
    guard(pool[-1])  # the watchdog watches again
    watchdog = partial(time.clock_gettime_ns, time.pthread_getcpuclockid(guard.watchdog.thread.ident))
    log = log_clock(guard)
    for i in range(-WARM, count):
        frame = pool[i % POOL]
        if pause:
            time.sleep(pause)
        watch.spent = 0
        others = -log() - watchdog()
        computed = -time.thread_time_ns()
        began = clock()
        guard(frame)
        took = clock() - began
        computed += time.thread_time_ns()
        others += log() + watchdog()
        began = clock()
        spin(SPIN, 0.5)
        alone = clock() - began
        if i >= 0:
            spent[:, i] = took - watch.spent + min(others, max(0, took - computed)), alone
    return {"within": spent[0], "spin": spent[1]}


@contextmanager
def measured(name: str, count: int, pause: float) -> Iterator[Callable[[], tuple[Way, Way]]]:
    """A function that measures `count` more frames of a case in both passes."""
    with ExitStack() as stack:
        folders = [Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(2)]
        (beside, pool), (timed, _) = (stack.enter_context(guarded(name, folder)) for folder in folders)
        ways = partial(beside_bare, beside), partial(within_the_call, time_work_within(timed), timed)

        def more() -> tuple[Way, Way]:
            found = []
            for way, guard in zip(ways, (beside, timed), strict=True):
                found.append(way(pool, count, pause))
                guard.pause()
                guard.evidence.log.flush()  # before it is another's turn
            return found[0], found[1]

        yield more
        for guard in (beside, timed):
            counters = guard.metrics.counters
            if counters.faults or counters.stale or counters.dropped_events:
                sys.stderr.write(f"{name}: expected no fault, stale frame or lost event, got {counters}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--pause", type=float, default=0, metavar="S", help="seconds of sleep before each frame")
    parser.add_argument("--keep", action="store_true", help="write the raw figures to results/guard.json")
    options = parser.parse_args()
    count = options.frames // TENTHS
    if count < 100:
        parser.error(f"expected --frames of {100 * TENTHS} or more, got {options.frames}")
    tenths: dict[str, list[tuple[Way, Way]]] = {name: [] for name in CASES}
    with ExitStack() as stack:
        cases = {name: stack.enter_context(measured(name, count, options.pause)) for name in CASES}
        for _ in range(TENTHS):
            for name, more in cases.items():
                tenths[name].append(more())
    results = []
    for name, both in tenths.items():
        beside, within = (list(ways) for ways in zip(*both, strict=True))
        told = {"beside bare": figures(beside, BESIDE), "within the call": figures(within, WITHIN)}
        results.append({"case": name, **told, "with events": with_events(beside)})
    found = {"frames": count * TENTHS, "pause_s": options.pause, "cases": results}
    show(tables.guard(found))
    if options.keep:
        keep("guard", found)


if __name__ == "__main__":
    main()
