"""The monitor: profile, calibrate, check, save, load."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..coverage import Criterion
from ..networks import Network, Observation, probabilities
from .arrays import all_finite, as_array, finite_rows, without_batch
from .calibration import (
    LEAK,
    LEAST_FOR_LEAK,
    Calibration,
    auroc,
    check_rate,
    clopper_pearson,
    needed_samples,
    thresholds_by_class,
)
from .comparison import Comparison
from .defaults import default_criteria
from .describe import describe
from .errors import CalibrationError, MismatchError, NotReadyError, OutriderWarning, ProfileError
from .files import file_sha256, read_profile, write_profile
from .frame_plan import FramePlan
from .logic import Logic, SmallestP, Sum
from .places import Places, Shape, place_shape
from .profile import Column, FrameSpool, NetworkFacts, Profile, TrustedSet, gives_codes
from .verdict import BROKEN_INPUT, Columns, Status, Verdict, Verdicts, hold

Batches = Iterable[Any]
Progress = Callable[[int], None]
Criteria = Criterion | Mapping[str, Criterion | Sequence[Criterion]]

_CHECKPOINT_SECONDS = 30.0


class Monitor:
    """Learns what trusted data covers of a network, sets a threshold, and gives a verdict with every output.

    network: what is watched. criteria: one criterion for all its taps, or {tap selector: criterion or several};
    by default `default_criteria`. logic: how the columns (a criterion on a tap each) become one score; by default
    `Sum` for a single column and `SmallestP` otherwise.

    On a tap with neurons ``pixel`` the places of a frame are samples of one signature. They are of the class of the
    frame or, for a network with a map of class scores, each of the class that the network sees there. The deviation of
    a frame is that of its most deviating place: a high quantile would overlook what is smaller than its share of the
    picture, and what a maximum lets through by chance is what calibration counts. `deviation_maps` shows the places.
    Raises ValueError for a selector that matches no tap.
    """

    def __init__(self, network: Network, criteria: Criteria | None = None, *, logic: Logic | None = None):
        chosen = default_criteria(network.taps, network.classes) if criteria is None else criteria
        columns, taps = _columns(network, {"*": chosen} if isinstance(chosen, Criterion) else chosen)
        profile = _fresh(NetworkFacts.of(network, taps), columns, 0.0, 0)
        self._assemble(network, profile, logic or (SmallestP() if len(columns) > 1 else Sum()), None)

    profile_sha256 = ""
    """Of the file that it was loaded from; empty for one that was made or calibrated here."""

    def _assemble(self, network: Network, profile: Profile, logic: Logic, calibration: Calibration | None) -> None:
        self.network = network
        self.logic = logic
        self._profile = profile
        self.calibration = calibration
        place = {tap.id: i for i, tap in enumerate(network.taps)}
        self._taps = tuple(place[profile.facts.taps[column.tap].id] for column in profile.columns)
        self._shapes = tuple(place_shape(profile.facts.taps[column.tap]) for column in profile.columns)
        self._groups = np.array([column.group for column in profile.columns])
        self._covered = profile.trusted.covered
        self._covered_of_map = profile.trusted.covered_of_map
        self._names = profile.names
        self._speaking: Columns | None = None
        self._comparison = Comparison(profile, self._taps)
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
        return self._names

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
        the class the network predicts. For a network with a map of class scores, labels are (n, height, width) and
        places are trusted by them, not frames. Classes with fewer than `minimum_per_class` trusted frames are named in
        a warning, and inputs predicted as one of them, at any place, always alarm. Frames with NaN or Inf are left
        out and counted.
        progress: called with the number of frames seen, after each batch. checkpoint: a path that keeps what was
        learned, every 30 seconds and when `progress` raises, until `save`; called again with the same batches,
        `profile` goes on behind the frames it holds.
        Raises ProfileError when no frame is trusted, and when some batches have labels and others have none.
        """
        path = None if checkpoint is None else Path(checkpoint)
        profile = self._start(trusted_confidence, minimum_per_class, path)
        saved = time.monotonic()
        for frames, labels in _after(batches, profile.trusted.frames, profile.facts):
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
            _refuse_another_network(path, profile, fresh.facts)
            if (profile.columns, profile.facts.taps) != (fresh.columns, fresh.facts.taps):
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
        return _fresh(fresh.facts, fresh.columns, confidence, minimum)

    def _learn(self, profile: Profile, frames: Any, labels: np.ndarray | None) -> None:
        trusted = profile.trusted
        _refuse_mixed_labels(trusted, profile.facts, labels)
        seen = self.network.observe(frames)
        array = as_array(frames)
        predictions = self._predictions(seen, len(array))
        finite = finite_rows(array, len(array))
        for values in (*seen.activations, seen.logits, seen.score_map):
            if values is not None:
                finite &= finite_rows(values, len(array))
        places = Places(predictions, seen.score_map if trusted.per_map_class is not None else None)
        chosen = finite.copy()
        if labels is not None and seen.logits is not None and places.of_frames:
            chosen &= predictions == labels
            with np.errstate(invalid="ignore"):
                chosen &= probabilities(seen.logits).max(axis=1) >= trusted.confidence
        chosen_places: dict[Shape | None, np.ndarray] = {
            shape: places.trusted(shape, chosen, labels, trusted.confidence) for shape in self._shapes if shape
        }
        if trusted.per_map_class is not None:
            present = np.zeros((len(array), len(trusted.per_map_class)), bool)
            for shape, rows in chosen_places.items():
                present[places.frames(shape)[rows], places.classes(shape)[rows]] = True
            trusted.per_map_class += present.sum(axis=0)
            chosen &= present.any(axis=1)
        chosen_places[None] = chosen
        for i, (column, signature) in enumerate(zip(profile.columns, profile.signatures, strict=True)):
            values, shape = seen.activations[self._taps[i]], self._shapes[i]
            rows, classes = chosen_places[shape], places.classes(shape)
            if not rows.all():
                values, classes = values[rows], classes[rows]
            column.criterion.observe(signature, values, classes)
        profile.spool.add(array[chosen])
        trusted.per_class += np.bincount(predictions[chosen], minlength=len(trusted.per_class))
        trusted.non_finite += int((~finite).sum())
        trusted.frames += len(array)

    def _finish(self, profile: Profile) -> None:
        trusted = profile.trusted
        if not trusted.accepted:
            rule = f"right with softmax >= {trusted.confidence:g}" if trusted.labelled else "finite"
            raise ProfileError(
                f"expected trusted frames, got none: 0 of {trusted.frames} were {rule};"
                " look at the preprocessing and at the order of the classes"
            )
        if trusted.non_finite:
            _warn(f"{trusted.non_finite} of {trusted.frames} frames hold or cause NaN or Inf and were left out")
        if trusted.labelled and 3 * trusted.accepted < trusted.frames:
            _warn(
                f"only {trusted.accepted:,} of {trusted.frames:,} frames are trusted: right with softmax >="
                f" {trusted.confidence:g}; if the network is usually right, look at the preprocessing and at the order"
                " of the classes"
            )
        of_map = () if trusted.per_map_class is None else (trusted.per_map_class,)
        for per_class in (trusted.per_class, *of_map):
            thin = np.flatnonzero(per_class < trusted.minimum_per_class)
            if len(thin):
                counts = ", ".join(f"class {c}: {per_class[c]}" for c in thin[:10])
                _warn(
                    f"{len(thin)} of {len(per_class)} classes have fewer than {trusted.minimum_per_class} trusted"
                    f" frames ({counts}{', …' if len(thin) > 10 else ''}); inputs predicted as one of them will alarm"
                )
        profile.complete = True
        for column, signature in zip(profile.columns, profile.signatures, strict=True):
            column.criterion.prepare(signature, codes=gives_codes(profile.facts.taps[column.tap]))
        self._assemble(self.network, profile, self.logic, None)
        probes = [self._judge(frames).deviations for frames in profile.spool.batches(32)]
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
        deviations, predictions, sure, covered = self._collect(batches, progress)
        finite = np.isfinite(deviations).all(axis=1)
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
        if trusted.probe is not None:
            probes = self.logic.score(scales, trusted.probe, self._groups)
            alike = scores[sure[~learning]]
            if min(len(probes), len(alike)) >= LEAST_FOR_LEAK:
                leak = auroc(probes, alike)
            if leak is not None and leak > LEAK:
                fewer = ""
                if any(tap.neurons == "unit" and len(tap.shape) > 1 for tap in self._profile.facts.taps):
                    fewer = ', or leave out the units: taps="auto", neurons="channel" (in a shell --taps auto)'
                _warn(
                    f"the profile tells its own data from held-out data: AUROC {leak:.3f}, expected at most {LEAK};"
                    f" profile more samples{fewer}"
                )
        self.profile_sha256 = ""
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

    def _collect(self, batches: Batches, progress: Progress | None) -> tuple[np.ndarray, ...]:
        """(n, columns) deviations, (n,) predictions, whether the network was as sure as trusted frames are, covered."""
        parts, done = [], 0
        for frames, _ in _after(batches, 0):
            judged = self._judge(frames)
            logits, n = judged.seen.logits, len(judged.predictions)
            sure = np.ones(n, bool)
            if self._profile.trusted.labelled and logits is not None:
                with np.errstate(invalid="ignore"):
                    sure = probabilities(logits).max(axis=1) >= self._profile.trusted.confidence
            covered = np.ones(n, bool) if judged.uncovered is None else judged.uncovered < 0
            parts.append((judged.deviations, judged.predictions, sure, covered))
            done += n
            if progress:
                progress(done)
        if not parts:
            raise CalibrationError("expected held-out frames, got none")
        return tuple(np.concatenate(part) for part in zip(*parts, strict=True))

    # Online: a verdict with every output.

    def check(self, batch: Any) -> tuple[Any, Verdicts]:
        """The network's own output for a batch (n, *input_shape), and the verdicts on it.

        Raises NotReadyError before `calibrate`; whatever the network raises for a wrong shape or dtype.
        """
        calibration = self._calibrated()
        seen, predictions, deviations, uncovered, broken = self._judge(batch)
        score = self.logic.score(calibration.scales, deviations, self._groups)
        reasons: dict[int, str] = {}
        if not np.isfinite(score).all():
            for i in np.flatnonzero(~np.isfinite(score)):
                why = self._profile.why_infinite(-1 if uncovered is None else uncovered[i], deviations[i])
                reasons[int(i)] = why
        if broken is not None:
            score[broken] = np.inf
        status, threshold, confidence = hold(score, predictions, calibration)
        if broken is not None:
            status[broken] = Status.FAULT
            reasons |= dict.fromkeys(map(int, np.flatnonzero(broken)), BROKEN_INPUT)
        if self._speaking is None or self._speaking.limits is not calibration.limits:
            self._speaking = Columns(self._names, calibration.limits)
        if self.network.classes is None:
            predictions = np.full(len(predictions), -1)
        return seen.output, Verdicts(
            status, score, threshold, confidence, predictions, deviations, self._speaking, reasons
        )

    def __call__(self, frame: Any) -> tuple[Any, Verdict]:
        """The output and verdict of one frame (*input_shape), both without the batch axis."""
        sizes = getattr(frame, "shape", None)
        if sizes is None or len(sizes) != len(self.network.input_shape):
            got = type(frame).__name__ if sizes is None else f"shape {tuple(sizes)}"
            raise ValueError(
                f"expected one frame of shape {self.network.input_shape}, got {got}; a batch is for check()"
            )
        output, verdicts = self.check(frame[None])
        return without_batch(output), verdicts[0]

    def frame_plan(self) -> FramePlan:
        """The same for one frame after the other, with all that a frame needs built now: see `FramePlan`."""
        return FramePlan(self.network, self.learned, self._comparison, self.logic, self._calibrated())

    def deviations(self, batch: Any) -> np.ndarray:
        """η of a batch: (n, columns) float32, larger = less covered. Raises NotReadyError before `profile`."""
        self.learned  # noqa: B018
        return self._judge(batch).deviations

    def deviation_maps(self, batch: Any) -> dict[str, np.ndarray]:
        """Where in each frame it deviates: {column: (n, rows, columns) float32} for the columns on taps of pixels.

        A place belongs to the tapped map, which may be coarser than the input; sequences have one row. The largest
        value of a frame is its deviation in that column. Raises NotReadyError before `profile`, ValueError when no
        column is on a tap with neurons ``pixel``.
        """
        self.learned  # noqa: B018
        if not any(self._shapes):
            raise ValueError("expected a tap with neurons 'pixel', got none; tap the network with neurons='pixel'")
        maps: dict[str, np.ndarray] = {}
        self._judge(batch, maps)
        return maps

    def scores(self, batch: Any) -> np.ndarray:
        """The scores that `check` holds against the threshold: (n,) float64."""
        return self.check(batch)[1].score

    def _calibrated(self) -> Calibration:
        self.learned  # noqa: B018
        if self.calibration is None:
            raise NotReadyError("expected a calibrated monitor, got one without a threshold; call calibrate()")
        return self.calibration

    def _judge(self, batch: Any, maps: dict[str, np.ndarray] | None = None) -> _Judged:
        """What is to be said of a batch before the logic; the deviations of single places go to `maps`."""
        seen = self.network.observe(batch)
        array = as_array(batch)
        n = len(array)
        predictions = self._predictions(seen, n)
        infinite, uncovered = np.zeros(n, bool), None
        if not self._covered[predictions].all():
            infinite |= ~self._covered[predictions]
            uncovered = np.where(infinite, predictions, -1)
        for scores in (seen.logits, seen.score_map):
            if scores is not None and not all_finite(scores):
                infinite |= ~finite_rows(scores, n)
        deviations = np.empty((n, len(self._taps)), np.float32)
        covered_of_map = self._covered_of_map
        places = Places(predictions, None if covered_of_map is None else seen.score_map)
        alone = self._comparison.compare(seen.activations, predictions, deviations)
        for i in alone:
            column, signature, shape = self._profile.columns[i], self._profile.signatures[i], self._shapes[i]
            classes = places.classes(shape)
            of_places = column.criterion.deviation(signature, seen.activations[self._taps[i]], classes)
            if shape is None:
                deviations[:, i] = of_places
                continue
            if covered_of_map is not None and not covered_of_map[classes].all():
                strange = ~covered_of_map[classes]
                of_places[strange] = np.inf
                uncovered = np.full(n, -1) if uncovered is None else uncovered
                uncovered[places.frames(shape)[strange]] = classes[strange]
            of_places = of_places.reshape(n, *shape)
            deviations[:, i] = of_places.max(axis=(1, 2))
            if maps is not None:
                of_places[infinite] = np.inf
                maps[self._names[i]] = of_places
        if infinite.any():
            deviations[infinite] = np.inf
        broken = None if all_finite(array) else ~finite_rows(array, n)
        return _Judged(seen, predictions, deviations, uncovered, broken)

    def _predictions(self, seen: Observation, n: int) -> np.ndarray:
        if seen.logits is None:
            return np.zeros(n, np.int64)
        return seen.logits.argmax(axis=1)

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
        monitor.profile_sha256 = file_sha256(path)
        return monitor

    def describe(self) -> dict[str, Any]:
        """What the monitor holds, in JSON types; see `describe_profile`."""
        return describe(self._profile, self.logic, self.calibration)

    def __repr__(self) -> str:
        state = "calibrated" if self.calibration else "profiled" if self._profile.complete else "unfit"
        criteria = ", ".join(dict.fromkeys(repr(column.criterion) for column in self._profile.columns))
        return f"Monitor[{state}]({criteria}; {self.logic!r}; {len(self.columns)} columns)"


class _Judged(NamedTuple):
    """What the network showed of a batch, and how far it deviates.

    predictions: (n,) int64, 0 without classes. deviations: (n, columns) float32. uncovered: (n,) the class of the
    frame, or of one of its places, that has too few trusted frames, -1 where there is none; None for a batch without.
    broken: (n,) bool, whether the input holds NaN or Inf; None for a batch without.
    """

    seen: Observation
    predictions: np.ndarray
    deviations: np.ndarray
    uncovered: np.ndarray | None
    broken: np.ndarray | None


def _fresh(network: NetworkFacts, columns: tuple[Column, ...], confidence: float, minimum: int) -> Profile:
    """A profile that has seen nothing."""
    signatures = tuple(
        column.criterion.empty(network.taps[column.tap].size, network.classes_of(column.tap)) for column in columns
    )
    trusted = TrustedSet(confidence, minimum, np.zeros(network.classes or 1, np.int64))
    if network.map_classes and any(network.taps[column.tap].neurons == "pixel" for column in columns):
        trusted.per_map_class = np.zeros(network.map_classes, np.int64)
    return Profile(network, columns, signatures, trusted)


def _refuse_mixed_labels(trusted: TrustedSet, network: NetworkFacts, labels: np.ndarray | None) -> None:
    """Note whether labels decide, which must be so for all batches of a profile or for none."""
    decide = labels is not None and (network.classes is not None or trusted.per_map_class is not None)
    if trusted.frames and decide != trusted.labelled:
        with_, without = ("with", "without") if trusted.labelled else ("without", "with")
        raise ProfileError(
            f"expected batches {with_} labels like the first {trusted.frames} frames, got one {without};"
            " which frames are trusted would not be one rule"
        )
    trusted.labelled = decide


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
    differences = profile.facts.differences(network)
    if differences:
        raise MismatchError(
            f"{path}: expected the network it was learned from, got another:\n  " + "\n  ".join(differences)
        )


def _after(batches: Batches, skip: int, network: NetworkFacts | None = None) -> Iterator[tuple[Any, np.ndarray | None]]:
    """Frames and labels of each batch, behind the first `skip` frames; labels are checked for a network."""
    for batch in batches:
        frames, labels = batch if isinstance(batch, (tuple, list)) and len(batch) == 2 else (batch, None)
        labels = None if labels is None else np.asarray(as_array(labels))
        if labels is not None and network is not None:
            _check_labels(labels, len(frames), network)
        passed = min(skip, len(frames))
        skip -= passed
        if passed < len(frames):
            yield frames[passed:], None if labels is None else labels[passed:]


def _check_labels(labels: np.ndarray, n: int, network: NetworkFacts) -> None:
    if network.map_classes:
        if labels.ndim != 3 or len(labels) != n:
            raise ValueError(f"expected labels of shape ({n}, height, width), got {labels.shape}")
    elif labels.shape != (n,):
        hint = "; labels of places need a network with classes='pixel'" if labels.ndim == 3 else ""
        raise ValueError(f"expected a label per frame, shape ({n},), got {labels.shape}{hint}")
    if labels.dtype.kind not in "iu":
        raise ValueError(f"expected labels as integers, the numbers of classes, got {labels.dtype}")
    if network.classes and labels.size and labels.max() >= network.classes:
        raise ValueError(f"expected labels below {network.classes}, the number of classes, got {labels.max()}")


def _warn(message: str) -> None:
    warnings.warn(message, OutriderWarning, stacklevel=3)
