"""What a monitor's threshold is set by: held-out data, or a hand."""

from __future__ import annotations

import logging
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np

from ..boxes.judge import FrameBoxes
from ..calibration import Calibration, check_rate
from ..data.batches import Batches, batches_of
from ..data.changes import RECALIBRATED, SET_BY_HAND, Change, thresholds_in_words, with_change
from ..data.digests import digests_of
from ..errors import CalibrationError
from ..judge import Judge
from ..kinds import Kinds
from ..kinds.learning import Lesson
from ..learning import sure_of
from ..online import Watcher
from ..shards.frames import frames_of
from ..shards.part import refuse_memory
from ..shards.plan import Sharding
from ..shards.profiling import as_shard
from .calibrating import FAR, calibrate, check_groups, check_rates
from .gathered import Gathered, ScorePart, profile_digest
from .held_out import HeldOut, numbered
from .recalibrating import KeptFrames, Recalibration, recalibrate

Progress = Callable[[int], None]

_log = logging.getLogger("outrider.monitor")


class Calibrated(Watcher):
    """A monitor as far as its threshold goes: `calibrate`, `threshold`. See `Monitor`."""

    profile_sha256: str
    profile_digest: str | None

    def calibrate(
        self,
        batches: Batches,
        false_alarm_rate: float = 0.01,
        *,
        per_class: bool = False,
        warning_rate: float | None = None,
        accept_rate: float | None = None,
        drives: Any = None,
        groups: Any = None,
        group_confidence: float = 0.9,
        keep_scales: bool = False,
        box_rate: float | None = None,
        reason: str = "",
        progress: Progress | None = None,
    ) -> Calibration:
        """Set the threshold on held-out, in-distribution data that the profile has not seen.

        batches: as for `profile`, or `Gathered` of many workers; labels are not used, and a recurrent network is reset
        once. Where the logic learns
        scales, every other frame goes to them and the rest to the threshold (split conformal). per_class: a threshold
        of its own for each class with enough frames. The others share one, set on their frames where these are enough.
        Where the logic learns scales it is higher for those of which little was profiled (`Calibration.raised`).
        Frames predicted as a class without enough trusted frames alarm
        whatever the threshold: they do not move it and are counted in the rate seen. warning_rate: a second, higher
        rate whose threshold gives WARN. reason: why, for the history of the profile.
        Frames that were profiled, and those that came before in the same data, are left out and counted. accept_rate:
        the highest rate seen that is taken though it is far from the one asked for.
        drives: which drive each frame is of, (n,) or (n, any) numbers or names, read after the last batch. Frames of
        one drive, or one track of an object, resemble each other. With drives each drive counts as one: every other
        one goes to the scales, and the rate holds for a frame drawn from a new drive (`conformal_threshold`).
        groups: the same, for a promise about each drive: the rate holds over the frames of one whole new drive, with a
        chance of `group_confidence` (`threshold_of_groups`). At 0.9 it takes 9 drives, 18 where the logic learns
        scales. keep_scales: whether the scales of the calibration before stay, so that every frame sets the threshold:
        for a new drive or place, of which few frames are known to be clean. `Calibration.promise` says in words on
        which frames the rate then holds.
        box_rate: the false-alarm rate of the detections of a detector, each held to the threshold of its class; by
        default that of frames. Boxes of one frame resemble each other, so each frame counts as one, or each drive where
        drives are given: the rate holds for a box drawn from a new one (`calibrate_boxes`).

        Raises NotReadyError before `profile`, and with keep_scales before the first calibration. Raises ValueError for
        other than a drive a frame, and for groups beside drives or per_class. Raises CalibrationError that says what to
        do: naming the number of frames or drives needed; where fewer frames differ, as with a frozen camera;
        where all have one score; where more than a tenth were profiled; where the rate seen is far from the one asked
        for, twice as high even at the lower end of its interval; and where so many share the highest score that none is
        above it, as nothing might ever be. Warns when profiled and held-out frames are told apart (AUROC above 0.6),
        and of classes that alarm too often (`Calibration.too_often`).
        """
        profile, rate = self.learned, float(false_alarm_rate)
        check_rates(rate, warning_rate, accept_rate)
        if box_rate is not None:
            check_rate(box_rate)
        confidence = None if groups is None else float(group_confidence)
        check_groups(confidence, drives=drives is not None, per_class=per_class)
        before = self._calibrated() if keep_scales else None
        held_out = self._held_out(batches, progress)
        drives = drives if groups is None else groups
        if drives is not None:
            given = np.asarray(drives)
            if given.ndim not in (1, 2) or len(given) != len(held_out.predictions):
                raise ValueError(
                    f"expected the drive of each of {len(held_out.predictions):,} frames, got shape {given.shape}"
                )
            held_out = held_out._replace(drives=numbered(given))
        warning = None if warning_rate is None else float(warning_rate)  # numpy's numbers are none of JSON's
        found = calibrate(
            profile, self.logic, held_out, rate, per_class=per_class, warning_rate=warning, accept_rate=accept_rate,
            confidence=confidence, before=before, box_rate=None if box_rate is None else float(box_rate),
        )  # fmt: skip
        if self.calibration is not None:
            found = replace(found, kinds=self.calibration.kinds)
        low, high = found.interval
        if accept_rate is not None and (low > FAR * rate or high * FAR < rate):
            reason = f"accepted a rate of {found.realised:.4g}{f': {reason}' if reason else ''}"
        self._take(found, found.set_by, rate, reason)
        return found

    def score_part(
        self, data: Any, shard: str | tuple[int, int], *, batch_size: int = 64, drives: Any = None, listing: str = "",
        progress: Progress | None = None,
    ) -> ScorePart:  # fmt: skip
        """What one of many workers sees of its shard of the held-out frames; `calibrate` takes all parts as `Gathered`.

        data, shard, batch_size, listing: as of `Monitor.profile_part`. drives: of all frames, as of `calibrate`.
        Raises NotReadyError before `profile`, ProfileError for a recurrent network, ValueError for a shard out of range
        and for other than a drive a frame.
        """
        frames, of = frames_of(data), as_shard(shard)
        plan = Sharding(len(frames), batch_size).checked()
        refuse_memory(self.network)
        numbers = None if drives is None else numbered(np.asarray(drives))
        if numbers is not None and len(numbers) != len(frames):
            raise ValueError(f"expected the drive of each of {len(frames):,} frames, got {len(numbers):,}")
        leaves = plan.leaves_of(of)
        batches = (batch for leaf in leaves for batch in frames.batches(plan.rows(leaf), batch_size))
        columns, profile = len(self.learned.columns), profile_digest(self.learned, self.logic)
        held_out = self._held_out(batches, progress) if leaves else HeldOut.none(columns)
        if numbers is not None:
            rows = plan.rows_of(leaves)
            own = numbers[rows.start : rows.stop]
            if len(own) != len(held_out.digests):
                raise ValueError(
                    f"expected a frame of each drive's row, got {len(held_out.digests)} of {len(own)} rows"
                )
            held_out = held_out._replace(drives=own)
        return ScorePart.of_frames(profile, plan, of, held_out, listing)

    def learn_kinds(
        self, batches: Batches, *, examples: int = 60, sure: float = 0.7, seed: int = 0,
        progress: Progress | None = None,
    ) -> Kinds:  # fmt: skip
        """Learn to name the kind of an alarm (`Verdict.kind`), from held-out data and changes made to them.

        batches: as for `calibrate`; the same frames will do. Of a random 256 of them, 64 MiB at most, examples are
        made of 26 causes: of a broken or dirty sensor, of fine noise as of an attack, of other content, and of pictures
        between two classes (`kinds.EXAMPLES`). No unsafe data and no gradient is used. The pattern of an example that
        alarms is how surprising each column is and how what deviates lies in the picture. A rule of a mean pattern for
        each cause names the kind of an alarm; "unknown" where the kind's probability is below `sure`, and where the
        pattern lies further from every cause than nearly all examples. It never changes whether there is an alarm.
        examples: how many of each cause should alarm; four times as many are tried. Causes of which fewer than 10 alarm
        are not learned. seed: of all that is drawn. progress: called with the number of frames run, changed ones too.
        What was learned is kept by `save`; `calibrate` and `recalibrate` leave it, `profile` and `extend` drop it.

        Raises NotReadyError before `calibrate`. Raises ValueError for a network that takes no single picture, for a
        recurrent one, and for settings out of range. Raises CalibrationError for fewer than 20 held-out frames, and
        where no two kinds have a cause of which enough examples alarm.
        """
        calibration, profile = self._calibrated(), self.learned
        if not examples >= 1 or not 0 < sure < 1:
            raise ValueError(f"expected examples of 1 or more and sure between 0 and 1, got {examples} and {sure}")
        with self._lock:
            lesson = Lesson(
                self.network, profile, lambda network, n: Judge(network, profile, n, self.logic, calibration),
                examples=examples, sure=sure, seed=seed, progress=progress,
            )  # fmt: skip
            for frames, _ in batches_of(batches, self.network):
                lesson.add(frames)
            kinds = lesson.learned()
            self.calibration = replace(calibration, kinds=kinds)  # another one, so that guards bind it
            self.profile_sha256, self.profile_digest = "", None
        return kinds

    def recalibrate(
        self, kept: KeptFrames, false_alarm_rate: float | None = None, *, reason: str = ""
    ) -> Recalibration:
        """Set the threshold anew on frames that guards believed clean; by default for the rate of before.

        kept: from the event logs of guards that ran with this profile, see `outrider.runtime.read_kept`. The frames
        that the guards flagged are not learned from; each counts as one above any threshold. The threshold is lowered
        where fewer frames were flagged than the rate allows by more than chance, and stays where the rate lies in the
        95 % interval of the share flagged. It is never raised. The scales of the logic stay. Old and new threshold and
        the reason go to the history of the profile, also where the threshold holds.
        Raises NotReadyError before `calibrate`. Raises MismatchError for logs of another network, profile or threshold.
        Raises CalibrationError that says what to do: for too few frames; for runs in which more than one frame in 1,000
        was FAULT or STALE; where more frames were flagged than the rate allows, or the drift test rejected; and for
        thresholds per class.
        """
        with self._lock:
            old = self._calibrated()
            rate = old.false_alarm_rate if false_alarm_rate is None else float(false_alarm_rate)
            found = recalibrate(self.learned, self.logic, old, kept, rate, self.profile_sha256)
            self._take(found.calibration, RECALIBRATED, rate, f"{f'{reason}: ' if reason else ''}{found.said}")
        return found

    def _take(self, calibration: Calibration | None, what: str, rate: float | None, reason: str) -> None:
        """Hold to another calibration from now on, and write the change down: both, or a file would say another."""
        with self._lock:
            old, new = (None if one is None else one.thresholds for one in (self.calibration, calibration))
            change = Change.made(what, old, new, rate=rate, reason=reason)
            learned = copy(self.learned)  # which a monitor of another form of the network may share
            learned.history = with_change(learned.history, change)
            self._learned = learned
            self.calibration = calibration
            self.profile_sha256, self.profile_digest = "", None
        _log.info(
            "%s: threshold %s -> %s%s", what, thresholds_in_words(change.before), thresholds_in_words(change.after),
            f" ({change.reason})" if change.reason else "",
        )  # fmt: skip

    @property
    def threshold(self) -> float | np.ndarray:
        """The score allowed: one number for all classes, or (classes,) float64 where they differ.

        What is assigned holds from the next frame on, also of a guard that runs; a judge of `bind` keeps the old one.
        See `set_threshold`. Raises NotReadyError before `calibrate`.
        """
        values = self._calibrated().thresholds
        return float(values[0]) if (values == values[0]).all() else values.copy()

    @threshold.setter
    def threshold(self, value: float | np.ndarray) -> None:
        self.set_threshold(value)

    def set_threshold(self, value: float | np.ndarray, reason: str = "") -> Calibration:
        """Set the threshold by hand: one number for all classes, or one for each, (classes,).

        The rate seen is counted anew, on the scores that the calibration kept of its frames. The old and the new
        threshold and the reason go to the history of the profile, and to the log of the package at level INFO.
        Raises NotReadyError before `calibrate`, ValueError for numbers that are negative or not finite and for another
        shape, TypeError for no numbers, CalibrationError for a calibration of an older file.
        """
        given = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
        if given.dtype.kind not in "fiu":
            raise TypeError(f"expected a threshold as a number, or one for each class, got {value!r:.80}")
        with np.errstate(over="ignore"):
            values = given.astype(np.float64)
        if not (np.isfinite(values) & (values >= 0)).all():
            raise ValueError(f"expected a threshold that is finite and not negative, got {value!s:.80}")
        with self._lock:
            calibration = self._calibrated()
            classes = len(calibration.thresholds)
            if values.shape not in ((), (classes,)):
                raise ValueError(f"expected one threshold, or {classes}, one for each class, got shape {values.shape}")
            found = calibration.with_thresholds(np.array(np.broadcast_to(values, classes)))
            self._take(found, SET_BY_HAND, None, reason)
        return found

    def _held_out(self, batches: Batches, progress: Progress | None) -> HeldOut:
        if isinstance(batches, Gathered):
            return batches.of(profile_digest(self.learned, self.logic))
        trusted, parts, done = self.learned.trusted, [], 0
        boxes: list[FrameBoxes] = []
        self.network.reset()
        for frames, _ in batches_of(batches, self.network):
            with self._judging(frames) as (judge, batch):
                seen = judge.observe(batch)
                logits = seen.logits
                sure = np.ones(judge.n, bool)
                if trusted.labelled and logits is not None:
                    sure = sure_of(logits, trusted.confidence, self.network.scores)
                parts.append(
                    (
                        judge.deviations.copy(), judge.predictions.copy(), sure, judge.uncovered.copy(),
                        digests_of(batch), np.broadcast_to(judge.with_rows, judge.n),
                        *([] if judge.grid is None else [judge.grid.values.copy()]),
                    )
                )  # fmt: skip
                if judge.boxes is not None:
                    boxes += judge.boxes.found(seen, judge.n)[1]
            done += judge.n
            if progress:
                progress(done)
        if not parts:
            raise CalibrationError("expected held-out frames, got none")
        found = [np.concatenate(part) for part in zip(*parts, strict=True)]
        held_out = HeldOut(*found[:6])._replace(boxes=_of_frames(boxes) if boxes else None)
        return held_out if len(found) == 6 else held_out._replace(grids=found[6])


def _of_frames(boxes: list[FrameBoxes]) -> np.ndarray:
    """(n,) of objects, that masks choose among."""
    found = np.empty(len(boxes), object)
    for i, one in enumerate(boxes):
        found[i] = one
    return found
