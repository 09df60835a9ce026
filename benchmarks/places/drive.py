"""A real drive: `python -m benchmarks.places.drive ARCHIVE --dirt FOLDER` watches a model car's camera.

A small steering network learns from the first 60 % of the drive, which are then profiled; the next 20 % set the
threshold, and the last 20 % are watched, clean and with faults switched on. Those are ten seconds, so the same is done
from four other frames on, the drive closed to a ring. ARCHIVE is `donkeycar-tub.tar.gz`, FOLDER LaREx's photographs of
dirt. Nothing was chosen on the watched frames.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from outrider import Guard, Monitor, OnnxNetwork
from outrider.monitor import CalibrationError, OutriderWarning, Status
from outrider.runtime import KOfN, RegionsKOfN
from outrider.runtime.evaluation import faulty

from ..results import keep
from ..tables import show
from . import drive_tables
from .car import FPS, CarDrive, as_input, exported, read_drive, trained
from .dirt import Piece, laid_over, read_pieces

PARTS = 0.6, 0.2
"""The shares of the drive that are learned from and that set the threshold; the rest is watched."""
SPLITS = 5
SEGMENT, RATE, CONFIDENCE = 20, 0.05, 0.8
FROZEN = 5
BEFORE, AFTER, EVERY = 10, 20, 20
"""Clean frames before a fault, frames with it, and frames from one start to the next."""
SENSOR = "dead-columns", "noise-bands", "channel-lost", "rows-shifted", "over-exposed", "under-exposed"
_OFTEN, _CLEAR = (3, 5), (10, 10)
_AT_ONCE = 50

Change = Callable[[np.ndarray, int], np.ndarray]
"""A picture (height, width, 3) uint8 and its number, and another in return."""
MONITORS = {"channels": {}, "places": {"neurons": "pixel"}}
"""Of the default taps and criteria for a network without classes: means of channels, or places of maps."""


def logics(monitor: Monitor) -> dict[str, Callable[[], Any]]:
    """The logics over time that a monitor can have, by name."""
    found: dict[str, Callable[[], Any]] = {
        "each frame": KOfN,
        "3 of 5": lambda: KOfN(_OFTEN, _CLEAR),
    }
    return found | ({"one region in 3 of 5": lambda: RegionsKOfN(_OFTEN, _CLEAR)} if monitor.logic.of_places else {})


def ball(picture: np.ndarray, share: float = 0.25, at: tuple[float, float] = (0.5, 0.6)) -> np.ndarray:
    """A picture with a beach ball on the road. share: its diameter, of the height. at: (x, y) of its middle."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[:height, :width]
    x, y = x - at[0] * width, y - at[1] * height
    distance = np.hypot(x, y) / (share * height / 2)
    colours = np.array([(230, 40, 40), (245, 245, 245), (40, 90, 220), (245, 245, 245)], np.float32)
    turned = (np.arctan2(y, x) / (2 * np.pi) * 8).astype(int) % 4
    lit = colours[turned] * (1 - 0.5 * np.clip(distance, 0, 1)[..., None])
    cover = np.clip((1 - distance) * share * height / 2, 0, 1)[..., None]  # an edge one pixel wide
    return np.rint(cover * lit + (1 - cover) * picture).astype(np.uint8)


def blurred(picture: np.ndarray, deviation: float = 3.0) -> np.ndarray:
    """A picture out of focus. deviation: of the Gaussian, in pixels."""
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(deviation)))


def faults(pieces: Mapping[str, Piece]) -> dict[str, Change]:
    """What happens to the camera, by name. pieces: of dirt, where there are any."""
    found: dict[str, Change] = {
        name: lambda picture, i, name=name: np.moveaxis(faulty(np.moveaxis(picture, -1, 0), name, i), 0, -1)
        for name in SENSOR
    }
    found |= {"blur": lambda picture, _: blurred(picture), "ball": lambda picture, _: ball(picture)}
    if "blot" in pieces:
        found["mud"] = lambda picture, _: laid_over(picture, pieces["blot"], 0.06, (0.5, 0.5), 2.0).picture
    return found


class Watched(NamedTuple):
    """What a guard said of frames in their order. status: (n,) int64. alarms: false alarms that began."""

    status: np.ndarray
    alarms: int


def watch(monitor: Monitor, temporal: Any, frames: np.ndarray) -> Watched:
    """A guard over frames (n, 3, height, width), from its beginning."""
    with Guard(monitor, temporal=temporal, frozen=FROZEN) as guard:
        status = np.array([guard(frame)[1].status for frame in frames], np.int64)
        return Watched(status, guard.metrics.counters.episodes)


def delay(status: np.ndarray, start: int) -> int | None:
    """Frames from the start of a fault to the alarm: 0 for its first frame, None without an alarm.

    Raises ValueError where the alarm held on before.
    """
    if status[start - 1] >= Status.ALARM:
        raise ValueError("expected a fault that begins without an alarm, got one that held on")
    found = np.flatnonzero(status[start:] >= Status.ALARM)
    return int(found[0]) if len(found) else None


def correlation_time(scores: np.ndarray) -> float:
    """How many frames tell as much as one drawn alone: 1 + 2 Σ of the autocorrelations up to the first below 0."""
    centred = scores - scores.mean()
    n, variance = len(centred), float((centred**2).mean())
    if not variance > 0:
        return float(n)
    found = np.array([float((centred[: n - k] * centred[k:]).sum()) / n / variance for k in range(1, n // 2)])
    below = np.flatnonzero(found < 0)
    return float(1 + 2 * found[: below[0] if len(below) else None].sum())


def calibrated(monitor: Monitor, frames: np.ndarray) -> Iterator[tuple[str, dict[str, Any]]]:
    """Set the threshold in each way, one after the other, and say what came of it; the monitor holds to the last."""
    segments = np.arange(len(frames)) // SEGMENT
    for name, how in (
        ("frames", {}),
        ("segments on average", {"drives": segments}),
        ("whole segments", {"groups": segments, "group_confidence": CONFIDENCE}),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OutriderWarning)  # the figures say that the profile knows its own frames
            try:
                found = monitor.calibrate([frames], RATE, **how)
            except CalibrationError as error:
                yield name, {"refused": str(error)}
                continue
        yield name, {"promise": found.promise, "seen": found.realised, "leak": found.leak}


def measured(
    model: bytes, drive: CarDrive, pieces: Mapping[str, Piece], step: Callable[[str], None]
) -> dict[str, Any]:  # fmt: skip
    """The figures of one split: of each monitor, its calibrations and its logics over time."""
    first, second = (round(sum(PARTS[: i + 1]) * len(drive.angles)) for i in range(2))
    inputs = as_input(drive.pictures)
    network = OnnxNetwork(model, classes=None)
    angles = np.concatenate([network.run(part) for part in batches(inputs)])[:, 0]
    error = np.square(angles - drive.angles)
    figures: dict[str, Any] = {
        "frames": [first, second - first, len(inputs) - second],
        "error": [float(np.sqrt(error[part].mean())) for part in (slice(first), slice(second, None))],
        "spread": float(drive.angles[second:].std()),
        "monitors": {},
    }
    broken = faulty_inputs(drive.pictures[second:], faults(pieces))
    for name, options in MONITORS.items():
        step(f"profiling {name}")
        monitor = Monitor(OnnxNetwork(model, classes=None, **options))
        monitor.profile(batches(inputs[:first]))
        figures["monitors"][name] = found = {}
        for how, said in calibrated(monitor, inputs[first:second]):
            step(f"{name}, calibrated by {how}")
            found[how] = said | ({} if "refused" in said else clean_figures(monitor, inputs[second:]))
        if "refused" not in found["whole segments"]:
            step(f"faults, {name}")
            found["whole segments"]["faults"] = {
                logic: fault_figures(monitor, make, inputs[second:], broken) for logic, make in logics(monitor).items()
            }
    return figures


def batches(frames: np.ndarray) -> list[np.ndarray]:
    """The frames, some at once."""
    return [frames[i : i + _AT_ONCE] for i in range(0, len(frames), _AT_ONCE)]


def clean_figures(monitor: Monitor, frames: np.ndarray) -> dict[str, Any]:
    """What a monitor says of clean frames in their order."""
    _, verdicts = monitor.check(frames)
    alarm = verdicts.alarm
    shares = [float(alarm[i : i + SEGMENT].mean()) for i in range(0, len(alarm), SEGMENT)]
    return {
        "alarmed": int(alarm.sum()),
        "segments above": sum(share > RATE for share in shares),
        "segments": len(shares),
        "correlation": correlation_time(verdicts.score),
        "false alarms": {name: watch(monitor, make(), frames).alarms for name, make in logics(monitor).items()},
    }


def faulty_inputs(pictures: np.ndarray, changes: Mapping[str, Change]) -> dict[str, np.ndarray]:
    """What the network is given of pictures (n, height, width, 3) with each fault, as `as_input` makes it."""
    return {
        name: as_input(np.stack([change(picture, i) for i, picture in enumerate(pictures)]))
        for name, change in changes.items()
    }


def fault_figures(
    monitor: Monitor, make: Callable[[], Any], inputs: np.ndarray, broken: Mapping[str, np.ndarray]
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """How soon each fault alarms, switched on at several places of a drive. delays: None for none within `AFTER`.

    held: how often an alarm held on before, so that the fault was not counted. `frozen` repeats its first frame.
    """
    found: dict[str, dict[str, Any]] = {name: {"delays": [], "held": 0} for name in (*broken, "frozen")}
    for name, seen in found.items():
        for start in range(EVERY, len(inputs) - AFTER + 1, EVERY):
            stopped = np.repeat(inputs[start : start + 1], AFTER, axis=0)
            after = stopped if name == "frozen" else broken[name][start : start + AFTER]
            status = watch(monitor, make(), np.concatenate([inputs[start - BEFORE : start], after])).status
            if status[BEFORE - 1] >= Status.ALARM:
                seen["held"] += 1
            else:
                seen["delays"].append(delay(status, BEFORE))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path, help="donkeycar-tub.tar.gz")
    parser.add_argument("--dirt", type=Path, help="LaREx's photographs of dirt; without them there is no mud")
    parser.add_argument("--splits", type=int, default=SPLITS, help=f"where the drive begins; {SPLITS} are kept")
    parser.add_argument("--models", type=Path, help="a folder to keep the trained networks in, and to find them")
    options = parser.parse_args()
    drive, pieces = read_drive(options.archive), {} if options.dirt is None else read_pieces(options.dirt)
    began = time.perf_counter()

    def step(text: str) -> None:
        print(f"{time.perf_counter() - began:6.0f} s  {text}", flush=True)

    splits = []
    with tempfile.TemporaryDirectory() as folder:
        models = options.models or Path(folder)
        models.mkdir(exist_ok=True)
        for i in range(options.splits):
            turned = drive.turned(i * len(drive.angles) // SPLITS)
            path = models / f"car-{i}.onnx"
            if not path.exists():
                step(f"training, split {i + 1} of {options.splits}")
                learned = turned.part(0, round(PARTS[0] * len(turned.angles)))
                path.write_bytes(exported(trained(learned)))
            splits.append(measured(path.read_bytes(), turned, pieces, step))
    settings = {
        "fps": FPS, "rate": RATE, "segment": SEGMENT, "confidence": CONFIDENCE, "after": AFTER, "before": BEFORE,
        "frozen": FROZEN,
    }  # fmt: skip
    figures = {"settings": settings, "splits": splits}
    show(drive_tables.drive(figures))
    if options.splits == SPLITS and pieces:
        keep("car", figures)


if __name__ == "__main__":
    main()
