"""Does the calibration still hold? A test of the alarm rate that may be looked at after every frame."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self

    from ...monitor import Calibration

_BETS = (1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
_MOST_TESTED = 10_000


class DriftTest:
    """Tests, frame after frame, that the frames of a calm loop alarm no more often than at a given rate.

    A test by betting. For each of a few rates q above `rate`, the likelihood ratio of q against `rate` begins anew with
    every tested frame, with weights w_t that sum to 1, so that a rate which rises late is found almost as soon as one
    that was high from the start:

        S_q <- (S_q + w_t) * (q / rate if alarmed else (1 - q) / (1 - rate)),    w_t = c_(t-1) - c_t
        E = mean of S_q over q, + c_t,                                            c_t = log 2 / log(t + 2)

    E is a non-negative supermartingale from 1 while P(alarm | frames before) <= rate, so the chance that E ever reaches
    1 / level is at most `level` (Ville, 1939), however long the drive and however often one looks. The mixture over
    beginnings is that of e-detectors (Shin, Ramdas and Rinaldo, 2024) with weights that keep it a test.

    Frames during an alarm of the loop are left out as a hazard, up to `patience` of them in a row. An alarm that lasts
    longer counts as drift, and its frames are tested like the rest. The frames before a frame settle whether it is
    tested, never its own alarm, so E stays a supermartingale. A real hazard that lasts may therefore look like drift,
    and one that comes back again and again counts by the frames with which it begins.

    Neighbouring frames of a video are alike, so after one alarm the next is likely at any rate. Therefore only one
    in `stride` of the frames not left out is tested. The promise assumes that frames `stride` apart alarm no more often
    than `rate`, given those before. Choose `stride` as long as a scene lasts (30 is one second at 30 fps).

    rate: the highest rate that is no drift, known and not estimated; `for_calibration` is for one that is. level: the
    chance of a false report where frames alarm at `rate`. Raises ValueError out of range.
    """

    __slots__ = (
        "_bets", "_capital", "_if_alarmed", "_if_clean", "_kept", "_left_out", "_skipped", "alarmed", "evidence",
        "level", "patience", "rate", "rejected", "stride", "tested",
    )  # fmt: skip

    def __init__(self, rate: float, level: float = 0.01, stride: int = 30, patience: int = 300) -> None:
        if not (0 < rate < 1 and 0 < level < 1 and stride >= 1 and patience >= 0):
            raise ValueError(
                "expected 0 < rate < 1, 0 < level < 1, stride >= 1 and patience >= 0,"
                f" got {rate!r}, {level!r}, {stride!r} and {patience!r}"
            )
        self.rate, self.level, self.stride, self.patience = rate, level, stride, patience
        odds = rate / (1 - rate)
        rates = [bet * odds / (1 + bet * odds) for bet in _BETS]
        self._if_alarmed = [q / rate for q in rates]
        self._if_clean = [(1 - q) / (1 - rate) for q in rates]
        self._bets = range(len(rates))
        self.reset()

    @classmethod
    def for_calibration(
        cls, calibration: Calibration, level: float = 0.01, stride: int = 30, patience: int = 300
    ) -> Self:
        """The test for a monitor's calibration: a false report has a chance of at most `level` in all.

        The calibrated rate is a promise in the mean over draws of the held-out frames; the true rate of the one
        threshold that came of them may be higher without any drift. Tested is therefore the bound that the true rate
        exceeds in only level / 2 of all draws, by bets at level / 2, which is the `level` of the test returned. The
        true rate of a conformal threshold that x of its n held-out frames exceed is drawn from Beta(x + 1, n - x)
        (Vovk, Conditional validity of inductive conformal predictors, 2012; Angelopoulos and Bates, A gentle
        introduction to conformal prediction, 2021), whose quantile is the upper Clopper-Pearson bound; where m classes
        have thresholds of their own, each with its own luck, Beta(x + m, n - x) is taken. That is exact for one
        threshold and scores without ties; with ties, uncovered classes or several thresholds the bound was exceeded in
        up to 1.6 times as many of the draws that were simulated.

        A rate that rises but stays below the bound is not found: few held-out frames cannot tell it from luck. For a
        calibrated 0.01 and level 0.01 the bound is 0.052 from 99 held-out frames, 0.025 from 500, 0.013 from 10,000.
        """
        from scipy.special import betaincinv

        n, alarms = calibration.n, round(calibration.realised * calibration.n)
        thresholds = int(calibration.own.sum()) + (not calibration.own.all())
        return cls(float(betaincinv(alarms + thresholds, n - alarms, 1 - level / 2)), level / 2, stride, patience)

    def reset(self) -> None:
        """Begin anew: after a new calibration."""
        self.tested = self.alarmed = self._skipped = self._left_out = 0
        self.evidence = 1.0
        self.rejected = False
        self._capital = [0.0] * len(_BETS)
        self._kept = 1.0

    def update(self, alarmed: bool, calm: bool = True) -> bool:
        """Take in one frame, whether it alarmed and whether the loop was without an alarm before it.

        True at the frame that rejects. After that the evidence stands still; `rejected` stays True until `reset`.
        """
        if calm:
            self._left_out = 0
        elif self._left_out < self.patience:
            self._left_out += 1
            return False
        self._skipped += 1
        if self._skipped < self.stride:
            return False
        self._skipped = 0
        self.tested += 1
        self.alarmed += bool(alarmed)
        if self.rejected:
            return False
        kept = math.log(2) / math.log(self.tested + 2)
        weight = self._kept - kept
        self._kept = kept
        factors = self._if_alarmed if alarmed else self._if_clean
        capital, total = self._capital, 0.0
        for bet in self._bets:
            capital[bet] = grown = (capital[bet] + weight) * factors[bet]
            total += grown
        self.evidence = total / len(capital) + kept
        self.rejected = self.evidence * self.level >= 1
        return self.rejected

    @property
    def interval(self) -> tuple[float, float]:
        """The rate of tested frames, as a confidence sequence: all its intervals hold at once, but for `level`."""
        return confidence_sequence(self.alarmed, self.tested, self.level)

    @property
    def message(self) -> str:
        """One sentence on how the calibration does; its numbers are those of `snapshot` and `interval`."""
        if not self.tested:
            return "the calibration is not tested yet"
        if not (self.rejected or could_reject(self.rate, self.level, self.tested)):
            return (
                f"calibration: too few frames tested to tell ({self.tested} tested, one in {self.stride}, alarms of"
                " the loop left out)"
            )
        seen = (
            f"{self.alarmed:,} of {self.tested:,} tested frames alarmed ({100 * self.alarmed / self.tested:.3g} %),"
            f" tested against {100 * self.rate:.3g} %"
        )
        if self.rejected:
            return f"calibration no longer holds: {seen}"
        return f"no sign against the calibration: {seen}, alarms of the loop left out"

    def snapshot(self) -> dict[str, Any]:
        """The state in JSON types."""
        names = ("rate", "level", "stride", "tested", "alarmed", "evidence", "rejected")
        return {name: getattr(self, name) for name in names}

    def __repr__(self) -> str:
        return f"DriftTest(rate={self.rate:g}, level={self.level:g}, stride={self.stride}: {self.message})"


def could_reject(rate: float, level: float, tested: int) -> bool:
    """Whether a test at this level had rejected if all of so many tested frames had alarmed."""
    test = DriftTest(rate, level, stride=1)
    return any(test.update(True) for _ in range(min(tested, _MOST_TESTED)))


def confidence_sequence(count: int, n: int, level: float) -> tuple[float, float]:
    """Bounds of a rate of which `count` of `n` were seen, valid for all n at once with probability 1 - level.

    Robbins' method of mixtures (1970): the rates p whose likelihood ratio against a Beta(1/2, 1/2) mixture stays below
    1 / level. Raises ValueError unless 0 <= count <= n and 0 < level < 1.
    """
    if not (0 <= count <= n and 0 < level < 1):
        raise ValueError(f"expected 0 <= count <= n and 0 < level < 1, got {count}, {n} and {level}")
    if n == 0:
        return 0.0, 1.0
    from scipy.optimize import bisect
    from scipy.special import betaln, xlog1py, xlogy

    allowed = betaln(count + 0.5, n - count + 0.5) - betaln(0.5, 0.5) + math.log(level)

    def excess(p: float) -> float:
        return max(-1e300, xlogy(count, p) + xlog1py(n - count, -p) - allowed)  # finite, for the search

    low, high = (end if excess(end) > 0 else bisect(excess, end, count / n, xtol=1e-18) for end in (0.0, 1.0))
    return float(low), float(high)
