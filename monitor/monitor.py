"""The monitor: profile, calibrate, check, save, load."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..networks import Network
from ..networks.adapting import as_network, is_network
from ..networks.renamed import warn_of_name
from .calibrating import HeldOut, calibrate, check_rates
from .calibration import Calibration
from .criteria import Criteria, columns_of, fit_to_scores, taps_for
from .data.arrays import refuse_no_frame, rows_of, taken
from .data.batches import Batches, batches_of, behind, peeked
from .data.spool import FrameSpool
from .describe import describe
from .errors import CalibrationError, MismatchError, NotReadyError, ProfileError
from .files import read_contents, read_profile, unpacked_profile, write_profile
from .judge import FrameJudge, Judge
from .learning import Learner, complete, fresh_profile, sure_of
from .logic import Logic, SmallestP, Sum, make_logic
from .profile import NetworkFacts, Profile
from .verdict import Verdict, Verdicts

if TYPE_CHECKING:
    from typing_extensions import Self

Progress = Callable[[int], None]

_CHECKPOINT_SECONDS = 30.0
_PROBED_AT_ONCE = 32


class Monitor:
    """Learns what trusted data covers of a network, sets a threshold, and gives a verdict with every output.

    network: what is watched: a `Network`, the path of an ONNX model, or a PyTorch module. criteria: one criterion, its
    name, or a list of them for all taps, or {tap selector: one or several}; by default `default_criteria`. Of a path or
    a module the selectors are tapped; of a `Network` they choose among its taps. logic: how the columns (a criterion on
    a tap each) become one score, or its name; by default `Sum` for a single column and `SmallestP` otherwise.

    On a tap with neurons ``pixel`` the places of a frame are samples of one signature, and where a frame has several
    rows (`Tap.rows`) all of these. They are of the class of the frame or, for places of the picture in a network with a
    map of class scores, each of the class that the network sees there. The deviation of a frame is that of its most
    deviating sample: a high quantile would overlook what is smaller than its share of the picture, and what a maximum
    lets through by chance is what calibration counts. A frame without any row at a tap was not judged there and alarms.
    `deviation_maps` shows the samples.
    Calls of one monitor wait for each other. Raises ValueError for a selector that matches no tap.
    """

    def __init__(self, network: Any, criteria: Criteria | None = None, *, logic: Logic | str | None = None) -> None:
        if logic is not None and not isinstance(logic, (str, Logic)):
            raise TypeError(f"expected a logic or its name, got {logic!r}")
        taps = taps_for(criteria)
        self.network = network if is_network(network) else as_network(network, taps=taps)
        self._wanted = criteria, make_logic(logic) if isinstance(logic, str) else logic
        self._lock = threading.RLock()
        self._learned: Profile | None = None
        self.calibration: Calibration | None = None
        if self.network.shaped:
            try:
                self._begin()
            except BaseException:
                if self.network is not network:
                    self.network.close()
                raise

    profile_sha256 = ""
    """The SHA-256 of the file that it was loaded from; empty for one that was made or calibrated here."""
    profile_digest: str | None = None
    """The digest that this file says and has; None for one of an older Outrider, or made or calibrated here."""

    @classmethod
    def of(cls, network: Network, profile: Profile, logic: Logic, calibration: Calibration | None) -> Self:
        """The monitor of parts that belong together, as from a file."""
        monitor = cls.__new__(cls)
        monitor._lock = threading.RLock()  # noqa: SLF001 (our own, made without __init__)
        monitor._assemble(network, profile, logic, calibration)  # noqa: SLF001
        return monitor

    def _begin(self) -> None:
        """Choose the columns, once the taps are known."""
        criteria, logic = self._wanted
        columns, taps = columns_of(self.network, criteria)
        profile = fresh_profile(NetworkFacts.of(self.network, taps), columns, 0.0, 0)
        self._assemble(self.network, profile, logic or (SmallestP() if len(columns) > 1 else Sum()), None)

    def _assemble(self, network: Network, profile: Profile, logic: Logic, calibration: Calibration | None) -> None:
        self.network, self.logic, self.calibration = network, logic, calibration
        self._learned = profile
        self._judge: Judge | None = None
        self._frame_judge: FrameJudge | None = None
        self._checkpoint: Path | None = None

    @property
    def _profile(self) -> Profile:
        if self._learned is None:
            raise NotReadyError("expected a monitor that knows the shape of its input, got none; call profile()")
        return self._learned

    @property
    def learned(self) -> Profile:
        """The profile: signatures, taps and the facts of the trusted set. Raises NotReadyError before there is one."""
        if self._learned is None or not self._learned.complete:
            raise NotReadyError("expected a profiled monitor, got one that has seen no trusted data; call profile()")
        return self._learned

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

        batches: arrays or tensors (n, *input_shape), or pairs of such an array and labels (n,), from any iterable, a
        ``DataLoader`` or a generator; or one whole array. Of a network with several inputs a batch is a tuple in their
        order or a mapping by their names; `batches_of` says where labels stand. With labels, a frame is trusted
        when the network is right with a softmax of at least `trusted_confidence`; without, every frame is, under
        the class the network predicts. For a network with a map of class scores, labels are (n, height, width) and
        places are trusted by them, not frames. Classes with fewer than `minimum_per_class` trusted frames are named in
        a warning, and inputs predicted as one of them, at any place, always alarm. Frames with NaN or Inf are left
        out and counted.
        progress: called with the number of frames seen, after each batch. checkpoint: a path that keeps what was
        learned, every 30 seconds and when `progress` raises, until `save`; called again with the same batches,
        `profile` goes on behind the frames it holds.

        A recurrent network is reset once, at the beginning: frames come in their order, and a generator calls
        ``network.reset()`` between two drives. No sample of its trusted frames is kept, as they tell nothing out of
        their order; `calibrate` then cannot test whether profiled and held-out frames are told apart.
        Raises ProfileError when no frame is trusted, and when some batches have labels and others have none.
        """
        self.network.reset()
        found = peeked(batches_of(batches, self.network))
        if found is None:
            raise ProfileError("expected trusted batches, got none; a generator is used up after one pass")
        if self._learned is None and self.network.shaped:
            self._begin()
        path = None if checkpoint is None else Path(checkpoint)
        profile = self._start(trusted_confidence, minimum_per_class, path)
        learner, trusted = Learner(self.network, profile), profile.trusted
        saved = time.monotonic()
        recurrent = self.network.memory is not None
        for frames, labels in behind(found, trusted.frames, self.network.run if recurrent else None):
            learner.learn(frames, labels)
            try:
                if progress:
                    progress(trusted.frames)
            except BaseException:
                if path:
                    write_profile(path, profile, self.logic)
                raise
            if path and time.monotonic() - saved > _CHECKPOINT_SECONDS:
                write_profile(path, profile, self.logic)
                saved = time.monotonic()
        complete(profile)
        self._assemble(self.network, profile, self.logic, None)
        if profile.spool.frames is not None:
            probes = [self.deviations(frames) for frames in profile.spool.batches(_PROBED_AT_ONCE)]
            trusted.probe = np.concatenate(probes)
        profile.spool = FrameSpool(seen=profile.spool.seen)
        self._checkpoint = path
        return profile

    def _start(self, confidence: float, minimum: int, path: Path | None) -> Profile:
        fresh = replace(self._profile, facts=NetworkFacts.of(self.network, self._profile.facts.taps))
        if path is None or not path.exists():
            return fresh_profile(fresh.facts, fresh.columns, confidence, minimum)
        profile, _, _ = read_profile(path)
        profile.facts.refuse_another(path, fresh.facts)
        asked, found = ((one.columns, one.facts.taps, one.facts.preprocessing) for one in (fresh, profile))
        if asked != found:
            raise ProfileError(
                f"{path}: expected the criteria and preprocessing of this monitor, got others; remove it to start anew"
            )
        before = profile.trusted.confidence, profile.trusted.minimum_per_class
        if before != (confidence, minimum):
            raise ProfileError(
                f"{path}: expected the trusted confidence and minimum per class it began with, {before},"
                f" got {(confidence, minimum)}; remove it to start anew"
            )
        return profile

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

        batches: as for `profile`; labels are not used, and a recurrent network is reset once. Where the logic learns
        scales, every other frame goes to them and the rest to the threshold (split conformal). per_class: a threshold
        of its own for each class with enough frames. Frames predicted as a class without enough trusted frames alarm
        whatever the threshold: they do not move it and are counted in the rate seen. warning_rate: a second, higher
        rate whose threshold gives WARN.
        Raises CalibrationError naming the number of frames needed, NotReadyError before `profile`. Warns when
        profiled and held-out frames are told apart (AUROC above 0.6).
        """
        profile = self.learned
        check_rates(false_alarm_rate, warning_rate)
        held_out = self._held_out(batches, progress)
        warning = None if warning_rate is None else float(warning_rate)  # numpy's numbers are none of JSON's
        options = {"per_class": per_class, "warning_rate": warning}
        self.calibration = calibrate(profile, self.logic, held_out, float(false_alarm_rate), **options)  # type: ignore[arg-type]
        self.profile_sha256, self.profile_digest = "", None
        return self.calibration

    def _held_out(self, batches: Batches, progress: Progress | None) -> HeldOut:
        trusted, parts, done = self.learned.trusted, [], 0
        self.network.reset()
        for frames, _ in batches_of(batches, self.network):
            with self._judging(frames) as (judge, batch):
                logits = judge.observe(batch).logits
                sure = np.ones(judge.n, bool)
                if trusted.labelled and logits is not None:
                    sure = sure_of(logits, trusted.confidence, self.network.scores)
                covered = judge.uncovered < 0
                parts.append((judge.deviations.copy(), judge.predictions.copy(), sure, covered, judge.with_rows))
            done += judge.n
            if progress:
                progress(done)
        if not parts:
            raise CalibrationError("expected held-out frames, got none")
        return HeldOut(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    # Online: a verdict with every output.

    def check(self, batch: Any) -> tuple[Any, Verdicts]:
        """The network's own output for a batch (n, *input_shape), and the verdicts on it.

        Of a network with several inputs a batch is a tuple of such arrays in their order, or a mapping by their names.
        Raises NotReadyError before `calibrate`; whatever the network raises for a wrong shape or dtype.
        """
        self._calibrated()
        with self._judging(batch) as (judge, frames):
            return judge.verdicts(frames)

    def __call__(self, frame: Any) -> tuple[Any, Verdict]:
        """The output and verdict of one frame (*input_shape), both without the batch axis.

        Of a network with several inputs a frame is a tuple in their order, or a mapping by their names.
        """
        refuse_no_frame(frame, self.network.inputs)
        with self._lock:
            judge = self._frame_judge
            if judge is None or judge.bound_to != self._judges_by:
                judge = self._frame_judge = self.bind()
            return judge(taken(frame, self.network))

    def bind(self) -> FrameJudge:
        """A judge of single frames, `output, verdict = judge(frame)`, for one thread at a time.

        All that a frame needs is built now. The judge holds to the calibration of now. Raises NotReadyError before
        `calibrate`.
        """
        return FrameJudge(self.network, self.learned, self.logic, self._calibrated())

    def frame_plan(self) -> FrameJudge:
        """The old name of `bind`."""
        warn_of_name("Monitor.frame_plan", "bind", stacklevel=3)
        return self.bind()

    def deviations(self, batch: Any) -> np.ndarray:
        """η of a batch: (n, columns) float32, larger = less covered. Raises NotReadyError before `profile`."""
        self.learned  # noqa: B018
        with self._judging(batch) as (judge, frames):
            judge.observe(frames)
            return judge.deviations.copy()

    def deviation_maps(self, batch: Any) -> dict[str, np.ndarray]:
        """Where in each frame it deviates: {column: float32} for the columns on taps with several samples a frame.

        (n, height, width) for taps of pixels; a place belongs to the tapped map, which may be coarser than the input.
        Sequences have one row, volumes are (n, depth, height, width). Of k rows a frame it is (n, k, ...), (n, k) where
        each row is one sample; where rows vary, k is that of the frame with most, and NaN stands behind the last of the
        others. The largest value of a frame is its deviation in that column. Raises NotReadyError before `profile`,
        ValueError when every tap has one sample a frame.
        """
        taps = self.learned.facts.taps
        if not any(tap.neurons == "pixel" or tap.rows != 1 for tap in taps):
            raise ValueError("expected a tap with neurons 'pixel', got none; tap the network with neurons='pixel'")
        with self._judging(batch) as (judge, frames):
            judge.observe(frames)
            return judge.maps()

    def scores(self, batch: Any) -> np.ndarray:
        """The scores that `check` holds against the threshold: (n,) float64."""
        return self.check(batch)[1].score

    @property
    def _judges_by(self) -> tuple[Network, Logic, Calibration | None]:
        return self.network, self.logic, self.calibration

    @contextmanager
    def _judging(self, batch: Any) -> Iterator[tuple[Judge, Any]]:
        """A judge of as many frames, that of the last batch where it fits, and the batch as the network takes it.

        The judge holds no batch when it is given back.
        """
        batch = taken(batch, self.network)
        n = rows_of(batch, self.network.inputs)
        with self._lock:
            judge = self._judge
            if judge is None or judge.n != n or judge.bound_to != self._judges_by:
                judge = self._judge = Judge(self.network, self.learned, n, self.logic, self.calibration)
            try:
                yield judge, batch
            finally:
                judge.seen = None

    def __getstate__(self) -> dict[str, Any]:
        """For copies: all but the lock and what is bound to this monitor's own arrays."""
        return self.__dict__ | {"_lock": None, "_judge": None, "_frame_judge": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.RLock()

    def _calibrated(self) -> Calibration:
        self.learned  # noqa: B018
        if self.calibration is None:
            raise NotReadyError("expected a calibrated monitor, got one without a threshold; call calibrate()")
        return self.calibration

    # Files.

    def save(self, path: str | os.PathLike) -> None:
        """Write profile and calibration as one file. Raises ProfileError, NotReadyError; see `write_profile`."""
        write_profile(path, self.learned, self.logic, self.calibration)
        if self._checkpoint:
            self._checkpoint.unlink(missing_ok=True)
            self._checkpoint = None

    @classmethod
    def load(cls, path: str | os.PathLike, network: Any, *, key: str | os.PathLike | None = None) -> Self:
        """The monitor from a file, for the network it was learned from: a `Network`, an ONNX path, a PyTorch module.

        The network's preprocessing is that of the profile from now on; an OutriderWarning says where it had another.
        key: the file of a public key; the profile must be signed by its owner then, see `sign_file`. Without one no
        signature is looked at. Warns of a file of an older Outrider, which has no digest to check.
        Raises MismatchError naming what differs for another network, ProfileError for a damaged or unfinished file,
        SignatureError for one that the key did not sign.
        """
        contents = read_contents(path, key=key)
        profile, logic, calibration = unpacked_profile(contents, path)
        if not profile.complete:
            raise ProfileError(f"{path}: expected a finished profile, got one to resume; run profile again with it")
        try:
            opened = network if is_network(network) else as_network(network, **profile.facts.options())
        except (TypeError, ValueError) as error:
            engine = f", of engine {profile.facts.engine}; `transfer` moves it to another form of the network"
            raise MismatchError(
                f"{path}: expected the network it was learned from, got another: {error}{engine}"
            ) from error
        try:
            profile.facts.refuse_another(path, NetworkFacts.of(opened, opened.taps))
        except MismatchError:
            if opened is not network:
                opened.close()
            raise
        profile.facts.prepare(opened)
        monitor = cls.of(opened, fit_to_scores(profile, opened.scores), logic, calibration)
        monitor.profile_sha256, monitor.profile_digest = contents.sha256, contents.digest
        return monitor

    def describe(self) -> dict[str, Any]:
        """What the monitor holds, in JSON types; see `describe_profile`."""
        return describe(self._profile, self.logic, self.calibration)

    def __repr__(self) -> str:
        if self._learned is None:
            return f"Monitor[unfit]({self.network!r})"
        state = "calibrated" if self.calibration else "profiled" if self._learned.complete else "unfit"
        criteria = ", ".join(dict.fromkeys(repr(column.criterion) for column in self._learned.columns))
        return f"Monitor[{state}]({criteria}; {self.logic!r}; {len(self.columns)} columns)"
