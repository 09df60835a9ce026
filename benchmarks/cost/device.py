"""A judge beside the network's own kernels: `python -m benchmarks.cost.device` says what it costs and what holds.

On a machine with a CUDA device: checks against the host (`device_check`), then ResNet-50 with all layers watched, bare
and guarded in turns, at batch 1 and 64, in fp16 and bf16, eager, compiled and in a CUDA graph. What does not work
or finds no time is a line of the table that says so. `--cpu` measures ResNet-18 on one thread of the processor.
`--seconds` bounds the whole; `--trial` asks a little of everything in two minutes.
"""

from __future__ import annotations

import argparse
import copy
import gc
import json
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from outrider.monitor.device import BYTES_A_FRAME, Captured, DeviceJudge, GuardedModule, guarded_module
from outrider.networks.cost import paired, ratio

from ..results import keep
from ..tables import Table, show
from .device_check import checks
from .device_models import CLASSES, frames_of, monitor_of, network_of

BARS = {
    ("graph, compiled judge", 1): 1.03, ("CUDA graph", 1): 1.03, ("compiled graph", 1): 1.03,
    ("graph, compiled judge", 64): 1.01, ("CUDA graph", 64): 1.01, ("compiled", 64): 1.01, ("eager", 64): 1.01,
}  # fmt: skip
CPU_BARS = {"compiled": 1.06, "eager": 1.10}
CASES = [
    (mode, batch, dtype, criteria)
    for criteria in ("bitmap", "default")
    for dtype in ("float16", "bfloat16")
    for mode in ("graph, compiled judge", "CUDA graph", "eager")
    for batch in (1, 64)
]
COMPILED = [
    ("compiled", 64, "float16", "bitmap"), ("compiled graph", 1, "float16", "bitmap"),
    ("compiled", 64, "bfloat16", "bitmap"), ("compiled graph", 1, "bfloat16", "bitmap"),
    ("compiled", 64, "float16", "default"),
]  # fmt: skip
WAITS = ("cudaDeviceSynchronize", "cudaStreamSynchronize", "cudaEventSynchronize", "cudaMemcpy")
TRIAL = [*CASES[:4], CASES[5], CASES[4], COMPILED[0], CASES[12], CASES[13]]


class Guards:
    """Guarded modules by criteria, and bare modules by dtype, made once."""

    def __init__(self) -> None:
        self._made: dict[Any, Any] = {}

    def of(self, criteria: str, dtype: str) -> tuple[Any, GuardedModule]:
        bare = self._once(("bare", dtype), lambda: network_of("resnet50", "cuda", getattr(torch, dtype)))
        return bare, self._once((criteria, dtype), lambda: guarded_module(bare, self.monitor(criteria, dtype)))

    def monitor(self, criteria: str, dtype: str) -> Any:
        bare = self._made["bare", dtype]
        asked = None if criteria == "default" else criteria
        return self._once(("monitor", criteria, dtype), lambda: monitor_of(bare, asked))

    def _once(self, key: Any, make: Callable[[], Any]) -> Any:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]


def seconds_of(run: Callable[[], Any], calls: int) -> float:
    """Seconds a call on the device, of several behind each other."""
    began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    began.record()
    for _ in range(calls):
        run()
    ended.record()
    ended.synchronize()
    return began.elapsed_time(ended) / 1e3 / calls


def in_turns(bare: Callable[[], Any], guarded: Callable[[], Any], seconds: float) -> tuple[float, float]:
    """(seconds of the bare one, the median ratio), in turns for about so many seconds."""
    for _ in range(3):
        bare()
        guarded()
    torch.cuda.synchronize()
    once = seconds_of(bare, 3)
    calls = max(1, min(50, int(0.02 / once)))
    rounds = int(np.clip(seconds / (2 * calls * once), 9, 101))
    times = np.empty((rounds, 2))
    for i in range(rounds):
        for k in (0, 1) if i % 2 else (1, 0):
            times[i, k] = seconds_of((bare, guarded)[k], calls)
    return float(np.median(times[:, 0])), float(np.median(times[:, 1] / times[:, 0]))


def one_case(guards: Guards, case: tuple[str, int, str, str], seconds: float) -> dict[str, Any]:
    """What one case costs; with `error` where it does not work."""
    mode, batch, dtype, criteria = case
    row: dict[str, Any] = {"mode": mode, "batch": batch, "dtype": dtype, "criteria": criteria}
    try:
        bare, guarded = guards.of(criteria, dtype)
        frames = frames_of(batch, "cuda", getattr(torch, dtype))
        if mode.startswith("compiled"):
            torch.compiler.reset()
            bare, guarded = torch.compile(bare, fullgraph=True), torch.compile(guarded, fullgraph=True)
        if mode.endswith("judge"):
            torch.compiler.reset()
            guarded = copy.deepcopy(guarded)
            guarded.bench.compile(fullgraph=True)
        if "graph" in mode:
            bare, guarded = Captured(bare, frames), Captured(guarded, frames)
        with torch.no_grad():
            base, times = in_turns(lambda: bare(frames), lambda: guarded(frames), seconds)
        row |= {"bare_ms": base * 1e3, "ratio": times}
    except Exception as error:
        traceback.print_exc(limit=-4)
        row["error"] = f"{type(error).__name__}: {str(error)[:120]}"
    gc.collect()
    torch.cuda.empty_cache()
    return row


def waits_and_bytes(guards: Guards, criteria: str = "bitmap", dtype: str = "float16") -> dict[str, Any]:
    """What the profiler counts while a judge takes batches, before any verdict is asked for."""
    _, guarded = guards.of(criteria, dtype)
    judge, frames = DeviceJudge(guards.monitor(criteria, dtype), guarded), frames_of(8, "cuda", getattr(torch, dtype))
    judge(frames).take()
    kinds = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=kinds) as profiled:
        waiting = judge(frames)
        time.sleep(0.2)  # the device ends by itself
    waiting.take()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiled.export_chrome_trace(str(path))
        events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    waits = [e["name"] for e in events if e.get("cat") == "cuda_runtime" and e["name"] in WAITS]
    # The profiler itself waits for the device when it stops.
    own = [name for name in waits if name == "cudaDeviceSynchronize"]
    copies = [e["args"].get("bytes", 0) for e in events if e.get("cat") == "gpu_memcpy" and "DtoH" in e["name"]]
    return {
        "waits": len(waits) - min(len(own), 1), "names": sorted(set(waits)), "copies": len(copies),
        "bytes_a_frame": sum(copies) / len(frames), "told": BYTES_A_FRAME,
    }  # fmt: skip


def rivals(guards: Guards, seconds: float) -> list[dict[str, Any]]:
    """What pytorch-ood's detectors of the last features add to the same network."""
    try:
        from pytorch_ood.detector import KNN, Mahalanobis
    except Exception as error:
        return [{"name": "pytorch-ood", "error": f"{type(error).__name__}: {str(error)[:120]}"}]
    found = []
    bare = network_of("resnet50", "cuda", torch.float16)
    body = torch.nn.Sequential(*list(bare.children())[:-1], torch.nn.Flatten())
    known = torch.randn(5000, 2048, device="cuda").abs()
    labels = torch.arange(5000, device="cuda") % CLASSES
    for batch in (1, 64):
        frames = frames_of(batch, "cuda", torch.float16)
        for make in (Mahalanobis, KNN):
            row: dict[str, Any] = {"name": f"pytorch-ood {make.__name__}", "batch": batch}
            try:
                detector = make(body) if make is Mahalanobis else make(body, k=50)
                detector.fit_features(known.cpu() if make is KNN else known, labels.cpu() if make is KNN else labels)

                def both(detector: Any = detector, frames: torch.Tensor = frames, host: bool = make is KNN) -> Any:
                    features = body(frames).float()
                    return detector.predict_features(features.cpu() if host else features)

                with torch.no_grad():
                    base, times = in_turns(lambda frames=frames: bare(frames), both, seconds)
                row |= {"bare_ms": base * 1e3, "ratio": times}
            except Exception as error:
                row["error"] = f"{type(error).__name__}: {str(error)[:120]}"
            found.append(row)
    return found


def on_processor(rounds: int, compiled: bool = True) -> list[dict[str, Any]]:
    """ResNet-18 at batch 1 on one thread, bare and guarded in turns."""
    torch.set_num_threads(1)
    bare, frames, rows = network_of("resnet18", "cpu"), frames_of(1, "cpu"), []
    for criteria in ("bitmap", "default"):
        guarded = guarded_module(bare, monitor_of(bare, None if criteria == "default" else criteria))
        for mode in ("eager", "compiled") if compiled else ("eager",):
            row: dict[str, Any] = {"mode": mode, "criteria": criteria}
            try:
                pair: list[Any] = [bare, guarded]
                if mode == "compiled":
                    torch.compiler.reset()
                    pair = [torch.compile(one, fullgraph=True) for one in pair]
                with torch.no_grad():
                    calls = {
                        name: (lambda one=one: one(frames)) for name, one in zip(("bare", "guarded"), pair, strict=True)
                    }
                    times = paired(calls, rounds, warm_up=5)
                row |= {"bare_ms": float(np.median(times["bare"]) * 1e3), "ratio": ratio(times, "guarded", "bare")}
            except Exception as error:
                traceback.print_exc(limit=-4)
                row["error"] = f"{type(error).__name__}: {str(error)[:120]}"
            rows.append(row)
            print(row, flush=True)
    return rows


def cells(row: dict[str, Any], *names: str, bar: float | None = None) -> list[str]:
    """A row of the table: the fields, then what was measured or why it was not."""
    told = [str(row.get(name, "")) for name in names]
    if "error" in row:
        return [*told, "", row["error"][:60], ""]
    held = "" if bar is None else f"≤ {bar:.2f} {'held' if row['ratio'] <= bar else 'MISSED'}"
    return [*told, f"{row['bare_ms']:.3f}", f"{row['ratio']:.3f}", held]


def on_device(seconds: float, trial: bool) -> dict[str, Any]:
    """All that is asked of a GPU, within so many seconds."""
    began = time.perf_counter()

    def left() -> float:
        return seconds - (time.perf_counter() - began)

    guards, name = Guards(), torch.cuda.get_device_name()
    print(f"{name}, torch {torch.__version__}", flush=True)
    asked = checks("cuda", 0.55 * seconds if trial else 0.3 * seconds)
    show([Table("Against the host", ["question", "", "seen"], [list(row) for row in asked])])
    rows: list[dict[str, Any]] = []
    for case in TRIAL if trial else [*CASES[:6], *COMPILED[:2], *CASES[6:], *COMPILED[2:]]:
        needed = 50 if case in COMPILED else 20 if "compiled" in case[0] else 10
        if left() < needed:
            rows.append(
                dict(zip(("mode", "batch", "dtype", "criteria"), case, strict=True))
                | {"error": "left out: no time left"}
            )
            continue
        started = time.perf_counter()
        rows.append(one_case(guards, case, 1.0 if trial else 2.0))
        print(f"{rows[-1]} ({time.perf_counter() - started:.1f} s)", flush=True)
    names = "mode", "batch", "dtype", "criteria"
    table = [cells(row, *names, bar=BARS.get((row["mode"], row["batch"]))) for row in rows]
    show([Table("ResNet-50, all layers watched", [*names, "bare ms", "times", "bar"], table)])
    counted: dict[str, Any] = {}
    try:
        counted = waits_and_bytes(guards)
        print(f"before a verdict is asked for: {counted}", flush=True)
    except Exception as error:
        traceback.print_exc(limit=-4)
        counted = {"error": f"{type(error).__name__}: {str(error)[:120]}"}
    others = rivals(guards, 0.5) if left() > 15 else []
    if others:
        table = [cells(row, "name", "batch") for row in others]
        show([Table("Beside them, on the last features", ["detector", "batch", "bare ms", "times", ""], table)])
    return {"device": name, "checks": asked, "rows": rows, "counted": counted, "rivals": others}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--seconds", type=float, default=450, help="for the whole, 450 by default")
    parser.add_argument("--trial", action="store_true", help="a little of everything, in two minutes")
    parser.add_argument("--cpu", action="store_true", help="ResNet-18 on one thread of the processor")
    parser.add_argument("--rounds", type=int, default=60, help="of the processor's figures")
    parser.add_argument("--keep", action="store_true", help="write the figures to benchmarks/results")
    options = parser.parse_args()
    if options.cpu or not torch.cuda.is_available():
        if not options.cpu:
            print("no CUDA device: the figures of the processor alone")
        rows = on_processor(options.rounds)
        table = [cells(row, "mode", "criteria", bar=CPU_BARS[row["mode"]]) for row in rows]
        show([Table("ResNet-18 on one thread, batch 1", ["mode", "criteria", "bare ms", "times", "bar"], table)])
        if options.keep:
            keep("device-cpu", rows)
        return
    found = on_device(min(options.seconds, 120) if options.trial else options.seconds, options.trial)
    if options.keep:
        keep("device", found)


if __name__ == "__main__":
    main()
