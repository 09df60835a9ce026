"""The monitor: profile, calibrate, check, save, load."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..coverage import Criterion, parse_criterion
from ..networks import Network
from ..networks.adapting import as_network, is_network
from ..networks.pictures.facts import PictureFacts
from .attributes import close, strict
from .calibration import Calibration
from .criteria import Criteria, columns_of, fit_to_scores, taps_for
from .data.batches import Batch, Batches, batches_of, behind, kept, peeked
from .data.changes import Change, with_change
from .data.digests import MOST as MOST_DIGESTS
from .describe import describe
from .errors import ProfileError, warn
from .facts.network import NetworkFacts
from .facts.opening import opened_for
from .files import read_contents, read_profile, unpacked_profile, write_profile
from .judge import FrameJudge, Judge
from .judging.grid import place_columns
from .learning import Learner, complete, fresh_profile, names_of_classes, to_extend
from .logic import HarmonicP, Logic, Sum, make_logic
from .places import LargestArea
from .profile import Profile
from .shards.finishing import finish, probe
from .shards.frames import frames_of
from .shards.merging import Merger
from .shards.part import Part
from .shards.profiling import as_shard, learned_part
from .shards.reading import merged
from .thresholds.calibrated import Calibrated, Progress

if TYPE_CHECKING:
    from typing_extensions import Self


_CHECKPOINT_SECONDS = 30.0


@strict
class Monitor(Calibrated):
    """Learns what trusted data covers of a network, sets a threshold, and gives a verdict with every output.

    network: what is watched: a `Network`, the path of an ONNX model, or a PyTorch module. criteria: one criterion, its
    name, or a list of them for all taps, or {tap selector: one or several}; by default `default_criteria`. Of a path or
    a module the selectors are tapped; of a `Network` they choose among its taps. logic: how the columns (a criterion on
    a tap each) become one score, or its name; by default `LargestArea` where all columns are of places of a map,
    otherwise `Sum` for a single column and `HarmonicP` for several.

    On a tap of places (``pixel``, ``pixelK``) these are samples of one signature, and where a frame has several
    rows (`Tap.rows`) all of these. They are of the class of the frame or, for places of the picture in a network with a
    map of class scores, each of the class that the network sees there. The deviation of a frame is that of its most
    deviating sample: a high quantile would overlook what is smaller than its share of the picture, and what a maximum
    lets through by chance is what calibration counts. A frame without any row at a tap was not judged there and alarms.
    `deviation_maps` shows the samples.

    A network with `detections` has a verdict on each of them too: of the features under its box, means of the places
    at each tap of places, against those of its class. boxes: the criterion of these, by default `Mahalanobis`.
    Calls of one monitor wait for each other. Raises ValueError for a selector that matches no tap.
    """

    _checkpoint: Path | None

    def __init__(
        self, network: Any, criteria: Criteria | None = None, *, logic: Logic | str | None = None,
        boxes: Criterion | str | None = None,
    ) -> None:  # fmt: skip
        if logic is not None and not isinstance(logic, (str, Logic)):
            raise TypeError(f"expected a logic or its name, got {logic!r}")
        taps = taps_for(criteria)
        self.network = network if is_network(network) else as_network(network, taps=taps)
        self._wanted = criteria, make_logic(logic) if isinstance(logic, str) else logic
        self._box_criterion = parse_criterion(boxes) if isinstance(boxes, str) else boxes
        self._make_lock()
        self._learned: Profile | None = None
        self.calibration: Calibration | None = None
        if self.network.shaped:
            try:
                self._begin()
            except BaseException:
                if self.network is not network:
                    self.network.close()
                raise

    _box_criterion: Criterion | None = None
    profile_sha256 = ""
    """The SHA-256 of the file that it was loaded from; empty for one that was made or calibrated here."""
    profile_digest: str | None = None
    """The digest that this file says and has; None for one of an older Outrider, or made or calibrated here."""

    @classmethod
    def of(cls, network: Network, profile: Profile, logic: Logic, calibration: Calibration | None) -> Self:
        """The monitor of parts that belong together, as from a file."""
        monitor = cls.__new__(cls)
        monitor._make_lock()  # noqa: SLF001 (our own, made without __init__)
        monitor._assemble(network, profile, logic, calibration)  # noqa: SLF001
        close(monitor)
        return monitor

    def _begin(self) -> None:
        """Choose the columns, once the taps are known."""
        criteria, logic = self._wanted
        columns, taps = columns_of(self.network, criteria)
        profile = fresh_profile(NetworkFacts.of(self.network, taps), columns, 0.0, 0, self._box_criterion)
        if logic is None:
            several = HarmonicP() if len(columns) > 1 else Sum()
            logic = LargestArea() if len(place_columns(profile)) == len(columns) else several
        elif logic.of_places and not place_columns(profile):
            raise ValueError(
                f"expected a tap with neurons 'pixel' for {logic!r}, got none; tap the network with neurons='pixel'"
            )
        self._assemble(self.network, profile, logic, None)

    def _assemble(self, network: Network, profile: Profile, logic: Logic, calibration: Calibration | None) -> None:
        self.network, self.logic, self.calibration = network, logic, calibration
        self._learned = profile
        self._judge: Judge | None = None
        self._frame_judge: FrameJudge | None = None
        self._checkpoint = None

    # Offline: learn, then set the threshold.

    def profile(
        self,
        batches: Batches,
        *,
        trusted_confidence: float = 0.9,
        minimum_per_class: int = 5,
        class_names: Sequence[str] = (),
        progress: Progress | None = None,
        checkpoint: str | os.PathLike | None = None,
    ) -> Profile:
        """Learn from trusted data in one pass and bounded memory.

        batches: arrays or tensors (n, *input_shape), or pairs of such an array and labels (n,), from any iterable, a
        ``DataLoader`` or a generator; or one whole array. Of a network with several inputs a batch is a tuple in their
        order or a mapping by their names; `batches_of` says where labels stand. With labels, a frame is trusted
        when the network is right with a softmax of at least `trusted_confidence`; without, every frame is, under
        the class the network predicts. For a network with a map of class scores, labels are (n, height, width) and
        places are trusted by them, not frames. For a detector they are a list with the true boxes of each frame, such
        as {"boxes": (k, 4), "labels": (k,)}: a detection is trusted where it has an intersection over union of at least
        0.5 with one of its class; without, every detection is. Classes with fewer than `minimum_per_class` trusted
        frames are named in a warning, and inputs predicted as one of them, at any place, always alarm. So do detections
        of a class with fewer trusted ones. Frames with NaN or Inf are left out and counted. class_names: of all classes
        in the order of the network's outputs, so that messages and
        `inspect` name them.
        progress: called with the number of frames seen, after each batch. checkpoint: a path that keeps what was
        learned, every 30 seconds and when `progress` or `batches` raise, until `save`; called again with the same
        batches, `profile` goes on behind the frames it holds.

        A recurrent network is reset once, at the beginning: frames come in their order, and a generator calls
        ``network.reset()`` between two drives. No sample of its trusted frames is kept, as they tell nothing out of
        their order; `calibrate` then cannot test whether profiled and held-out frames are told apart.
        Raises ProfileError when no frame is trusted, and when some batches have labels and others have none.
        """
        found = self._first_read(batches)
        if self._learned is None and self.network.shaped:
            self._begin()
        path = None if checkpoint is None else Path(checkpoint)
        profile = self._start(trusted_confidence, minimum_per_class, path)
        profile.class_names = names_of_classes(class_names, profile.facts)
        self._warn_of_what_goes()
        return self._learn(profile, found, progress, path)

    def extend(self, batches: Batches, *, progress: Progress | None = None) -> Profile:
        """Learn more into a profile that is there: the same criteria, the same rule of what is trusted.

        batches: as for `profile`, with labels if the first ones had any. Every criterion remembers what it would of one
        pass over all frames; grids of sections widen for values beyond them. The sample of frames by which `calibrate`
        tests whether the profile knows its own data is one of the new frames. The calibration is dropped, with a
        warning, as it is of another profile; its thresholds stay in `learned.history`. Where anything raises, the
        monitor is as it was.
        Raises NotReadyError before `profile`, otherwise what `profile` raises. Warns of frames that it had learned
        before.
        """
        old = self.learned
        found = self._first_read(batches)
        profile = to_extend(old)
        before, known = old.trusted.accepted, len(old.digests.values)
        calibrated = self.calibration
        learned = self._learn(profile, found, progress, None, "extended", calibrated)
        again = learned.trusted.accepted - before - (len(learned.digests.values) - known)
        if known and again and len(learned.digests.values) < MOST_DIGESTS:
            warn(
                f"{again:,} of {learned.trusted.accepted - before:,} frames were learned from before, or came twice", 0
            )
        if calibrated is not None:
            warn("the threshold was set for the profile of before and is dropped; calibrate() sets another", 0)
        return learned

    def _first_read(self, batches: Batches) -> Iterator[Batch]:
        """The batches of trusted data, from a network that remembers nothing. Raises ProfileError for none."""
        self.network.reset()
        found = peeked(batches_of(batches, self.network))
        if found is None:
            raise ProfileError("expected trusted batches, got none; a generator is used up after one pass")
        return found

    def _warn_of_what_goes(self) -> None:
        """Warn where a profile is there already, which the next one replaces."""
        if self._learned is not None and self._learned.complete:
            threshold = "" if self.calibration is None else " and the threshold set for them"
            warn(
                f"profile() begins anew: what was learned of {self._learned.trusted.accepted:,} frames{threshold} is"
                " discarded; extend() learns more into it"
            )

    def _learn(
        self, profile: Profile, found: Iterator[Batch], progress: Progress | None, path: Path | None,
        what: str = "", before: Calibration | None = None,
    ) -> Profile:  # fmt: skip
        """Learn from batches behind the frames that a profile has seen, and hold to it."""
        learner, trusted = Learner(self.network, profile), profile.trusted
        saved = time.monotonic()
        recurrent = self.network.memory is not None
        skip = 0 if what else trusted.frames
        left = behind(found, skip, self.network.run if recurrent else None)
        for frames, labels in left if path is None else kept(left, partial(write_profile, path, profile, self.logic)):
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
        complete(profile, learner.confusion)
        probe(self.network, profile, self.logic)
        if what:
            change = Change.made(what, None if before is None else before.thresholds, None)
            profile.history = with_change(profile.history, change)
        with self._lock:  # all at once, and last
            self._assemble(self.network, profile, self.logic, None)
            self._checkpoint = path
            self.profile_sha256, self.profile_digest = "", None
        return profile

    def profile_part(
        self,
        data: Any,
        shard: str | tuple[int, int],
        *,
        batch_size: int = 64,
        trusted_confidence: float = 0.9,
        minimum_per_class: int = 5,
        class_names: Sequence[str] = (),
        listing: str = "",
        pictures: PictureFacts | None = None,
        progress: Progress | None = None,
        checkpoint: str | os.PathLike | None = None,
    ) -> Part:
        """What one of many workers learns of its shard of the trusted data; `merge` makes a profile of all parts.

        data: all frames, in an order that is the same for every worker, of which this one reads its own: a whole array,
        a pair of an array and labels, a dataset with a length and numbers as keys, or `Frames`. shard: ``"3/64"`` or
        (3, 64), the worker and how many there are, counted from 0. batch_size: the same for all.
        The profile that `merge` makes has the same bits however many workers there are, where these run on processors
        of one kind. Which frames belong together follows from their number alone, see `Sharding`.
        listing: a digest of the names of all frames, which must be the same in all parts. pictures: takes in what
        pictures are like as the data are read. checkpoint: a path that keeps what was learned, as of `profile`; whoever
        saves the part deletes it. All else is as of `profile`. The monitor stays as it is.
        Raises ValueError for a shard out of range, TypeError for data that cannot be read from any row on, such as a
        generator, ProfileError for a recurrent network, and what `profile` raises.
        """
        frames, names = frames_of(data), class_names

        def fresh() -> tuple[Profile, Logic]:
            if self._learned is None:
                self._begin()
            profile = self._start(trusted_confidence, minimum_per_class, None)
            profile.class_names = names_of_classes(names, profile.facts)
            return profile, self.logic

        path = None if checkpoint is None else Path(checkpoint)
        with self._lock:
            return learned_part(
                self.network, frames, as_shard(shard), batch_size, fresh, listing=listing, pictures=pictures,
                progress=progress, checkpoint=path,
            )  # fmt: skip

    @classmethod
    def merge(cls, parts: Iterable[Any] | Merger, network: Any, *, allow_missing: bool = False) -> Self:
        """The monitor of what many workers learned, or of the finished profiles of several fleets.

        parts: of `profile_part`, as files, in memory or as their bytes, in any order; a `Merger` that took them in; or
        the files of finished profiles of different frames, whose thresholds are dropped. network: as for `load`.
        allow_missing: whether some parts are enough; a warning and the history of the profile say what is missing.
        Raises MismatchError naming what differs for parts of different networks, taps, criteria, preprocessing or rules
        of trust. Raises ProfileError for frames that are in two parts, and, naming all of them, for shards that are
        missing, not finished or in a file that is broken; the files stay as they are. Raises what `profile` raises at
        its end.
        """
        found = merged(parts, allow_missing=allow_missing)
        opened = opened_for("parts", found.profile.facts, network)
        try:
            finish(opened, found)
        except BaseException:
            if opened is not network:
                opened.close()
            raise
        return cls.of(opened, fit_to_scores(found.profile, opened.scores), found.logic, None)

    @property
    def _criterion_of_boxes(self) -> Criterion | None:
        """That asked for, or that of the profile so far."""
        boxes = None if self._learned is None else self._learned.boxes
        return self._box_criterion or (None if boxes is None else boxes.columns[0].criterion)

    def _start(self, confidence: float, minimum: int, path: Path | None) -> Profile:
        fresh = replace(self._profile, facts=NetworkFacts.of(self.network, self._profile.facts.taps))
        if path is None or not path.exists():
            return fresh_profile(fresh.facts, fresh.columns, confidence, minimum, self._criterion_of_boxes)
        profile, _, _ = read_profile(path)
        profile.facts.refuse_another(path, fresh.facts)
        asked, found = (  # the groups, and with them the order of columns, stay those that the file has
            (
                {(column.criterion, column.tap) for column in one.columns},
                one.boxes and one.boxes.columns,
                one.facts.taps,
                one.facts.preprocessing,
            )
            for one in (fresh, profile)
        )
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

    # Files.

    def save(self, path: str | os.PathLike) -> None:
        """Write profile and calibration as one file. Raises ProfileError, NotReadyError; see `write_profile`."""
        with self._lock:
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
        opened = opened_for(path, profile.facts, network)
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
