"""The kind of an alarm: what was learned, and what names it in a loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..profile import Profile
from .examples import TOLD, UNKNOWN
from .pattern import Maps, Patterns, PlacesOf, Scales
from .rule import Rule


@dataclass(frozen=True, eq=False)
class Kinds:
    """What names the kind of an alarm, learned by `Monitor.learn_kinds`.

    scales: what patterns are measured by. rule: what names them. frames: how many held-out frames it was learned from.
    alarmed: of each cause, how many of its examples alarmed and how many were tried; those of which too few did are not
    in the rule. left_out: (4, 5) float64, the shares of examples of each kind named as each of the four, and unknown,
    by rules that had not learned their cause; NaN for a kind that has a single one.
    """

    scales: Scales
    rule: Rule
    frames: int
    alarmed: Mapping[tuple[str, str], tuple[int, int]]
    left_out: np.ndarray

    def bind(self, profile: Profile, indices: Sequence[int], comparers: Mapping[int, PlacesOf]) -> Namer:
        """What names the kinds of frames of a judge; see `Maps`."""
        return Namer(self.rule, Patterns(self.scales, Maps(profile, indices, comparers)))

    def to_dict(self) -> dict[str, Any]:
        """What it is, in JSON types."""
        return {
            "kinds": list(self.rule.kinds),
            "frames": self.frames,
            "sure": self.rule.sure,
            "causes": [
                {"kind": kind, "cause": cause, "alarmed": alarmed, "tried": tried}
                for (kind, cause), (alarmed, tried) in self.alarmed.items()
            ],
            "left_out": {
                kind: None if np.isnan(row).any() else dict(zip((*TOLD, UNKNOWN), row.tolist(), strict=True))
                for kind, row in zip(TOLD, self.left_out, strict=True)
            },
        }

    def __repr__(self) -> str:
        return f"Kinds({', '.join(self.rule.kinds)}; {len(self.rule.causes)} causes, {self.frames:,} frames)"


class Namer:
    """Names the kind of one frame of a judge's last batch, in bounded work."""

    def __init__(self, rule: Rule, patterns: Patterns) -> None:
        self._rule, self._patterns = rule, patterns

    def __call__(
        self, score: float, deviation: np.ndarray, frame: int, activations: Sequence[np.ndarray], label: int
    ) -> str:
        """The kind of a frame that alarmed; "unknown" of one with an infinite score, which has no pattern."""
        if not score < np.inf:
            return UNKNOWN
        return self._rule.named(self._patterns.read(deviation, frame, activations, label)[None])[0]
