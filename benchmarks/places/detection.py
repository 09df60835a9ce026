"""A detector's places and boxes: `python -m benchmarks.places.detection CAMVID DIRT MODEL`.

FastestDet, trained on COCO, sees driving frames, the same with an animal pasted into each (CamVid-OOD), and the same
with mud and dirt of several sizes. It is profiled on CamVid's training frames and calibrated on its validation frames;
then also on every other frame of the test's own drive, and judged on the rest.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage

from outrider.coverage import Mahalanobis, Neighbours
from outrider.monitor import LargestArea, Monitor, Verdict, auroc
from outrider.networks import OnnxNetwork, Preprocessing

from ..results import keep
from ..tables import show
from .camvid import ANIMAL, Frames, read_frames
from .detection_tables import detection
from .dirt import Piece, laid_over, read_pieces
from .objects import covered_by, objects_in, pixels_of, said_of

SIZE = 352
PREPROCESSING = Preprocessing((SIZE, SIZE), order="BGR")
DETECTIONS = "fastestdet(score=0.5)"
CHOSEN = {"onnx::Concat_497": Mahalanobis(), "onnx::Concat_699": Neighbours(samples=4096)}
"""The first activation at stride 16, 48 channels, and the last at stride 32, 96: chosen on validation frames."""
SMOOTH, LEVEL = 3, 0.98
ASKED = 0.05
SHARES = 0.005, 0.02, 0.05, 0.15
BLURS = 0.0, 4.0
LOCATED = 0.3
"""Dirt counts as located where a region's intersection over union with it is this much."""


def inputs(images: np.ndarray) -> np.ndarray:
    """RGB images (n, height, width, 3) uint8 as the detector takes them: (n, 3, 352, 352) float32, BGR in [0, 1]."""
    return np.stack([PREPROCESSING(image.transpose(2, 0, 1)) for image in images])


def monitors(model: Path) -> Iterator[tuple[str, Monitor]]:
    """The detector with the default monitor, and with the one that was chosen for it."""
    yield "default", Monitor(OnnxNetwork(model, detections=DETECTIONS, preprocessing=PREPROCESSING))
    chosen = OnnxNetwork(
        model, taps=tuple(CHOSEN), neurons="pixel", detections=DETECTIONS, preprocessing=PREPROCESSING
    )  # fmt: skip
    yield "chosen", Monitor(chosen, CHOSEN, logic=LargestArea(SMOOTH, LEVEL))


def batches(images: np.ndarray) -> Iterator[np.ndarray]:
    return (inputs(images[i : i + 16]) for i in range(0, len(images), 16))


def verdicts(monitor: Monitor, images: np.ndarray) -> Iterator[Verdict]:
    for batch in batches(images):
        yield from monitor.check(batch)[1]


# Frames: flagged, and where.


def located(verdict: Verdict, mask: np.ndarray) -> tuple[float, bool]:
    """The best intersection over union of a region with what a mask covers, and whether the highest place lies on it.

    mask: (height, width) bool over the frame. A place counts as covered where a quarter of it is.
    """
    assert verdict.map is not None
    assert verdict.places is not None
    truth = at_places(mask, verdict.map.shape) >= 0.25
    parts, count = ndimage.label(verdict.map > verdict.places.level, np.ones((3, 3)))
    ious = [(truth & (parts == k)).sum() / (truth | (parts == k)).sum() for k in range(1, count + 1)]
    return max(ious, default=0.0), bool(truth.reshape(-1)[verdict.map.argmax()])


def at_places(mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The share of each place of a map, (height, width) of `shape`, that a mask covers."""
    height, width = shape
    return np.asarray(Image.fromarray(mask.astype(np.float32)).resize((width, height), Image.Resampling.BOX))


def row(monitor: Monitor, images: np.ndarray, masks: Sequence[np.ndarray]) -> dict[str, Any]:
    """How many of frames with something on them are flagged, and how well it is located."""
    flagged, ious, on = 0, [], 0
    for verdict, mask in zip(verdicts(monitor, images), masks, strict=True):
        iou, peak = located(verdict, mask)
        flagged, on = flagged + verdict.alarm, on + peak
        ious.append(iou)
    return {
        "frames": len(ious), "flagged": int(flagged), "peak": on, "located": int(sum(iou >= LOCATED for iou in ious)),
        "iou": float(np.mean(ious)), "covers": float(np.mean([mask.mean() for mask in masks])),
    }  # fmt: skip


def dirty(frames: Frames, piece: Piece, share: float, blur: float, seed: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """All frames with a piece of dirt at a place of chance, and the masks."""
    rng = np.random.default_rng(seed)
    laid = [laid_over(image, piece, share, tuple(rng.random(2)), blur) for image in frames.images]
    return np.stack([one.picture for one in laid]), [one.mask for one in laid]


def muddy(frames: Frames, pieces: Mapping[str, Piece], share: float = 0.05) -> tuple[Frames, list[np.ndarray]]:
    """The frames with one piece of dirt after another, each of a share of the pixels, and the masks."""
    rng, kinds = np.random.default_rng(0), list(pieces.values())
    laid = [
        laid_over(image, kinds[i % len(kinds)], share, tuple(rng.random(2))) for i, image in enumerate(frames.images)
    ]
    return Frames(np.stack([one.picture for one in laid]), frames.labels, frames.names), [one.mask for one in laid]


def frames_judged(monitor: Monitor, clean: Frames, animals: Frames, pieces: Mapping[str, Piece]) -> dict[str, Any]:
    """What is said of clean frames, of those with animals and, of every other frame, with dirt."""
    flagged = np.array([verdict.alarm for verdict in verdicts(monitor, clean.images)])
    drives = dict.fromkeys(clean.drives.tolist())
    here = {drive: clean.drives == drive for drive in drives}
    found: dict[str, Any] = {
        "clean": {
            drive: {"frames": int(one.sum()), "flagged": int(flagged[one].sum())} for drive, one in here.items()
        },
        "animals": row(monitor, animals.images, list(animals.labels == ANIMAL)),
        "dirt": [],
    }  # fmt: skip
    some = clean.take(np.arange(0, len(clean), 2))
    for name, piece in pieces.items():
        for share in SHARES:
            for blur in BLURS:
                images, masks = dirty(some, piece, share, blur, seed=len(found["dirt"]))
                found["dirt"].append({"piece": name, "share": share, "blur": blur, **row(monitor, images, masks)})
    return found


# Boxes: right, wrong, and missing.


def boxes_judged(monitor: Monitor, frames: Frames, masks: Sequence[np.ndarray] | None = None) -> dict[str, Any]:
    """What is said of boxes by what the labels say of them, and of objects that no box covers.

    masks: of dirt; a box of which dirt covers half is on dirt, whatever the labels say.
    """
    said: dict[str, list[tuple[float, float, float]]] = {}
    missed: Counter[str] = Counter()
    for i, verdict in enumerate(verdicts(monitor, frames.images)):
        labels = np.asarray(Image.fromarray(frames.labels[i]).resize((SIZE, SIZE), Image.Resampling.NEAREST))
        if masks is not None:
            mask = np.asarray(Image.fromarray(masks[i]).resize((SIZE, SIZE), Image.Resampling.NEAREST))
        for box in verdict.boxes:
            of = said_of(box.box, box.class_index, labels)
            if masks is not None and pixels_of(box.box, mask).mean() >= 0.5:
                of = "dirt"
            ratio = box.deviation / box.threshold if np.isfinite(box.deviation) else np.inf
            said.setdefault(of, []).append((ratio, box.confidence, float(box.alarm)))
        shown = [one.box for one in verdict.boxes]
        cues = [region.box for region in verdict.missed]
        missed["frames"] += 1
        missed["cues"] += len(cues)
        for mask in objects_in(labels):
            kind = "animals" if (labels[mask] == ANIMAL).any() else "objects"
            state = "covered" if covered_by(shown, mask) >= 0.5 else "missed"
            missed[f"{kind} {state}"] += 1
            missed[f"{kind} {state}, cued"] += covered_by(cues, mask) >= 0.5
    return {"said": {of: summary(rows, said.get("right", [])) for of, rows in said.items()}, "missed": dict(missed)}


def summary(rows: list[tuple[float, float, float]], right: list[tuple[float, float, float]]) -> dict[str, Any]:
    """How many boxes, how many are flagged, and how well they are told from right ones.

    Each is a deviation as a share of its threshold, the confidence of the network, and whether it is flagged. A class
    of which too few were profiled deviates by infinity; `covered` leaves its boxes out.
    """
    deviation, confidence, alarm = np.array(rows).T
    known = np.isfinite(deviation)
    found: dict[str, Any] = {"boxes": len(rows), "flagged": int(alarm.sum()), "unknown": int((~known).sum())}
    if right and rows is not right:
        usual, sure, _ = np.array(right).T
        found |= {"deviation": auroc(usual, deviation), "confidence": auroc(-sure, -confidence)}
        usual, sure = usual[np.isfinite(usual)], sure[np.isfinite(usual)]
        if known.any() and len(usual):
            found["covered"] = {
                "deviation": auroc(usual, deviation[known]), "confidence": auroc(-sure, -confidence[known]),
            }  # fmt: skip
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("camvid", type=Path, help="the folder of CamVid and CamVid-OOD")
    parser.add_argument("dirt", type=Path, help="the folder of LaREx's photographs of mud and dirt")
    parser.add_argument("model", type=Path, help="FastestDet.onnx")
    parser.add_argument("--keep", action="store_true", help="write the raw figures for the report")
    options = parser.parse_args()
    frames = {split: read_frames(options.camvid, split) for split in ("train", "val", "test", "test_ood")}
    clean, animals = frames["test"], frames["test_ood"]
    pieces = read_pieces(options.dirt)
    drives, counts = np.unique(clean.drives, return_counts=True)
    own = np.flatnonzero(clean.drives == drives[counts.argmax()])
    figures: dict[str, Any] = {
        "asked": ASKED, "detections": DETECTIONS, "located": LOCATED, "given": len(own[::2]), "settings": {},
    }  # fmt: skip
    for name, monitor in monitors(options.model):
        monitor.profile(batches(frames["train"].images))
        monitor.calibrate(batches(frames["val"].images), ASKED)
        found = {
            "columns": list(monitor.check(inputs(clean.images[:1]))[1].columns.names),
            "val": frames_judged(monitor, clean, animals, pieces),
            "boxes": {
                "clean": boxes_judged(monitor, clean),
                "animals": boxes_judged(monitor, animals),
                "dirt": boxes_judged(monitor, *muddy(clean, pieces)),
            },
        }
        monitor.calibrate(batches(clean.images[own[::2]]), ASKED, keep_scales=True)
        found["own"] = frames_judged(monitor, clean.take(own[1::2]), animals.take(own[1::2]), pieces)
        figures["settings"][name] = found
        show(detection({**figures, "settings": {name: found}}))
    if options.keep:
        keep("places-detection", figures)


if __name__ == "__main__":
    main()
