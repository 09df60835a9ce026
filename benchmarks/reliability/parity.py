"""Parity: `python -m benchmarks.reliability.parity` runs one monitor in PyTorch, beside an ONNX model and in its graph.

Each network is exported. Its monitor learns in PyTorch on crops of photographs, is calibrated there, and is moved to
the ONNX file. Then all three judge other crops, distorted ones and noise. The table has the largest difference of a
score, relative to the score or to 1 where that is less, and how many verdicts differ. The graph is compared with the
monitor beside it, which differs by float32 rounding. PyTorch is compared with the graph: its kernels round otherwise,
and neurons near a bound fall on its other side.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

from outrider.coverage import Criterion, parse_criterion
from outrider.monitor import Monitor, ZScore, transfer
from outrider.networks import (
    OnnxNetwork,
    Preprocessing,
    TorchNetwork,
    bind,
    import_torchvision,
    torchvision_classifier,
    trained,
)
from outrider.runtime import export

from ..onnx_models import photographs
from ..results import keep
from ..tables import show
from . import tables

CRITERIA = ("single_range", "multi_range(sections=32, cost=log)", "bitmap", "default")
TAPS = ("auto", "first:unit")
TRUSTED, HELD_OUT, JUDGED = 300, 200, 300


def small_vision_transformer() -> Any:
    """torchvision's class at 64 x 64: 4 layers of 64, 4 heads."""
    module = import_torchvision().models.VisionTransformer(64, 8, 4, 4, 64, 128, num_classes=10)
    torch.nn.init.normal_(module.heads.head.weight)
    return module


def settled(name: str) -> Any:
    """A torchvision classifier of 10 classes, its batch norms fitted to photographs."""
    module = torchvision_classifier(name, num_classes=10)
    for norm in module.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.momentum = None
            norm.reset_running_stats()
            norm.train()
    with torch.no_grad():
        module(torch.from_numpy(photographs(32, Preprocessing((64, 64)))))
    return module


NETWORKS: dict[str, tuple[Callable[[], Any], Preprocessing]] = {
    "LeNet, Fashion-MNIST": (partial(trained, "lenet-fashion-mnist"), Preprocessing((28, 28), order="L")),
    "small ResNet, CIFAR-10": (partial(trained, "resnet-cifar10"), Preprocessing((32, 32))),
    "MobileNetV3-small, random": (partial(settled, "mobilenet_v3_small"), Preprocessing((64, 64))),
    "EfficientNet-B0 (SiLU), random": (partial(settled, "efficientnet_b0"), Preprocessing((64, 64))),
    "small ViT, random": (small_vision_transformer, Preprocessing((64, 64))),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=NETWORKS, help="default: all, whose figures are kept")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # random weights: few classes are predicted, and photographs repeat
    results = {name: measure(*NETWORKS[name]) for name in ([options.network] if options.network else NETWORKS)}
    show(tables.parity(results))
    if not options.network:
        keep("parity", results)


def measure(make: Callable[[], Any], preprocessing: Preprocessing) -> dict[str, Any]:
    """For each criterion what differs, by how much."""
    torch.manual_seed(0)
    module = make().eval()
    trusted, held_out, judged = (
        photographs(n, preprocessing, seed) for seed, n in enumerate((TRUSTED, HELD_OUT, JUDGED))
    )
    rng = np.random.default_rng(0)
    judged[200:250] += rng.normal(0, 0.1, judged[200:250].shape).astype(np.float32)
    judged[250:] = rng.random(judged[250:].shape, np.float32)
    with tempfile.TemporaryDirectory() as scratch, TorchNetwork(module, trusted.shape[1:], taps=TAPS) as here:
        path = Path(scratch) / "model.onnx"
        example = torch.zeros(1, *trusted.shape[1:])
        torch.onnx.export(
            module, (example,), str(path), dynamo=False, opset_version=17, input_names=["x"],
            dynamic_axes={"x": {0: "n"}},
        )  # fmt: skip
        there = OnnxNetwork(path, taps=TAPS)
        return {text: compared(text, here, there, path, trusted, held_out, judged) for text in CRITERIA}


def compared(
    text: str, here: TorchNetwork, there: OnnxNetwork, path: Path,
    trusted: np.ndarray, held_out: np.ndarray, judged: np.ndarray,
) -> dict[str, Any]:  # fmt: skip
    criteria: dict[str, Criterion] | None = None if text == "default" else {"*:channel": parse_criterion(text)}
    monitor = Monitor(here, criteria, logic=None if criteria is None else ZScore())
    monitor.profile(_batches(trusted), minimum_per_class=1)
    monitor.calibrate(_batches(held_out), 0.05)
    moved = transfer(monitor, there, bind(here, there, trusted[:8]))
    profile, output = path.with_suffix(".outrider"), path.with_name("guarded.onnx")
    moved.save(profile)
    export(path, profile, output)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(output), options, providers=["CPUExecutionProvider"])
    said = [session.run(["outrider_score", "outrider_alarm"], {"x": batch}) for batch in _batches(judged)]
    score, alarm = (np.concatenate(values) for values in zip(*said, strict=True))
    beside = [moved.check(batch)[1] for batch in _batches(judged)]
    first = [monitor.check(torch.from_numpy(batch))[1] for batch in _batches(judged)]
    row: dict[str, Any] = {"verdicts": len(judged), "alarms": int(alarm.sum())}
    for name, verdicts in (("inside", beside), ("torch", first)):
        theirs = np.concatenate([v.score for v in verdicts])
        threshold = np.concatenate([v.threshold for v in verdicts])
        differ = np.concatenate([v.alarm for v in verdicts]) != alarm
        known = np.isfinite(theirs) & np.isfinite(score)
        off = np.abs(score[known] - theirs[known]) / np.maximum(theirs[known], 1)
        distance = np.abs(theirs - threshold)[differ] / np.maximum(threshold[differ], 1)
        row[f"{name}_score"] = float(off.max(initial=0))
        row[f"{name}_infinite"] = int((np.isfinite(theirs) != np.isfinite(score)).sum())
        row[f"{name}_verdicts"] = int(differ.sum())
        row[f"{name}_band"] = float(distance.max(initial=0))
    return row


def _batches(frames: np.ndarray) -> list[np.ndarray]:
    return [frames[i : i + 50] for i in range(0, len(frames), 50)]


if __name__ == "__main__":
    main()
