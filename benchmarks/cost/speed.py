"""Time: `python -m benchmarks.cost.speed` prints what a deviation costs, then what a monitored inference costs.

Figures are medians of alternated runs in one process, on one thread. The deviation of one frame is timed twice: the
compiled loops alone, and the whole of `Criterion.deviation` with its checks.
"""

from __future__ import annotations

import argparse
import io
import warnings
from functools import partial

import numpy as np
import onnxruntime
import torch

from outrider.coverage import (
    Box,
    ClassMahalanobis,
    CoverageBitmap,
    Criterion,
    Gaussian,
    Mahalanobis,
    Margin,
    MultiRange,
    NearestNeighbour,
    Neighbours,
    NeuronRank,
    Pattern,
    RelativeMahalanobis,
    Signature,
    SingleRange,
)
from outrider.monitor import Monitor, Sum, ZScore
from outrider.networks import OnnxNetwork, torchvision_classifier
from outrider.networks.cost import paired, ratio

from ..results import keep
from ..tables import show
from . import tables

CHANNELS, UNITS, OF_CLASSES = 3_904, 1_000_000, 512
CLASSES = {OF_CLASSES: 10}
"""How many classes are learned, where it is not one: the relative distance has nothing to compare with in one."""
CRITERIA: dict[int, list[Criterion]] = {
    CHANNELS: [
        CoverageBitmap(),
        SingleRange(),
        SingleRange(magnitude=True),
        MultiRange(32),
        MultiRange(32, "log"),
        NeuronRank(),
        NearestNeighbour(capacity=256),
        Gaussian(),
        Mahalanobis(),
        Pattern(capacity=256),
        Box(),
        Margin(),
    ],
    OF_CLASSES: [Mahalanobis(), RelativeMahalanobis()],
    UNITS: [CoverageBitmap(), SingleRange(), Gaussian(), MultiRange(8), NeuronRank()],
}
PLACES, OF_MAP, MAP_CLASSES = 2_700, 256, 12
MAPS: list[Criterion] = [Mahalanobis(), RelativeMahalanobis(), ClassMahalanobis(), Neighbours(), Neighbours(centres=16)]
CODED: list[Criterion] = [CoverageBitmap(), SingleRange(), Gaussian(), MultiRange(8)]


def sample(rng: np.random.Generator, rows: int, neurons: int, codes: bool) -> np.ndarray:
    values = np.abs(rng.standard_normal((rows, neurons), np.float32))
    return np.minimum(values * 60, 255).astype(np.uint8) if codes else values


def learned(criterion: Criterion, neurons: int, codes: bool) -> Signature:
    classes = CLASSES.get(neurons, 1)
    signature = criterion.empty(neurons, classes)
    rng = np.random.default_rng(0)
    for _ in range(10 * classes):
        criterion.observe(signature, sample(rng, 20, neurons, codes), np.arange(20) % classes)
    return signature


def kernel_times() -> list[dict]:
    floats = [one_deviation(criterion, neurons) for neurons, criteria in CRITERIA.items() for criterion in criteria]
    return floats + [one_deviation(criterion, UNITS, codes=True) for criterion in CODED]


def one_deviation(criterion: Criterion, neurons: int, codes: bool = False) -> dict:
    """The deviation of one frame, of floats or of uint8 codes, beside numpy's sum of as many floats."""
    values = sample(np.random.default_rng(1), 1, neurons, codes)
    floats = values.astype(np.float32)
    label, out = np.zeros(1, np.int64), np.empty(1, np.float32)
    signature = learned(criterion, neurons, codes)
    compare = criterion.comparer(signature, 1, codes)
    times = paired(
        {
            "sum": lambda: np.sum(floats),
            "loops": lambda: compare(values, label, out),
            "whole": lambda: criterion.deviation(signature, values, label, out),
        },
        rounds=200 if neurons == UNITS else 2000,
    )
    return {
        "neurons": neurons,
        "criterion": repr(criterion) + ", codes" * codes + f", {CLASSES.get(neurons)} classes" * (neurons in CLASSES),
        "loops_us": float(np.median(times["loops"]) * 1e6),
        "whole_us": float(np.median(times["whole"]) * 1e6),
        "p99_9_us": float(np.quantile(times["loops"], 0.999) * 1e6),
        "times_sum": ratio(times, "loops", "sum"),
        "bytes": signature.nbytes,
    }


def map_times() -> list[dict]:
    """The deviations of all places of a map in one call: each by itself, and as one frame."""
    rng = np.random.default_rng(0)
    values, labels = sample(rng, PLACES, OF_MAP, codes=False), rng.integers(0, MAP_CLASSES, PLACES)
    out, rows = np.empty(PLACES, np.float32), []
    for criterion in MAPS:
        signature = criterion.empty(OF_MAP, MAP_CLASSES)
        criterion.observe(signature, values, labels)
        calls = {
            name: criterion.comparer(signature, PLACES, rows_a_frame=k) for name, k in (("rows", 1), ("map", PLACES))
        }
        times = paired({name: partial(call, values, labels, out) for name, call in calls.items()}, rounds=60)
        rows.append({
            "criterion": repr(criterion), "rows_ms": float(np.median(times["rows"]) * 1e3),
            "map_ms": float(np.median(times["map"]) * 1e3), "ratio": ratio(times, "map", "rows"),
        })  # fmt: skip
    return rows


def resnet18() -> bytes:
    """ResNet-18 with random weights as ONNX, 224 x 224, batch 1."""
    buffer = io.BytesIO()
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        torch.onnx.export(
            torchvision_classifier("resnet18"), (torch.zeros(1, 3, 224, 224),), buffer, dynamo=False, input_names=["x"]
        )
    return buffer.getvalue()


def inference_times(rounds: int) -> list[dict]:
    """Bare and monitored inference, alternated; the bare one is a session of the untouched model."""
    model = resnet18()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    bare = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    frames = rng.random((60, 1, 3, 224, 224), np.float32)
    monitors = {}
    for name, taps, neurons, criteria, logic in (
        ("CoverageBitmap, 17 layers, channel", "auto", "channel", CoverageBitmap(), Sum()),
        ("SingleRange, 17 layers, channel", "auto", "channel", SingleRange(), Sum()),
        ("MultiRange(32, 'log'), 17 layers, channel", "auto", "channel", MultiRange(32, "log"), ZScore()),
        ("default criteria without unit ranges, 17 layers, channel", "auto", "channel", None, None),
    ):
        monitor = Monitor(OnnxNetwork(model, taps=taps, neurons=neurons, threads=1), criteria, logic=logic)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # random weights predict few of the 1,000 classes
            monitor.profile(frames[:30])
            monitor.calibrate(frames[30:], 0.1, accept_rate=1)
        monitors[name] = monitor
    frame = frames[0, 0]
    calls = {"bare": lambda: bare.run(None, {"x": frame[None]})}
    calls |= {name: lambda m=monitor: m(frame) for name, monitor in monitors.items()}
    times = paired(calls, rounds)
    return [
        {
            "monitor": name,
            "median_ms": float(np.median(times[name]) * 1e3),
            "ratio": ratio(times, name, "bare"),
        }
        for name in calls
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=300, help="paired rounds of the inference table")
    options = parser.parse_args()
    torch.set_num_threads(1)
    figures = {"deviation": kernel_times(), "maps": map_times(), "inference": inference_times(options.rounds)}
    show(tables.speed(figures))
    keep("time", figures)


if __name__ == "__main__":
    main()
