"""Two judges in a row: heads on every prompt, a dearer judge only near the threshold."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..attributes import strict
from ..calibration import check_rate, needed_samples
from ..errors import CalibrationError, NotReadyError, ProfileError, warn
from ..files import FORMAT
from ..verdict import Status, Verdict
from .calibrating import HeadCalibration, calibrate, refused, verdict_of
from .drift import HeadDrift, compare, warn_of
from .features import Progress, listed, prefills, prompt_digest
from .files import (
    KIND,
    damage_told,
    pack_calibration,
    pack_guard,
    read_packed,
    unpack_calibration,
    unpack_guard,
    write_packed,
)
from .guard import HeadGuard

if TYPE_CHECKING:
    from typing_extensions import Self

    from ...networks.transformers import Decoder, Prefill

Judge = Callable[[Any], float]
"""A judge of the user's own: from a prompt to a number or a bool, larger = more like unsafe."""


@dataclass(frozen=True)
class CascadeCalibration:
    """The band and the threshold of a cascade.

    low, high: scores of the first guard; the second judges those above `low` up to `high`. middle, spread: of the
    second's scores in the band, which place them between 1 and 2. whole: the calibration of the cascade's score.
    sent: how many of its prompts went to the second. n_band: other safe prompts, which set the band.
    """

    low: float
    high: float
    middle: float
    spread: float
    whole: HeadCalibration
    sent: int
    n_band: int

    @property
    def share(self) -> float:
        """The share of safe prompts that goes to the second judge."""
        return self.sent / self.whole.judged

    def __str__(self) -> str:
        return (
            f"{self.n_band} safe prompts set the band {self.low:.4g} to {self.high:.4g}; {self.share:.3g} of the others"
            f" went to the second judge\n{self.whole}"
        )

    def score(self, first: float, second: float | None) -> float:
        """The cascade's score: 0 to 1 below the band, 1 to 2 in it by the second's score, 2 to 3 above it."""
        if not math.isfinite(first) or (second is not None and not math.isfinite(second)):
            return math.nan
        if self.low < first <= self.high:
            return math.nan if second is None else 1 + _between((second - self.middle) / self.spread)
        place = _between((first - self.high) / (self.high - self.low))
        return place if first <= self.low else 2 + place


@strict
class Cascade:
    """A guard on every prompt and a second judge on the share near the threshold.

    first: a guard that has searched; `read_out` costs no second pass. second: another such guard, as of `exact`, or a
    callable of the prompt that returns a number or a bool. band: the share of safe prompts that the second sees.
    A second guard of the same model measures the pass of the first. The false-alarm rate is that of the two together.
    Raises ValueError for a band outside (0, 1), NotReadyError for a guard that has not searched.
    """

    def __init__(self, first: HeadGuard, second: HeadGuard | Judge, band: float = 0.2) -> None:
        if not 0 < band < 1:
            raise ValueError(f"expected a band between 0 and 1, such as 0.2, got {band!r}")
        if not callable(second) and not isinstance(second, HeadGuard):
            raise TypeError(f"expected a guard or a function of the prompt as the second judge, got {second!r}")
        for guard in (first, second):
            if isinstance(guard, HeadGuard):
                guard.chosen  # noqa: B018 (raises before a search)
        self.first = first
        self.second = second
        self.band = band
        self.calibration: CascadeCalibration | None = None

    @property
    def decoder(self) -> Decoder:
        """The model of the first guard."""
        return self.first.decoder

    @property
    def keep(self) -> int | None:
        """What a prefill that is handed to `judge` must keep."""
        layers = [one for one in (self.first.keep, self._shared.keep if self._shared else None) if one is not None]
        return min(layers, default=None)

    @property
    def threshold(self) -> float:
        """The cascade's score above which a prompt is flagged. Raises NotReadyError before a calibration."""
        return self._calibrated().whole.threshold

    def calibrate(
        self, safe: Iterable[Any], false_alarm_rate: float = 0.05, *, progress: Progress | None = None
    ) -> CascadeCalibration:
        """Set band and threshold on safe prompts: every other one sets the band, the rest the threshold (conformal).

        Half of the false-alarm rate lies above the band, where the first guard decides alone. Prompts that a search has
        seen, or that cannot be judged, are left out with a warning. Raises CalibrationError naming the number needed,
        ValueError for a rate that leaves no room for the band.
        """
        check_rate(false_alarm_rate)
        if false_alarm_rate / 2 + self.band >= 1:
            raise ValueError(f"expected half the rate and the band below 1, got {false_alarm_rate:g} and {self.band:g}")
        known = self.first.searched | (self.second.searched if isinstance(self.second, HeadGuard) else frozenset())
        things = listed(safe)
        fresh = [thing for thing in things if prompt_digest(thing) not in known]
        if len(fresh) < len(things):
            warn(f"{len(things) - len(fresh)} of {len(things)} safe prompts were left out: a search has seen them", 0)
        features = self.first.measure(fresh, self.first.chosen, progress=progress)
        run = np.array([not reason for reason in features.reasons], bool)
        if not run.all():
            warn(f"{int((~run).sum())} of {len(fresh)} safe prompts were left out: they cannot be judged", 0)
        kept, features = [thing for thing, ok in zip(fresh, run, strict=True) if ok], features[run]
        needed = 2 * needed_samples(false_alarm_rate)
        if len(kept) < needed:
            raise CalibrationError(
                f"expected at least {needed} safe prompts for a false-alarm rate of {false_alarm_rate:g}, half of which"
                f" set the band, got {len(kept)}; give more, or ask for a higher rate"
            )
        heads, first = self.first.head_scores(features.values)
        edges = first[::2][np.isfinite(first[::2])]
        if not len(edges):
            raise CalibrationError("expected safe prompts with finite scores, got none")
        high = float(np.quantile(edges, 1 - false_alarm_rate / 2))
        low = float(np.quantile(edges, 1 - false_alarm_rate / 2 - self.band))
        if not low < high:
            raise CalibrationError(f"expected scores of the first guard that differ, got {low:g} for a whole band")
        inside = [bool(low < score <= high) for score in first]
        second = [self._second(thing) if ok else None for thing, ok in zip(kept, inside, strict=True)]
        placed = np.array([one for one in second[::2] if one is not None and math.isfinite(one)])
        middle, spread = (float(np.median(placed)), float(placed.std())) if len(placed) else (0.0, 1.0)
        draft = CascadeCalibration(low, high, middle, spread or 1.0, _EMPTY, sum(inside[1::2]), len(first[::2]))
        scores = np.array([draft.score(*pair) for pair in zip(first, second, strict=True)])
        excluded = {
            "they cannot be judged": int((~run).sum()),
            "a search has seen them": len(things) - len(fresh),
        }
        whole = calibrate(heads[1::2], scores[1::2], features.lengths[1::2], false_alarm_rate, excluded)
        self.calibration = replace(draft, whole=whole)
        return self.calibration

    def check(self, prompts: Iterable[Any], *, progress: Progress | None = None) -> list[Verdict]:
        """A verdict on each prompt, in order, of the two judges together; deviation and layers are the first guard's.

        One that a judge cannot judge is a FAULT with its reason, never OK.
        """
        return [verdict for verdict, _ in self._check(listed(prompts), progress)]

    def compare(self, safe: Iterable[Any], *, level: float = 0.01, progress: Progress | None = None) -> HeadDrift:
        """Compare safe prompts of now with those of the calibration, and warn where they are of another kind.

        See `HeadGuard.compare`. A prompt that the second judge gives no number for counts as flagged.
        """
        judged = [(verdict.score, length) for verdict, length in self._check(listed(safe), progress) if length]
        scores, lengths = (np.array([pair[i] for pair in judged], np.float64) for i in (0, 1))
        found = compare(self._calibrated().whole, scores, lengths, level)
        warn_of(found)
        return found

    def _check(self, things: list[Any], progress: Progress | None) -> list[tuple[Verdict, int]]:
        """The verdict on each prompt and its tokens, 0 for one that cannot be read."""
        whole, found = self._calibrated().whole, []
        for done, thing in enumerate(things, 1):
            for _, outcome in prefills(self.decoder, [thing], self.keep):
                if isinstance(outcome, str):
                    found.append((refused(whole, len(self.first.chosen), outcome), 0))
                else:
                    found.append((self.judge(outcome, [thing])[0], int(outcome.lengths[0])))
            if progress:
                progress(done, len(things))
        return found

    def judge(self, prefill: Prefill, prompts: Sequence[Any] | None = None) -> list[Verdict]:
        """A verdict on each prompt of a pass that was run already; it must have kept what `keep` says.

        prompts: those of the pass, which a second judge that does not share the model needs; ValueError without.
        """
        calibration, chosen = self._calibrated(), self.first.chosen
        values = self.first.statistic.measure(self.decoder, prefill, chosen)
        heads, first = self.first.head_scores(values)
        inside = [calibration.low < score <= calibration.high for score in first]
        second: list[float | None] = [None] * len(first)
        if any(inside):
            if self._shared:
                measured = self._shared.statistic.measure(self.decoder, prefill, self._shared.chosen)
                found = self._shared.head_scores(measured)[1]
                second = [float(score) if ok else None for score, ok in zip(found, inside, strict=True)]
            elif prompts is None:
                raise ValueError("expected the prompts of the pass for a second judge that reads them, got none")
            else:
                second = [self._second(one) if ok else None for one, ok in zip(prompts, inside, strict=True)]
        verdicts = []
        for i, score in enumerate(second):
            if score is not None and not math.isfinite(score):
                verdicts.append(refused(calibration.whole, len(chosen), "the second judge gave no finite number"))
                continue
            verdict = verdict_of(calibration.whole, chosen, values[i], heads[i], calibration.score(first[i], score))
            if score is not None and verdict.status == Status.ALARM:
                verdict = verdict._replace(reason=f"{verdict.reason}; the second judge gave {score:.4g}")
            verdicts.append(verdict)
        return verdicts

    @property
    def _shared(self) -> HeadGuard | None:
        """The second judge, where it reads the pass of the first."""
        second = self.second
        return second if isinstance(second, HeadGuard) and second.decoder is self.first.decoder else None

    def _second(self, thing: Any) -> float:
        """The second judge's score of a prompt, NaN where it has none."""
        if isinstance(self.second, HeadGuard):
            return float(self.second.scores([thing])[0])
        try:
            return float(self.second(thing))
        except Exception:  # noqa: BLE001 (whatever a user's judge raises, this prompt is not judged and others are)
            return math.nan

    def _calibrated(self) -> CascadeCalibration:
        if self.calibration is None:
            raise NotReadyError("expected a calibrated cascade, got one without a threshold; call calibrate()")
        return self.calibration

    # Files.

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write both guards, band and threshold as one file; of a judge of the user's own only that there is one."""
        calibration = self._calibrated()
        first, tensors = pack_guard(self.first)
        arrays = {f"first.{name}": array for name, array in tensors.items()}
        second = None
        if isinstance(self.second, HeadGuard):
            second, tensors = pack_guard(self.second)
            arrays |= {f"second.{name}": array for name, array in tensors.items()}
        whole, tensors = pack_calibration(calibration.whole)
        facts = {
            "format": FORMAT,
            "kind": KIND,
            "class": type(self).__name__,
            "first": first,
            "second": second,
            "band": self.band,
            "calibration": whole,
            **{name: getattr(calibration, name) for name in ("low", "high", "middle", "spread", "sent", "n_band")},
        }
        write_packed(path, facts, arrays | tensors)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        decoder: Decoder,
        second: Any = None,
        *,
        key: str | os.PathLike[str] | None = None,
    ) -> Self:
        """The cascade from a file. second: the judge of one's own, or the other model's decoder of a second guard.

        key, and what raises MismatchError, ProfileError, SignatureError: as for `HeadGuard.load`. Raises ValueError
        where a judge of one's own is needed and not given.
        """
        contents = read_packed(path, key=key)
        facts, tensors = contents.facts, contents.arrays
        if facts.get("class") != cls.__name__:
            raise ProfileError(f"{path}: expected a file of {cls.__name__}, got one of {facts.get('class')}")
        if facts.get("second") is None and not callable(second):
            raise ValueError(f"{path}: expected the second judge that it was calibrated with, got none; give second=")
        with damage_told(path):
            parts = {
                part: {name[len(part) + 1 :]: array for name, array in tensors.items() if name.startswith(f"{part}.")}
                for part in ("first", "second")
            }
            first = unpack_guard(path, facts["first"], parts["first"], decoder, HeadGuard)
            judge: Any = second
            if facts["second"] is not None:
                judge = unpack_guard(path, facts["second"], parts["second"], second or decoder, HeadGuard)
            cascade = cls(first, judge, float(facts["band"]))
            numbers = {name: float(facts[name]) for name in ("low", "high", "middle", "spread")}
            spread = numbers["spread"] > 0
            if not (all(map(math.isfinite, numbers.values())) and numbers["low"] < numbers["high"] and spread):
                raise ValueError("expected a band between two numbers and a positive spread, got another")
            cascade.calibration = CascadeCalibration(
                **numbers,
                whole=unpack_calibration(facts["calibration"], tensors, len(first.chosen)),
                sent=int(facts["sent"]),
                n_band=int(facts["n_band"]),
            )
        return cascade


_EMPTY = HeadCalibration(0.5, 0.0, np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.float32), 0, 0)


def _between(number: float) -> float:
    """A number as a place between 0 and 1."""
    return 0.5 + math.atan(number) / math.pi
