"""Draws drive.png for the README: one drive of the demo, without the guard and with it.

.venv/bin/python docs/images/drive.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image

from outrider.monitor import Status
from outrider.networks.zoo.steering import WEIGHTS
from outrider.runtime.demos.drive.faults import FAULTS
from outrider.runtime.demos.drive.loop import Drive
from outrider.runtime.demos.drive.trials import SHOWN, Trial, make_monitor, run_trials
from outrider.runtime.demos.drive.world import FRAMES_PER_SECOND

FAULT = "fog"
BEFORE, SHOWN_AT = 25, (-10, 0, 2, 12, 25, 40, 60)
"""Frames before the fault with which the curve begins, and the frames shown, counted from the fault."""
COLOURS = {Status.OK: "#2e9e5b", Status.WARN: "#e0a100", Status.ALARM: "#c9302c", Status.STALE: "#7b4fb5"}


def drives() -> tuple[Drive, Drive]:
    """The same drive with the same fault, without the guard and with it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "drive.outrider"
        make_monitor(WEIGHTS, workers=2, step=print).save(path)
        track = SHOWN[list(FAULTS).index(FAULT)]
        trials = [Trial(track, FAULT, guarded, keep=True) for guarded in (False, True)]
        bare, guarded = run_trials(trials, WEIGHTS, path)
    return bare, guarded


def draw(bare: Drive, guarded: Drive, path: Path) -> None:
    """Two rows of camera frames above the score over time."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure = plt.figure(figsize=(10, 4.6), dpi=110)
    grid = figure.add_gridspec(3, len(SHOWN_AT), height_ratios=(1, 1, 1.15), wspace=0.05, hspace=0.16)
    for row, (record, name) in enumerate(((bare, "without a guard"), (guarded, "with the guard"))):
        for column, offset in enumerate(SHOWN_AT):
            index = record.fault_at + offset
            axes = figure.add_subplot(grid[row, column])
            axes.set(xticks=[], yticks=[])
            axes.imshow(record.frames[min(index, len(record.frames) - 1)].transpose(1, 2, 0))
            words, colour = said(record, index, row == 1)
            axes.text(0.5, 0.03, words, transform=axes.transAxes, ha="center", va="bottom", color="white", fontsize=8,
                      weight="bold", bbox={"facecolor": colour, "edgecolor": "none", "pad": 1.5})  # fmt: skip
            if row == 0:
                axes.set_title(f"{offset / FRAMES_PER_SECOND:.2f} s", fontsize=8)
            if column == 0:
                axes.set_ylabel(name, fontsize=9)
            for spine in axes.spines.values():
                spine.set(color=colour, linewidth=2)
    curve(figure.add_subplot(grid[2, :]), guarded)
    figure.savefig(path, bbox_inches="tight", pad_inches=0.08)
    Image.open(path).convert("RGB").quantize(160).save(path, optimize=True)


def said(record: Drive, index: int, guarded: bool) -> tuple[str, str]:
    """What is written on a frame, and its colour."""
    if record.left_at is not None and index >= record.left_at:
        return "off the road", "#222222"
    if record.stopped_at is not None and index >= record.stopped_at:
        return "car stopped", COLOURS[Status.ALARM]
    if not guarded:
        return "driving", "#666666"
    status = record.status[index]
    return status.name, COLOURS[status]


def curve(axes: object, record: Drive) -> None:
    """The score in units of its threshold, coloured by the status of the guard."""
    start = record.fault_at - BEFORE
    ratio = np.array(record.ratio[start:])
    seconds = (np.arange(len(ratio)) - BEFORE) / FRAMES_PER_SECOND
    axes.plot(seconds, ratio, color="#bbbbbb", linewidth=1, zorder=1)
    colours = [COLOURS[status] for status in record.status[start:]]
    axes.scatter(seconds, ratio, c=colours, s=11, zorder=2)
    axes.axhline(1, color="#c9302c", linewidth=1, linestyle="--")
    axes.text(seconds[0], 1.08, "threshold", color="#c9302c", fontsize=8, va="bottom")
    axes.axvline(0, color="#888888", linewidth=1)
    axes.text(0.03, 0.25, f"{FAULT} begins", fontsize=8, transform=axes.get_xaxis_transform())
    if record.stopped_at is not None:
        axes.text(seconds[-1] + 0.03, ratio[-1], "car stopped", fontsize=8, va="center")
    axes.set(xlim=(seconds[0], seconds[-1] + 0.3), ylim=(0.01, 10), yscale="log")
    axes.set_yticks([0.01, 0.1, 1, 10], ["0.01", "0.1", "1", "10"])
    axes.set_ylabel("score / threshold", fontsize=8)
    axes.set_xlabel("seconds from the fault", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    draw(*drives(), Path(__file__).with_suffix(".png"))
