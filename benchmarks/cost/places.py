"""What maps cost: `python -m benchmarks.cost.places --camvid DIR --models DIR`.

ESPNet and FastestDet as ONNX models on driving frames, bare, with the monitor beside the session, and with the monitor
in the graph: in one process, on one thread, one frame at a time in turning order.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from outrider.monitor import ExportError, Monitor
from outrider.networks import OnnxNetwork
from outrider.networks.cost import paired, ratio
from outrider.runtime import export

from ..places.camvid import espnet_inputs, read_frames
from ..places.detection import inputs as fastestdet_inputs
from ..places.espnet import trained_espnet
from ..places.segmentation import exported
from ..results import keep
from ..tables import show
from . import tables
from .onnx_row import same, session

FASTESTDET = "FastestDet.onnx"
FRAMES = 16
"""Frames that take turns in the timing."""
ROUNDS = 200
ASKED = 0.1


@dataclass(frozen=True)
class Model:
    """An ONNX file, what makes its batches of RGB images, and what `OnnxNetwork` is told."""

    name: str
    path: Path
    inputs: Callable[[np.ndarray], np.ndarray]
    options: dict[str, Any]


def models(folder: Path, scratch: Path) -> Iterator[Model]:
    """The two networks, the detector without and with verdicts on its boxes; ESPNet's file is written to `scratch`."""
    espnet = exported("ESPNet", trained_espnet(folder), espnet_inputs, scratch)
    yield Model("ESPNet", espnet.path, espnet_inputs, {"classes": "pixel"})
    yield Model("FastestDet, the map alone", folder / FASTESTDET, fastestdet_inputs, {"taps": "places"})
    yield Model("FastestDet, with boxes", folder / FASTESTDET, fastestdet_inputs, {"detections": "fastestdet"})


def measure(model: Model, camvid: Path, scratch: Path, rounds: int) -> dict[str, Any]:
    """One row: medians of bare, and of each way the median of the paired ratios."""
    network = OnnxNetwork(model.path, threads=1, **model.options)
    monitor = Monitor(network)
    train, val = read_frames(camvid, "train", 2), read_frames(camvid, "val", 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few frames
        monitor.profile(model.inputs(image[None]) for image in train.images)
        monitor.calibrate((model.inputs(image[None]) for image in val.images), ASKED, accept_rate=1)
    frames = model.inputs(read_frames(camvid, "test", 7).images[:FRAMES])
    bare, again, judge = session(model.path), session(model.path), monitor.bind()
    name = bare.get_inputs()[0].name
    turn = dict.fromkeys(("bare", "bare again", "outside", "in the graph"), 0)

    def frame_of(way: str) -> np.ndarray:
        """Each way sees the frames in the same order."""
        turn[way] += 1
        return frames[turn[way] % len(frames)]

    calls: dict[str, Callable[[], object]] = {
        "bare": lambda: bare.run(None, {name: frame_of("bare")[None]}),
        "bare again": lambda: again.run(None, {name: frame_of("bare again")[None]}),
        "outside": lambda: judge(frame_of("outside")),
    }
    row: dict[str, Any] = {"columns": list(monitor.check(frames[:1])[1].columns.names)}
    try:
        guarded = inside(model, monitor, scratch)
    except ExportError as error:
        row["refused"] = str(error)
    else:
        calls["in the graph"] = lambda: guarded.run(None, {name: frame_of("in the graph")[None]})
        row |= compared(bare, guarded, monitor, name, frames)
    times = paired(calls, rounds)
    row["bare ms"] = float(np.median(times["bare"]) * 1e3)
    row["ratios"] = {way: ratio(times, way, "bare") for way in calls if way != "bare"}
    network.close()
    return row


def inside(model: Model, monitor: Monitor, scratch: Path) -> Any:
    """A session of the guarded model. Raises ExportError where the monitor cannot leave as ONNX."""
    profile, output = scratch / f"{model.name}.outrider", scratch / f"{model.name}-guarded.onnx"
    monitor.save(profile)
    export(model.path, profile, output)
    return session(output)


def compared(bare: Any, guarded: Any, monitor: Monitor, name: str, frames: np.ndarray) -> dict[str, Any]:
    """Whether outputs are those of the bare model bit for bit, how far maps lie apart, and how many verdicts agree."""
    own = [output.name for output in bare.get_outputs()]
    every = [output.name for output in guarded.get_outputs()]
    equal, apart, agreed = True, 0.0, 0
    for frame in frames:
        got = dict(zip(every, guarded.run(None, {name: frame[None]}), strict=True))
        equal &= same(bare.run(None, {name: frame[None]}), [got[output] for output in own])
        _, verdict = monitor(frame)
        beside = np.asarray(verdict.map)
        apart = max(apart, float(np.abs(got["outrider_map"].reshape(beside.shape) - beside).max() / beside.max()))
        agreed += bool(np.ravel(got["outrider_alarm"])[0]) == verdict.alarm
    return {"equal": equal, "map off by": apart, "agreed": [agreed, len(frames)]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--camvid", type=Path, required=True, help="the folder of CamVid's frames")
    parser.add_argument("--models", type=Path, required=True, help="the folder of ESPNet's weights and FastestDet.onnx")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="calls of each way; fewer are not kept")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        figures = {
            model.name: measure(model, options.camvid, scratch, options.rounds)
            for model in models(options.models, scratch)
        }
    show(tables.places(figures))
    if options.rounds >= ROUNDS:
        keep("places-cost", figures)


if __name__ == "__main__":
    main()
