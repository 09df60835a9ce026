"""Whether a judge on this machine's accelerator says what the host says: one line for each question."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from outrider.coverage import parse_criterion
from outrider.monitor.device import Captured, DeviceJudge, guarded_module
from outrider.monitor.device.forms import forms_of
from outrider.networks.pytorch.fused import passes

from .device_models import frames_of, monitor_of, network_of

CASES = (
    "single_range", "single_range(quantile=0.05)", "single_range(magnitude=True)", "multi_range(sections=6)",
    "multi_range(sections=6, cost=log)", "neuron_rank(top=2)", "nearest_neighbour(k=3)", "pattern", "box", "gaussian",
    "bitmap", "mahalanobis", "relative_mahalanobis", "softmax", "margin", "energy", "head(channels=4)",
    "class_mahalanobis", "neighbours(k=3, samples=40)", "norm",
)  # fmt: skip


def criteria(device: str) -> str:
    """Every criterion on four columns, with values on bounds, NaN and Inf."""
    worst = 0.0
    for text in CASES:
        criterion, rng = parse_criterion(text), np.random.default_rng(1)
        signatures, values, labels = [], [], rng.integers(0, 4, 64)
        for neurons in (8, 12, 8, 40):
            signature = criterion.empty(neurons, 4)
            known = np.maximum(rng.normal(0.6, 1, (300, neurons)), 0).astype(np.float32)
            criterion.observe(signature, known, rng.integers(0, 4, 300))
            asked = np.maximum(rng.normal(0.6, 2, (64, neurons)), 0).astype(np.float32)
            asked[:20] = known[:20]
            asked[20:23, 1], asked[23, 2], asked[24, 3] = np.nan, np.inf, -np.inf
            signatures.append(signature)
            values.append(asked)
        expected = np.stack([criterion.deviation(*pair, labels) for pair in zip(signatures, values, strict=True)], 1)
        found = np.empty_like(expected)
        for form, lot in forms_of(criterion, signatures):
            given = torch.cat([torch.from_numpy(values[i]) for i in lot], 1).to(device)
            found[:, lot] = form.to(device)(given, torch.from_numpy(labels).to(device)).cpu().numpy()
        finite = np.isfinite(expected)
        assert (np.isfinite(found) == finite).all(), f"{text}: infinite elsewhere"
        off = np.abs(found[finite] - expected[finite]) / np.maximum(expected[finite], 1)
        assert off.max() < 1e-4, f"{text}: off by {off.max():.2g}"
        worst = max(worst, float(off.max()))
    return f"{len(CASES)} criteria, off by {worst:.1e} at most"


def kernel(device: str) -> str:
    """The kernel of Triton against its twin."""
    assert passes.HAS_TRITON, "no triton"
    torch.manual_seed(0)
    shapes = [(2, 5, 7, 7), (3, 64, 14, 14), (1, 70, 33, 29), (2, 64, 112, 112), (64, 256, 56, 56)]
    for shape in shapes:
        for dtype in (torch.float32, torch.float16, torch.bfloat16):
            for how in (passes.MEAN, passes.HIGHEST):
                for form in (torch.contiguous_format, torch.channels_last):
                    x = torch.randn(shape, device=device).to(dtype)
                    x[0, 1, 0, 3] = torch.nan
                    x = x.contiguous(memory_format=form)
                    y = torch.empty_like(x)
                    (got,) = passes.joined([passes.relu_pooled(x, y, how)], how)
                    assert torch.equal(y.nan_to_num(7), torch.relu(x).nan_to_num(7)), (shape, dtype, how)
                    torch.testing.assert_close(got, passes.pooled_plain(y, how), equal_nan=True, rtol=1e-4, atol=1e-5)
                    low = torch.rand(4, shape[1], device=device) - 0.5
                    labels = torch.randint(0, 4, shape[:1], device=device)
                    pooled, outside = passes.pooled_outside(x, low, low + 0.5, labels, how)
                    inside = (low[labels] <= pooled) & (pooled <= low[labels] + 0.5)
                    assert torch.equal(outside, (~inside).float())
    x = torch.randn(2, 8, 9, 9, device=device)
    compiled = torch.compile(lambda x, y: passes.relu_pooled(x, y, "mean"), fullgraph=True)
    y = torch.empty_like(x)
    torch.testing.assert_close(compiled(x, y)[:, 0], torch.relu(x).mean((2, 3)))
    return f"{len(shapes)} shapes, 3 dtypes, both layouts; compiled too"


def module(device: str, seconds: float) -> list[tuple[str, Callable[[], str]]]:
    """A guarded ResNet-18 by every way that there is, against the host."""
    net = network_of("resnet18", device)
    monitor = monitor_of(net)
    guarded = guarded_module(net, monitor)
    frames = frames_of(8, device, seed=3) * torch.linspace(0.2, 2, 8, device=device)[:, None, None, None]
    frames[5, 0, 3, 3] = torch.nan
    host = monitor.check(frames.cpu().numpy())[1]
    bare = net(frames)

    def held(found: Any, rough: float = 1e-3) -> str:
        output, score, alarm, _ = found
        got = score.cpu().numpy()
        finite = np.isfinite(host.score)
        assert (np.isfinite(got) == finite).all(), (got, host.score)
        off = np.abs(got[finite] - host.score[finite]) / np.maximum(host.score[finite], 1)
        assert off.max() < rough, f"score off by {off.max():.2g}"
        close = np.abs(np.where(finite, host.score, 0) - host.threshold) < rough * np.maximum(host.threshold, 1)
        assert ((alarm.cpu().numpy() == host.alarm) | close).all()
        same = torch.equal(output.nan_to_num(), bare.nan_to_num())
        return f"score off by {off.max():.1e}, output {'the same bits' if same else 'other bits'}"

    def captured() -> str:
        run = Captured(guarded, frames)
        first = held(run(frames))
        other = frames_of(8, device, seed=4)
        assert not torch.equal(run(other).score.clone(), run(frames).score.clone())
        return first

    def asynchronous() -> str:
        judge = DeviceJudge(monitor, guarded)
        judge(frames).verdicts()
        torch.cuda.set_sync_debug_mode("error")
        try:
            waiting = judge(frames)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        verdicts = waiting.verdicts()
        assert (verdicts.status == host.status).all(), (verdicts.status, host.status)
        return "no synchronisation before the verdict; statuses as on the host"

    def autocast(dtype: torch.dtype) -> str:
        with torch.autocast(device, dtype):
            output, score, _, deviations = guarded(frames)
        assert deviations.dtype == torch.float32
        assert output.dtype == dtype
        assert np.isfinite(score.cpu().numpy()).tolist() == np.isfinite(host.score).tolist()
        return f"scores {score[:2].tolist()} beside {host.score[:2].tolist()}"

    def exported() -> str:
        return held(torch.export.export(guarded, (frames,)).module()(frames))

    def compiled() -> str:
        return held(torch.compile(guarded, fullgraph=True)(frames), 1e-2)

    def halved() -> str:
        own = guarded_module(net, monitor).half()
        assert all(table.dtype != torch.float16 for table in own.bench.buffers())
        return f"scores {own(frames.half()).score[:2].tolist()} beside {host.score[:2].tolist()}"

    def parallel() -> str:
        return held(nn_parallel(guarded)(frames))

    return [
        ("eager", lambda: held(guarded(frames))), ("CUDA graph", captured), ("asynchronous", asynchronous),
        ("autocast fp16", lambda: autocast(torch.float16)), ("autocast bf16", lambda: autocast(torch.bfloat16)),
        ("half()", halved), ("torch.export", exported), ("DataParallel", parallel),
        ("torch.compile(fullgraph)", compiled),
    ]  # fmt: skip


def nn_parallel(guarded: Any) -> Any:
    return torch.nn.DataParallel(guarded)


def checks(device: str, seconds: float) -> list[tuple[str, str, str]]:
    """(question, held or not, what was seen), as many as there is time for."""
    began, rows = time.perf_counter(), []

    def ask(name: str, question: Callable[[], Any]) -> Any:
        if time.perf_counter() - began > seconds:
            rows.append((name, "left out", "no time left"))
            return None
        started = time.perf_counter()
        try:
            with torch.no_grad():
                found = question()
        except Exception as error:
            rows.append((name, "FAILED", f"{type(error).__name__}: {str(error)[:300]}"))
            traceback.print_exc(limit=-4)
            return None
        told = found if isinstance(found, str) else "made"
        rows.append((name, "held", f"{told} ({time.perf_counter() - started:.1f} s)"))
        return found

    ask("criteria", lambda: criteria(device))
    ask("kernel", lambda: kernel(device))
    for name, question in ask("guarded ResNet-18", lambda: module(device, seconds)) or ():
        ask(name, question)
    return rows
