"""Whether the safe prompts of today are like those that set the threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..calibration import clopper_pearson
from ..errors import CalibrationError, warn
from .calibrating import HeadCalibration

LEAST = 20
"""The fewest safe prompts that are compared."""


@dataclass(frozen=True)
class HeadDrift:
    """Safe prompts seen now against those that the guard was calibrated on.

    n, n_calibration: how many of each. flagged: how many of the n are flagged. expected: the false-alarm rate asked
    for. p_flagged: the chance of as many or more with prompts of the same kind; the exact beta-binomial tail, which
    counts that the threshold comes from few prompts. p_scores, p_lengths: of the two-sample Kolmogorov-Smirnov test on
    scores and on tokens. score_shift, length_shift: the median now minus the median then. level: of the three tests
    together (Bonferroni).
    """

    n: int
    n_calibration: int
    flagged: int
    expected: float
    p_flagged: float
    p_scores: float
    p_lengths: float
    score_shift: float
    length_shift: float
    level: float

    @property
    def share(self) -> float:
        """The share of the n that is flagged."""
        return self.flagged / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Clopper-Pearson interval of `share`."""
        return clopper_pearson(self.flagged, self.n)

    @property
    def changed(self) -> bool:
        """Whether any of the three tests says that the prompts are of another kind."""
        return min(self.p_flagged, self.p_scores, self.p_lengths) < self.level / 3

    def to_dict(self) -> dict[str, Any]:
        """The comparison in JSON types."""
        return {
            "n": self.n,
            "n_calibration": self.n_calibration,
            "flagged": self.flagged,
            "share": self.share,
            "interval": list(self.interval),
            "expected": self.expected,
            "p_flagged": self.p_flagged,
            "p_scores": self.p_scores,
            "p_lengths": self.p_lengths,
            "score_shift": self.score_shift,
            "length_shift": self.length_shift,
            "changed": self.changed,
        }

    def __str__(self) -> str:
        low, high = self.interval
        lines = [
            f"{self.n:,} safe prompts against the {self.n_calibration:,} of the calibration",
            (
                f"flagged: {self.share:.3g} (95 % interval {low:.3g} to {high:.3g}), {self.expected:g} expected,"
                f" p = {self.p_flagged:.2g}"
            ),
            f"scores: median {self.score_shift:+.3g}, p = {self.p_scores:.2g}",
            f"tokens: median {self.length_shift:+.3g}, p = {self.p_lengths:.2g}",
        ]
        lines.append(
            "they are of another kind: recalibrate on safe prompts such as these" if self.changed else "no change seen"
        )
        return "\n".join(lines)


def warn_of(found: HeadDrift) -> None:
    """Warn the caller of a public method of a comparison that says so."""
    if found.changed:
        warn(f"the safe prompts are not as they were when the threshold was set: {found}")


def compare(calibration: HeadCalibration, scores: np.ndarray, lengths: np.ndarray, level: float = 0.01) -> HeadDrift:
    """Compare safe prompts with those of a calibration.

    scores: (n,) float64; one that is not finite counts as flagged. lengths: (n,) tokens. level: the chance of a warning
    without a change. Raises CalibrationError below 20 prompts, ValueError for a level outside (0, 1).
    """
    from scipy.stats import betabinom, ks_2samp

    if not 0 < level < 1:
        raise ValueError(f"expected a level between 0 and 1, such as 0.01, got {level!r}")
    n, then = len(scores), calibration.n
    if n < LEAST:
        raise CalibrationError(f"expected at least {LEAST} safe prompts that can be judged to compare, got {n}")
    finite = np.isfinite(scores)
    flagged = int((scores[finite] > calibration.threshold).sum() + (~finite).sum())
    below = int((calibration.scores <= calibration.threshold).sum())
    p_flagged = betabinom.sf(flagged - 1, n, then + 1 - below, below)
    shown = np.where(finite, scores, np.finfo(np.float64).max)
    return HeadDrift(
        n, then, flagged, calibration.false_alarm_rate, float(p_flagged),
        float(ks_2samp(shown, calibration.scores).pvalue),
        float(ks_2samp(lengths, calibration.lengths).pvalue),
        float(np.median(shown) - np.median(calibration.scores)),
        float(np.median(lengths) - np.median(calibration.lengths)),
        level,
    )  # fmt: skip
