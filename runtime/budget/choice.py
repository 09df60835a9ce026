"""Taps that were chosen for a budget, with what they cost and what they detect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .frames import NOISE, ZEROS

_ALL = "all candidates"


@dataclass(frozen=True)
class TapChoice:
    """Taps for a budget, as measured on one machine.

    taps: selectors, as ``taps=`` of a network takes them. budget: how many times the bare inference it may take. ratio,
    interval: how many times it takes with these taps, and the 95 % interval. auroc, auroc_of_all: the mean over the
    faults, of the choice and of all candidates by channel, on frames that did not choose. by_fault: these two of each
    fault. processor: where it was measured. candidates: how many ways of how many tensors there were to choose among.
    frames: how many learned, chose and reported. one_class: whether the sample was too small to tell classes apart.
    """

    taps: tuple[str, ...]
    budget: float
    ratio: float
    interval: tuple[float, float]
    auroc: float
    auroc_of_all: float
    by_fault: Mapping[str, tuple[float, float]]
    processor: str
    candidates: int
    frames: tuple[int, int, int]
    one_class: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The fields in JSON types."""
        facts = asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in facts.items()} | {
            "by_fault": {name: list(pair) for name, pair in self.by_fault.items()}
        }

    def __str__(self) -> str:
        low, high = self.interval
        learned, chose, reported = self.frames
        rows = [("mean", self.auroc, self.auroc_of_all), *((name, *pair) for name, pair in self.by_fault.items())]
        width = max(len(name) for name, *_ in rows)
        lines = [
            f"taps {','.join(self.taps)}",
            (
                f"{len(self.taps)} of {self.candidates} candidates; {learned:,} frames learned, {chose:,} chose and"
                f" {reported:,} report"
            ),
            (
                f"time {self.ratio:.3f} of the bare inference (95 % interval {low:.3f} to {high:.3f}), {self.budget:g}"
                f" allowed, on {self.processor}"
            ),
            f"{'AUROC':{width}}  choice  {_ALL}",
            *(f"{name:{width}}  {own:6.3f}  {of_all:{len(_ALL)}.3f}" for name, own, of_all in rows),
        ]
        if set(self.by_fault) == {NOISE, ZEROS}:
            lines.append("the frames are no pictures: noise and blocks of zeros stand for the faults of a sensor")
        if self.one_class:
            lines.append("all frames count as one class here: the sample shows too few of each")
        return "\n".join(lines)
