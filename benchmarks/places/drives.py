"""Other drives: `python -m benchmarks.places.drives --camvid DIR --models DIR` asks what a threshold is worth there.

A monitor of ESPNet with the default settings learns from CamVid's training frames. The validation frames, all of one
drive that was trained on, set the threshold. The test frames are of a drive in training, and of one that is in neither.
Then some clean frames of the new drive set the threshold anew while the scales stay, and the rest of it is counted.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from outrider.monitor import CalibrationError, Monitor, clopper_pearson, conformal_threshold
from outrider.networks import OnnxNetwork

from ..results import keep
from ..tables import show
from . import drives_tables
from .segmentation import BATCH, Data, Segmenter, opened, read_data

ASKED = 0.05
GIVEN, AGAIN, DRAWS = (19, 30, 43), (0.05, 0.1), 500
"""Frames of the new drive that a recalibration gets, the rates it asks for, and how often they are drawn."""


def counted(scores: np.ndarray, threshold: float) -> dict[str, float]:
    """How many of the frames alarm, and the interval of the share with 95 % confidence."""
    count = int((scores > threshold).sum())
    low, high = clopper_pearson(count, len(scores))
    return {"count": count, "of": len(scores), "low": low, "high": high}


def ways_to_give(n: int, given: int, rng: np.random.Generator) -> Iterator[tuple[str, np.ndarray]]:
    """Which of n frames in the order of time are given: the first, those spread evenly, and some at random."""
    yield "the first", np.arange(given)
    yield "evenly spread", np.round(np.linspace(0, n - 1, given)).astype(int)
    for _ in range(DRAWS):
        yield "at random", rng.choice(n, given, replace=False)


def recalibrated(clean: np.ndarray, strange: np.ndarray, seed: int = 0) -> list[dict[str, Any]]:
    """What thresholds set anew on some frames of a drive do on the others; as `calibrate(keep_scales=True)` sets them.

    clean, strange: (n,) scores of the frames of the drive, and of the same with an animal. A row for each number of
    frames, rate and way to give them: the mean share of other clean frames that alarm, its 95 % range over the draws,
    and the mean share of strange ones.
    """
    rng, rows = np.random.default_rng(seed), []
    for given in (one for one in GIVEN if one < len(clean)):
        for rate in AGAIN:
            shares: dict[str, list[tuple[float, float]]] = {}
            for way, which in ways_to_give(len(clean), given, rng):
                rest = np.ones(len(clean), bool)
                rest[which] = False
                threshold = conformal_threshold(clean[which], rate)
                both = (float((scores[rest] > threshold).mean()) for scores in (clean, strange))
                shares.setdefault(way, []).append(tuple(both))
            for way, found in shares.items():
                alarmed, flagged = np.array(found).T
                low, high = np.quantile(alarmed, [0.025, 0.975])
                rows.append(
                    {"given": given, "rate": rate, "way": way, "clean": float(alarmed.mean()), "low": float(low),
                     "high": float(high), "strange": float(flagged.mean())}
                )  # fmt: skip
    return rows


def measured(segmenter: Segmenter, data: Data) -> dict[str, Any]:
    """The figures of one network."""
    network = OnnxNetwork(segmenter.path, classes="pixel")
    monitor = Monitor(network)
    learned = segmenter.batches(data.train.images)
    labels = data.train.labels
    monitor.profile((batch, labels[i * BATCH : i * BATCH + len(batch)]) for i, batch in enumerate(learned))
    refused = {}
    try:  # one batch is enough to be told how many drives it takes
        monitor.calibrate(segmenter.batches(data.val.images[:BATCH]), ASKED, groups=data.val.drives[:BATCH])
    except CalibrationError as error:
        refused["groups"] = str(error)
    calibration = monitor.calibrate(segmenter.batches(data.val.images), ASKED)
    scores = {
        name: np.concatenate([monitor.check(batch)[1].score for batch in segmenter.batches(data.sets[name])])
        for name in ("clean", "animal")
    }
    threshold = float(calibration.thresholds[0])
    groups: Mapping[str, np.ndarray] = {"known": ~data.foreign, "new": data.foreign}
    found = {
        "refused": refused,
        "promise": calibration.promise,
        "seen": {"realised": calibration.realised, "n": calibration.n, "interval": list(calibration.interval)},
        "test": {
            name: {
                "drives": sorted(set(data.drives[which].tolist())),
                **{of: counted(values[which], threshold) for of, values in scores.items()},
            }
            for name, which in groups.items()
        },
        "again": recalibrated(scores["clean"][data.foreign], scores["animal"][data.foreign]),
    }
    chosen = np.flatnonzero(data.foreign)[: GIVEN[1]]
    again = monitor.calibrate(
        segmenter.batches(data.sets["clean"][chosen]), AGAIN[1], keep_scales=True, reason="the new drive"
    )
    network.close()
    return found | {"promise again": again.promise}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--camvid", type=Path, required=True, help="the folder of CamVid's frames")
    parser.add_argument("--models", type=Path, required=True, help="the folder of ESPNet's weights")
    parser.add_argument("--quick", action="store_true", help="every other frame; nothing is kept")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = read_data(options.camvid, 2 if options.quick else 1)
    with tempfile.TemporaryDirectory() as folder:
        figures = measured(opened("espnet", options.models, options.camvid, Path(folder)), data)
    figures |= {"asked": ASKED, "draws": DRAWS}
    show(drives_tables.drives(figures))
    if not options.quick:
        keep("other-drives", figures)


if __name__ == "__main__":
    main()
