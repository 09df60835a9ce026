"""Changed files: `python -m benchmarks.reliability.fuzz --keep` reads a million profiles and more, each changed.

A case is a number: it chooses a seed and its changes, so that `--only READER --first CASE --cases 1` runs one again.
Cases run in a process with a limit on its memory, under a watch that ends one that takes too long and goes on behind
it. No case may end that process, take longer than the watch allows, or raise what the reader does not promise. No
changed profile may be accepted. With a digest computed anew, a profile may be accepted if it cannot be told from one
that was learned; then no score may be NaN, and a frame of NaN must be a fault.
"""

from __future__ import annotations

import argparse
import mmap
import multiprocessing
import os
import resource
import struct
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ..results import keep
from ..tables import show
from . import tables
from .fuzzing.readers import READERS, Reader, work_folder

CASES = {
    "profiles": 700_000, "profiles with a digest that fits": 300_000, "pictures": 100_000, "messages": 100_000,
    "logs": 100_000,
}  # fmt: skip
TOO_LONG = 20.0
"""Seconds after which a case is a hang."""
MEMORY = 6 << 30
"""Bytes of address space, of which libraries reserve more than they use."""
SHOWN = 20


def fuzz(
    make: Callable[[Path], Reader], first: int, cases: int, too_long: float = TOO_LONG, limit: int = MEMORY
) -> dict[str, Any]:
    """What became of so many cases: outcomes, and what went wrong with the number of the case."""
    outcomes: Counter[str] = Counter()
    wrong: list[str] = []
    memory, began, slowest, ranges = [0, 0], time.perf_counter(), 0.0, [(first, first + cases)]
    place = mmap.mmap(-1, 8)
    with work_folder() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = make(Path(folder))
        while ranges:
            start, end = ranges.pop()
            ours, theirs = multiprocessing.Pipe()
            arguments = (read, start, end, place, theirs, limit)
            worker = multiprocessing.get_context("fork").Process(target=_work, args=arguments, daemon=True)
            worker.start()
            theirs.close()
            at, ended = _watched(worker, place, ours, too_long)
            if isinstance(ended, dict):
                outcomes.update(ended["outcomes"])
                wrong += ended["wrong"]
                slowest = max(slowest, ended["slowest"])
                memory = [max(memory[0], ended["memory"][0]), max(memory[1], ended["memory"][1])]
            else:  # what came before it is run again, as its outcomes went with the process
                wrong.append(f"{at}: {ended}")
                outcomes["wrong"] += 1
                ranges += [one for one in ((at + 1, end), (start, at)) if one[0] < one[1]]
            worker.join()
    seconds = time.perf_counter() - began
    return {
        "cases": cases, "first": first, "outcomes": dict(outcomes), "wrong": len(wrong), "examples": wrong[:SHOWN],
        "seconds": seconds, "slowest": slowest, "memory": memory,
    }  # fmt: skip


def _watched(worker: Any, place: mmap.mmap, ours: Connection, too_long: float) -> tuple[int, Any]:
    """The case at which the worker ended, and what it found, or in words how it ended."""
    at, since = -1, time.monotonic()
    while True:
        if ours.poll(0.2):
            try:
                return at, ours.recv()
            except EOFError:
                worker.join()
                return struct.unpack("<q", place[:8])[0], f"the process ended with {worker.exitcode}"
        now = struct.unpack("<q", place[:8])[0]
        if now != at:
            at, since = now, time.monotonic()
        elif time.monotonic() - since > too_long:
            worker.kill()
            worker.join()
            return at, f"no end after {too_long:g} s"


def _work(read: Reader, start: int, end: int, place: mmap.mmap, theirs: Connection, limit: int) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # libraries in C say there what they refuse
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    outcomes: Counter[str] = Counter()
    wrong: list[str] = []
    slowest, before = 0.0, 0
    for done, case in enumerate(range(start, end)):
        place[:8] = struct.pack("<q", case)
        began = time.perf_counter()
        try:
            outcomes[read(case)] += 1
        except Exception as error:
            where = traceback.extract_tb(sys.exc_info()[2])[-1]
            wrong.append(f"{case}: {type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})")
            outcomes["wrong"] += 1
        slowest = max(slowest, time.perf_counter() - began)
        if done == (end - start) // 10:
            before = _peak()
    theirs.send({"outcomes": outcomes, "wrong": wrong, "slowest": slowest, "memory": [before, _peak()]})


def _peak() -> int:
    """The most memory that the process held, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    numbers = ", ".join(f"{number:,}" for number in CASES.values())
    parser.add_argument("--cases", type=int, metavar="N", help=f"of each reader; default: {numbers}")
    parser.add_argument("--first", type=int, default=0, metavar="CASE", help="the number of the first; default: 0")
    parser.add_argument("--only", choices=READERS, metavar="READER", help=", ".join(READERS))
    parser.add_argument("--keep", action="store_true", help="write the raw figures to benchmarks/results")
    options = parser.parse_args()
    figures = {}
    for name in [options.only] if options.only else READERS:
        figures[name] = fuzz(READERS[name], options.first, options.cases or CASES[name])
        show(tables.fuzz({name: figures[name]}))
    if options.keep:
        keep("fuzz", figures)
    if any(row["wrong"] for row in figures.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
