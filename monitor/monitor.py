"""The monitor: profile, calibrate, check, save, load."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..coverage import Criterion
from ..coverage.kernels import first_non_finite_row
from ..networks import Network, Observation, probabilities
from .calibration import (
    LEAK,
    Calibration,
    auroc,
    check_rate,
    clopper_pearson,
    needed_samples,
    thresholds_by_class,
)
from .defaults import default_criteria
from .describe import describe
from .errors import CalibrationError, MismatchError, NotReadyError, OutriderWarning, ProfileError
from .files import read_profile, write_profile
from .logic import Logic, SmallestP, Sum
from .profile import Column, FrameSpool, NetworkFacts, Profile, TrustedSet
from .verdict import Columns, Status, Verdict, Verdicts

Batches = Iterable[Any]
Progress = Callable[[int], None]
Criteria = Criterion | Mapping[str, Criterion | Sequence[Criterion]]

_CHECKPOINT_SECONDS = 30.0


class Monitor:
    """Learns what trusted data covers of a network, sets a threshold, and gives a verdict with every output.

    network: what is watched. criteria: one criterion for all its taps, or {tap selector: criterion or several};
    by default `default_criteria`. logic: how the columns (a criterion on a tap each) become one score; by default
    `Sum` for a single column and `SmallestP` otherwise.
    Raises ValueError for a selector that matches no tap.
    """

    def __init__(self, network: Network, criteria: Criteria | None = None, *, logic: Logic | None = None):
        chosen = default_criteria(network.taps, network.classes) if criteria is None else criteria
        columns, taps = _columns(network, {"*": chosen} if isinstance(chosen, Criterion) else chosen)
        classes = network.classes or 1
        signatures = tuple(column.criterion.empty(taps[column.tap].size, classes) for column in columns)
        trusted = TrustedSet(0.0, 0, np.zeros(classes, np.int64))
        profile = Profile(NetworkFacts.of(network, taps), columns, signatures, trusted)
        self._assemble(network, profile, logic or (SmallestP() if len(columns) > 1 else Sum()), None)

    def _assemble(self, network: Network, profile: Profile, logic: Logic, calibration: Calibration | None) -> None:
        self.network = network
        self.logic = logic
        self._profile = profile
        self.calibration = calibration
        place = {tap.id: i for i, tap in enumerate(network.taps)}
        self._places = tuple(place[profile.network.taps[column.tap].id] for column in profile.columns)
        self._groups = np.array([column.group for column in profile.columns])
        self._covered = profile.trusted.covered
        self._checkpoint: Path | None = None

    @property
    def learned(self) -> Profile:
        """The profile: signatures, taps and the facts of the trusted set. Raises NotReadyError before there is one."""
        if not self._profile.complete:
            raise NotReadyError("expected a profiled monitor, got one that has seen no trusted data; call profile()")
        return self._profile

    @property
    def columns(self) -> tuple[str, ...]:
        """The name of each column of a deviation: its tap and criterion."""
        return self._profile.names

    # Offline: learn, then set the threshold.

    def profile(
        self,
        batches: Batches,
        *,
        trusted_confidence: float = 0.9,
        minimum_per_class: int = 5,
        progress: Progress | None = None,
        checkpoint: str | os.PathLike | None = None,
    ) -> Profile:
        """Learn from trusted data in one pass and bounded memory.

        batches: arrays (n, *input_shape), or pairs of such an array and labels (n,). With labels, a frame is trusted
        when the network is right with a softmax of at least `trusted_confidence`; without, every frame is, under
        the class the network predicts. Classes with fewer than `minimum_per_class` trusted frames are named in a
        warning, and inputs predicted as one of them always alarm. Frames with NaN or Inf are left out and counted.
        progress: called with the number of frames seen, after each batch. checkpoint: a path that keeps what was
        learned, every 30 seconds and when `progress` raises, until `save`; called again with the same batches,
        `profile` goes on behind the frames it holds.
        Raises ProfileError when no frame is trusted.
        """
        path = None if checkpoint is None else Path(checkpoint)
        profile = self._start(trusted_confidence, minimum_per_class, path)
        saved = time.monotonic()
        for frames, labels in _after(batches, profile.trusted.frames):
            self._learn(profile, frames, labels)
            try:
                if progress:
                    progress(profile.trusted.frames)
            except BaseException:
                if path:
                    write_profile(path, profile, self.logic)
                raise
            if path and time.monotonic() - saved > _CHECKPOINT_SECONDS:
                write_profile(path, profile, self.logic)
                saved = time.monotonic()
        self._finish(profile)
        self._checkpoint = path
        return profile

    def _start(self, confidence: float, minimum: int, path: Path | None) -> Profile:
        fresh = self._profile
        if path and path.exists():
            profile, _, _ = read_profile(path)
            _refuse_another_network(path, profile, fresh.network)
            if (profile.columns, profile.network.taps) != (fresh.columns, fresh.network.taps):
                raise ProfileError(
                    f"{path}: expected the criteria of this monitor, got others; remove it to start anew"
                )
            before = profile.trusted.confidence, profile.trusted.minimum_per_class
            if before != (confidence, minimum):
                raise ProfileError(
                    f"{path}: expected the trusted confidence and minimum per class it began with, {before},"
                    f" got {(confidence, minimum)}; remove it to start anew"
                )
            return profile
        classes = self.network.classes or 1
        signatures = tuple(
            column.criterion.empty(signature.neurons, classes)
            for column, signature in zip(fresh.columns, fresh.signatures, strict=True)
        )
        trusted = TrustedSet(confidence, minimum, np.zeros(classes, np.int64))
        return Profile(fresh.network, fresh.columns, signatures, trusted)

    def _learn(self, profile: Profile, frames: Any, labels: np.ndarray | None) -> None:
        seen = self.network.observe(frames)
        array = _array(frames)
        predictions = self._predictions(seen, len(array))
        finite = _finite_rows(array)
        for activations in (*seen.activations, *(() if seen.logits is None else (seen.logits,))):
            finite &= _finite_rows(activations)
        trusted = finite.copy()
        if labels is not None and seen.logits is not None:
            trusted &= predictions == labels
            with np.errstate(invalid="ignore"):
                trusted &= probabilities(seen.logits).max(axis=1) >= profile.trusted.confidence
            profile.trusted.labelled = True
        classes = predictions[trusted]
        for column, place, signature in zip(profile.columns, self._places, profile.signatures, strict=True):
            column.criterion.observe(signature, seen.activations[place][trusted], classes)
        profile.spool.add(array[trusted])
        profile.trusted.per_class += np.bincount(classes, minlength=len(profile.trusted.per_class))
        profile.trusted.non_finite += int((~finite).sum())
        profile.trusted.frames += len(array)

    def _finish(self, profile: Profile) -> None:
        trusted = profile.trusted
        if not trusted.trusted:
            rule = f"right with softmax >= {trusted.confidence:g}" if trusted.labelled else "finite"
            raise ProfileError(
                f"expected trusted frames, got none: 0 of {trusted.frames} were {rule};"
                " look at the preprocessing and at the order of the classes"
            )
        if trusted.non_finite:
            _warn(f"{trusted.non_finite} of {trusted.frames} frames hold or cause NaN or Inf and were left out")
        thin = np.flatnonzero(~trusted.covered)
        if len(thin):
            counts = ", ".join(f"class {c}: {trusted.per_class[c]}" for c in thin[:10])
            _warn(
                f"{len(thin)} of {len(trusted.per_class)} classes have fewer than {trusted.minimum_per_class} trusted"
                f" frames ({counts}{', …' if len(thin) > 10 else ''}); inputs predicted as one of them will alarm"
            )
        profile.complete = True
        for column, signature in zip(profile.columns, profile.signatures, strict=True):
            column.criterion.prepare(signature)
        self._assemble(self.network, profile, self.logic, None)
        probes = [self._deviations(frames)[2] for frames in profile.spool.batches(32)]
        trusted.probe = np.concatenate(probes)
        profile.spool = FrameSpool(seen=profile.spool.seen)

    def calibrate(
        self,
        batches: Batches,
        false_alarm_rate: float = 0.01,
        *,
        per_class: bool = False,
        warning_rate: float | None = None,
        progress: Progress | None = None,
    ) -> Calibration:
        """Set the threshold on held-out, in-distribution data that the profile has not seen.

        batches: as for `profile`; labels are not used. Where the logic learns scales, every other frame goes to
        them and the rest to the threshold (split conformal). per_class: a threshold of its own for each class with
        enough frames. Frames predicted as a class without enough trusted frames alarm whatever the threshold: they do
        not move it and are counted in the rate seen. warning_rate: a second, higher rate whose threshold gives WARN.
        Raises CalibrationError naming the number of frames needed, NotReadyError before `profile`. Warns when
        profiled and held-out frames are told apart (AUROC above 0.6).
        """
        trusted = self.learned.trusted
        check_rate(false_alarm_rate)
        if warning_rate is not None and not false_alarm_rate < warning_rate < 1:
            raise ValueError(f"expected a warning rate above {false_alarm_rate:g} and below 1, got {warning_rate!r}")
        deviations, predictions, sure = self._collect(batches, progress)
        finite = np.isfinite(deviations).all(axis=1)
        covered = self._covered[predictions]
        excluded = {
            "predicted as a class without enough trusted frames": int((~covered).sum()),
            "NaN or Inf": int((covered & ~finite).sum()),
        }
        for reason, count in excluded.items():
            if count:
                _warn(f"{count} of {len(finite)} held-out frames were left out: {reason}")
        kept = covered & finite
        always = int((~kept).sum())
        deviations, predictions, sure = deviations[kept], predictions[kept], sure[kept]
        learning = np.arange(len(deviations)) % 2 == 0 if self.logic.learns else np.zeros(len(deviations), bool)
        n = int((~learning).sum())
        needed = needed_samples(false_alarm_rate)
        if n < needed:
            share = "; half of the frames go to the scales of the logic" if self.logic.learns else ""
            raise CalibrationError(
                f"expected at least {needed * (2 if self.logic.learns else 1)} held-out frames for a false-alarm rate"
                f" of {false_alarm_rate:g}, got {len(deviations)}{share}; give more, or ask for a higher rate"
            )
        scales = self.logic.fit(deviations[learning], self._groups)
        scores = self.logic.score(scales, deviations[~learning], self._groups)
        classes = len(self._covered)
        by_class = predictions[~learning], classes
        thresholds, own = thresholds_by_class(scores, *by_class, false_alarm_rate, per_class)
        warning = None
        if warning_rate is not None:
            warning, _ = thresholds_by_class(scores, *by_class, warning_rate, per_class)
        excluded_here = round(always * n / max(len(deviations), 1))
        false_alarms = int((scores > thresholds[predictions[~learning]]).sum()) + excluded_here
        judged = n + excluded_here
        leak = None
        if trusted.probe is not None and sure[~learning].any():
            probes = self.logic.score(scales, trusted.probe, self._groups)
            leak = auroc(probes, scores[sure[~learning]])
            if leak > LEAK:
                _warn(
                    f"the profile tells its own data from held-out data: AUROC {leak:.3f}, expected at most {LEAK};"
                    " profile more samples, or take fewer neurons (channel in place of unit)"
                )
        self.calibration = Calibration(
            false_alarm_rate,
            thresholds,
            own,
            judged,
            int(learning.sum()),
            false_alarms / judged,
            clopper_pearson(false_alarms, judged),
            leak,
            np.quantile(deviations, 1 - false_alarm_rate, axis=0, method="higher").astype(np.float32),
            scales,
            excluded,
            warning_rate,
            warning,
        )
        return self.calibration

    def _collect(self, batches: Batches, progress: Progress | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(n, columns) deviations, (n,) predictions, and (n,) whether the network was as sure as trusted frames are."""
        parts, done = [], 0
        for frames, _ in _after(batches, 0):
            seen, predictions, deviations, _ = self._deviations(frames)
            sure = np.ones(len(predictions), bool)
            if self._profile.trusted.labelled and seen.logits is not None:
                with np.errstate(invalid="ignore"):
                    sure = probabilities(seen.logits).max(axis=1) >= self._profile.trusted.confidence
            parts.append((deviations, predictions, sure))
            done += len(predictions)
            if progress:
                progress(done)
        if not parts:
            raise CalibrationError("expected held-out frames, got none")
        deviations, predictions, sure = (np.concatenate(part) for part in zip(*parts, strict=True))
        return deviations, predictions, sure

    # Online: a verdict with every output.

    def check(self, batch: Any) -> tuple[Any, Verdicts]:
        """The network's own output for a batch (n, *input_shape), and the verdicts on it.

        Raises NotReadyError before `calibrate`; whatever the network raises for a wrong shape or dtype.
        """
        calibration = self._calibrated()
        seen, predictions, deviations, broken = self._deviations(batch)
        score = self.logic.score(calibration.scales, deviations, self._groups)
        threshold = calibration.thresholds[predictions]
        status = np.where(score <= threshold, int(Status.OK), int(Status.ALARM))  # so that NaN alarms
        if calibration.warning_thresholds is not None:
            between = (status == Status.OK) & (score > calibration.warning_thresholds[predictions])
            status[between] = Status.WARN
        reasons: dict[int, str] = {}
        if not np.isfinite(score).all():
            for i in np.flatnonzero(~np.isfinite(score)):
                reasons[int(i)] = self._why_infinite(predictions[i], deviations[i])
        if broken is not None:
            score[broken] = np.inf
            status[broken] = Status.FAULT
            reasons |= {int(i): "the input holds NaN or Inf" for i in np.flatnonzero(broken)}
        columns = Columns(self.columns, calibration.limits)
        if self.network.classes is None:
            predictions = np.full(len(predictions), -1)
        return seen.output, Verdicts(status, score, threshold, predictions, deviations, columns, reasons)

    def __call__(self, frame: Any) -> tuple[Any, Verdict]:
        """The output and verdict of one frame (*input_shape), both without the batch axis."""
        output, verdicts = self.check(frame[None])
        return _without_batch(output), verdicts[0]

    def deviations(self, batch: Any) -> np.ndarray:
        """η of a batch: (n, columns) float32, larger = less covered. Raises NotReadyError before `profile`."""
        self.learned  # noqa: B018
        return self._deviations(batch)[2]

    def scores(self, batch: Any) -> np.ndarray:
        """The scores that `check` holds against the threshold: (n,) float64."""
        return self.check(batch)[1].score

    def _calibrated(self) -> Calibration:
        self.learned  # noqa: B018
        if self.calibration is None:
            raise NotReadyError("expected a calibrated monitor, got one without a threshold; call calibrate()")
        return self.calibration

    def _deviations(self, batch: Any) -> tuple[Observation, np.ndarray, np.ndarray, np.ndarray | None]:
        """Observation, (n,) classes, (n, columns) deviations, and which rows came in broken (None: none)."""
        seen = self.network.observe(batch)
        array = _array(batch)
        predictions = self._predictions(seen, len(array))
        deviations = np.empty((len(array), len(self._places)), np.float32)
        signatures = self._profile.signatures
        for i, (column, place) in enumerate(zip(self._profile.columns, self._places, strict=True)):
            deviations[:, i] = column.criterion.deviation(signatures[i], seen.activations[place], predictions)
        covered = self._covered[predictions]
        if not covered.all():
            deviations[~covered] = np.inf
        if seen.logits is not None and not np.isfinite(seen.logits).all():
            deviations[~np.isfinite(seen.logits).all(axis=1)] = np.inf
        if array.dtype.kind != "f" or np.isfinite(array).all():
            return seen, predictions, deviations, None
        return seen, predictions, deviations, ~_finite_rows(array)

    def _predictions(self, seen: Observation, n: int) -> np.ndarray:
        if seen.logits is None:
            return np.zeros(n, np.int64)
        return seen.logits.argmax(axis=1)

    def _why_infinite(self, prediction: int, deviation: np.ndarray) -> str:
        if not self._covered[prediction]:
            trusted = self._profile.trusted
            count = trusted.per_class[prediction]
            return f"class {prediction} is not covered: {count} trusted frames, fewer than {trusted.minimum_per_class}"
        broken = [self.columns[i].split(" ")[0] for i in np.flatnonzero(np.isinf(deviation))]
        return f"NaN or Inf in the network, at {broken[0]}" if broken else "the score is not finite"

    # Files.

    def save(self, path: str | os.PathLike) -> None:
        """Write profile and calibration as one file. Raises ProfileError, NotReadyError; see `write_profile`."""
        write_profile(path, self.learned, self.logic, self.calibration)
        if self._checkpoint:
            self._checkpoint.unlink(missing_ok=True)
            self._checkpoint = None

    @classmethod
    def load(cls, path: str | os.PathLike, network: Network) -> Monitor:
        """The monitor from a file, for the network it was learned from.

        Raises MismatchError naming what differs for another network, ProfileError for a damaged or unfinished file.
        """
        profile, logic, calibration = read_profile(path)
        if not profile.complete:
            raise ProfileError(f"{path}: expected a finished profile, got one to resume; run profile again with it")
        _refuse_another_network(path, profile, NetworkFacts.of(network, network.taps))
        monitor = cls.__new__(cls)
        monitor._assemble(network, profile, logic, calibration)  # noqa: SLF001 (our own, made without __init__)
        return monitor

    def describe(self) -> dict[str, Any]:
        """What the monitor holds, in JSON types; see `describe_profile`."""
        return describe(self._profile, self.logic, self.calibration)

    def __repr__(self) -> str:
        state = "calibrated" if self.calibration else "profiled" if self._profile.complete else "unfit"
        criteria = ", ".join(dict.fromkeys(repr(column.criterion) for column in self._profile.columns))
        return f"Monitor[{state}]({criteria}; {self.logic!r}; {len(self.columns)} columns)"


def _columns(network: Network, criteria: Mapping[str, Criterion | Sequence[Criterion]]) -> tuple[Any, Any]:
    pairs: dict[Criterion, list[int]] = {}
    for selector, several in criteria.items():
        for criterion in [several] if isinstance(several, Criterion) else several:
            pairs.setdefault(criterion, []).extend(network.taps.select(selector))
    if not pairs:
        raise ValueError("expected at least one criterion, got none")
    used = sorted({place for places in pairs.values() for place in places})
    columns = tuple(
        Column(criterion, used.index(place), group)
        for group, (criterion, places) in enumerate(pairs.items())
        for place in dict.fromkeys(places)
    )
    return columns, tuple(network.taps[place] for place in used)


def _refuse_another_network(path: str | os.PathLike, profile: Profile, network: NetworkFacts) -> None:
    differences = profile.network.differences(network)
    if differences:
        raise MismatchError(
            f"{path}: expected the network it was learned from, got another:\n  " + "\n  ".join(differences)
        )


def _after(batches: Batches, skip: int) -> Iterator[tuple[Any, np.ndarray | None]]:
    """Frames and labels of each batch, behind the first `skip` frames."""
    for batch in batches:
        frames, labels = batch if isinstance(batch, (tuple, list)) and len(batch) == 2 else (batch, None)
        labels = None if labels is None else np.asarray(_array(labels))
        if labels is not None and labels.shape != (len(frames),):
            raise ValueError(f"expected a label per frame, shape ({len(frames)},), got {labels.shape}")
        passed = min(skip, len(frames))
        skip -= passed
        if passed < len(frames):
            yield frames[passed:], None if labels is None else labels[passed:]


def _array(batch: Any) -> np.ndarray:
    """The batch as numpy: an array, or a torch tensor on any device."""
    return batch.detach().cpu().numpy() if hasattr(batch, "detach") else np.asarray(batch)


def _finite_rows(array: np.ndarray) -> np.ndarray:
    """(n,) bool: whether the row holds neither NaN nor Inf."""
    flat = array.reshape(len(array), -1)
    if flat.dtype == np.float32 and first_non_finite_row(np.ascontiguousarray(flat)) < 0:
        return np.ones(len(flat), bool)
    return np.isfinite(flat).all(axis=1)


def _without_batch(output: Any) -> Any:
    if isinstance(output, Mapping):
        return {name: _without_batch(value) for name, value in output.items()}
    if isinstance(output, (tuple, list)):
        items = [_without_batch(value) for value in output]
        return type(output)(*items) if hasattr(output, "_fields") else type(output)(items)
    return output[0] if getattr(output, "ndim", 0) and len(output) == 1 else output


def _warn(message: str) -> None:
    warnings.warn(message, OutriderWarning, stacklevel=3)
