"""One judge: activations → deviations → score → verdict, bound once to arrays for n frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..networks import Network, Observation
from ..networks.inputs import each, parts_of, together
from ..networks.network import Buffered, fits
from .boxes.judge import BoxJudge, box_judge
from .calibration import Calibration
from .data.arrays import all_finite, finite_frames
from .data.groups import groups_of
from .facts.network import gives_codes
from .judging.comparers import ColumnComparer, ScoreMap, Step, TogetherComparer
from .judging.grid import Grid
from .judging.neurons import Namer, Naming, Neurons, namer, naming
from .judging.places import samples_of
from .judging.varying import VaryingComparer
from .kernels import verdicts as kernels
from .logic import Logic
from .places import PlaceLogic, Places
from .profile import Profile
from .verdict import BROKEN_INPUT, Columns, Status, Verdict, Verdicts, thresholds_and_warnings, why

_COLUMNS_NAMED = 4
_LEVELS = Status.OK, Status.WARN, Status.ALARM
_OK = Status.OK
_verdict = partial(tuple.__new__, Verdict)  # half the time of `Verdict(...)`


class Judge:
    """Judges batches of n frames of one network, a batch at a time, in arrays that are made here.

    Without a calibration it judges no more than deviations. `observe` fills, until the next batch:
    seen: what the network showed. predictions: (n,) int64, 0 without classes. deviations: (n, columns) float32.
    uncovered: (n,) int64, the class of the frame, or of one of its places, that has too few trusted frames, else -1.
    """

    __slots__ = (
        "__weakref__", "_alone", "_classes", "_compare", "_covered", "_expected", "_first_is_covered", "_indices",
        "_infinite", "_kind_of", "_limits", "_map", "_network", "_observe", "_profile", "_several", "_thresholds",
        "_varying", "bound_to", "boxes", "calibration", "classify", "deviations", "grid", "n", "predictions", "rate",
        "score", "seen", "steps", "uncovered",
    )  # fmt: skip

    def __init__(
        self,
        network: Network,
        profile: Profile,
        n: int,
        logic: Logic | None = None,
        calibration: Calibration | None = None,
        fixed: Observation | None = None,
    ) -> None:
        trusted = profile.trusted
        self.n, self.calibration, self.seen = n, calibration, fixed
        self.bound_to = network, logic, calibration
        """What it judges by; a judge of others is another one."""
        self._network, self._profile = network, profile
        self._observe: Callable[[Any], Observation] = network.observe
        self.deviations = np.empty((n, len(profile.columns)), np.float32)
        self.predictions = np.zeros(n, np.int64)
        self.uncovered = np.full(n, -1)
        self._infinite = np.zeros(n, np.uint8)
        self._covered = trusted.covered.astype(np.uint8)
        self._classes = self._covered, self.predictions, self.uncovered, self._infinite
        of_map = trusted.covered_of_map
        self._map = ScoreMap(n, None if of_map is None else of_map.astype(np.uint8))
        self._first_is_covered = bool(trusted.covered[0])
        order = {tap.id: i for i, tap in enumerate(network.taps)}
        self._indices = [order[profile.facts.taps[column.tap].id] for column in profile.columns]
        own = self.predictions, self.deviations
        self.grid = Grid(profile, n) if isinstance(logic, PlaceLogic) else None
        """The deviations of places, for a logic of places."""
        self.boxes = box_judge(network, profile.facts, profile.boxes, trusted.minimum_per_class, calibration)
        """What judges the detections, of a detector whose detections were learned."""
        together = [TogetherComparer(*group, self._indices, *own) for group in profile.together]
        varying = {i for i, column in enumerate(profile.columns) if profile.facts.taps[column.tap].rows is None}
        rest = set(range(len(profile.columns))) - {i for _, columns in profile.together for i in columns} - varying
        self._alone = [
            ColumnComparer(profile, i, self._indices[i], *own, self._map, self.uncovered, self.grid)
            for i in sorted(rest)
        ]
        self._varying = [VaryingComparer(profile, i, self._indices[i], *own) for i in sorted(varying)]
        self._several: list[ColumnComparer | VaryingComparer] = [
            *(one for one in self._alone if one.shape is not None),
            *self._varying,
        ]
        self._expected = self._forms()
        comparers: list[TogetherComparer | ColumnComparer] = [*together, *self._alone]
        # No kernel is asked about no frames.
        self._compare = [one.compare for one in comparers] if n else []
        self.classify: Callable[[], bool] | None = None
        """Of a network that observes into arrays of its own: what writes the classes of the frames."""
        self.steps: list[Step] = []
        """Of such a network: the compiled calls that write the deviations, one after the other."""
        if fixed is not None:
            self._refuse_other_forms(fixed)
            if fixed.logits is not None:
                self.classify = partial(kernels.classify, fixed.logits, *self._classes)
            self.steps = [step for one in comparers for step in one.steps(fixed.activations)]
        self.score = np.empty(n)
        if logic is not None and calibration is not None:
            groups = groups_of(profile.columns)
            self.rate: Step
            """The compiled call that writes the scores."""
            if isinstance(logic, PlaceLogic) and self.grid is not None:
                own_arrays = self._infinite, self.deviations, self.score
                self.rate = self.grid.scorer(logic, calibration.scales, groups, *own_arrays)
            else:
                self.rate = logic.scorer(calibration.scales, groups, self.deviations, self.score)
            self._limits = Columns(profile.names, calibration.limits)
            self._thresholds = thresholds_and_warnings(calibration)
        kinds = None if calibration is None else calibration.kinds
        self._kind_of = None if kinds is None else kinds.bind(profile, self._indices, self.by_place)

    def observe(self, batch: Any) -> Observation:
        """Run a batch as the network takes it, of n frames, and write its deviations.

        Raises what the network raises, ValueError and TypeError where it shows something of another shape or dtype.
        """
        self.seen = None
        self.seen = seen = self._observe(batch)
        infinite = False
        if self.grid is not None:
            self.grid.broken.fill(0)
        if not self.steps:
            self._refuse_other_forms(seen)
        if self.classify is not None:
            infinite = self.classify()
        elif seen.logits is not None:
            infinite = kernels.classify(np.ascontiguousarray(seen.logits, np.float32), *self._classes)
        elif seen.score_map is not None or not self._first_is_covered:
            infinite = self._begin()
        if seen.score_map is not None:
            infinite |= self._map.fill(seen.score_map, self._infinite)
        elif self._map.covered is not None:
            raise ValueError("expected a map of class scores, got none")
        if self.steps:
            for step in self.steps:
                step()
        else:
            for compare in self._compare:
                compare(seen.activations)
        for one in self._varying:
            one.compare(seen)
        if infinite:
            kernels.alarm_rows(self._infinite, self.deviations)
        return seen

    def verdicts(self, batch: Any) -> tuple[Any, Verdicts]:
        """The network's own output for a batch, and the verdicts on it."""
        seen = self.observe(batch)
        output = seen.output
        self.rate()
        score, reasons = self.score.copy(), {}
        for i in np.flatnonzero(~np.isfinite(score)):
            reasons[int(i)] = self._why_infinite(int(i))
        broken = None if all_finite(batch) else ~finite_frames(batch, self.n)
        if broken is not None:
            score[broken] = np.inf
            reasons |= dict.fromkeys(map(int, np.flatnonzero(broken)), BROKEN_INPUT)
        status, threshold, confidence = np.empty(self.n, np.int64), np.empty(self.n), np.empty(self.n)
        kernels.judge(score, self.predictions, *self._thresholds, status, threshold, confidence)
        if broken is not None:
            status[broken] = Status.FAULT
        classes = np.full(self.n, -1) if self._network.classes is None else self.predictions.copy()
        deviations = self.deviations.copy()
        if self.boxes is None:
            places = None if self.grid is None else [self.grid.places(i) for i in range(self.n)]
        else:
            places = self._with_boxes(self.boxes, seen)
        said = status, score, threshold, confidence, classes, deviations
        kinds = {int(i): self.kind(int(i), float(score[i])) for i in np.flatnonzero(status)}
        return output, Verdicts(*said, self._limits, reasons, places, kinds)

    def kind(self, i: int, score: float) -> str:
        """What kind of alarm a frame of the last batch is; "" where no kinds were learned."""
        if self._kind_of is None or self.seen is None:
            return ""
        return self._kind_of(score, self.deviations[i], i, self.seen.activations, int(self.predictions[i]))

    def _with_boxes(self, judge: BoxJudge, seen: Observation) -> list[Places]:
        """What is to be said of the places and the detections of each frame."""
        extent, found = self._profile.facts.extent or (0, 0), []
        for i, boxes in enumerate(judge.verdicts(seen, self.n)):
            own = Places(None, np.inf, extent) if self.grid is None else self.grid.places(i)
            own.boxes = boxes
            found.append(own)
        return found

    def maps(self) -> dict[str, np.ndarray]:
        """The deviations of the samples of the last batch, of columns that have several a frame: {column: (n, ...)}."""
        found = {}
        for one in sorted(self._several, key=lambda one: one.column):
            found[self._profile.names[one.column]] = values = one.maps()
            values[self._infinite != 0] = np.inf
        return found

    def _why_infinite(self, i: int) -> str:
        """Why the score of a frame of the last batch is infinite."""
        unjudged = {one.column: why for one in self._varying if (why := one.why(i))}
        return self._profile.why_infinite(
            int(self.uncovered[i]), int(self.predictions[i]), self.deviations[i], unjudged
        )

    def _begin(self) -> bool:
        """Forget the batch before, where no class scores come: whether the one class of all frames is not covered."""
        self.uncovered.fill(-1 if self._first_is_covered else 0)
        self._infinite.fill(not self._first_is_covered)
        return not self._first_is_covered

    @property
    def indices(self) -> list[int]:
        """Of each column's tap among the activations, (columns,)."""
        return self._indices

    @property
    def by_place(self) -> dict[int, ColumnComparer]:
        """The columns that are compared place by place."""
        return {one.column: one for one in self._alone if one.shape is not None}

    @property
    def above(self) -> np.ndarray:
        """(n,) bool: whether the scores, once they are rated, are above the threshold of their class."""
        thresholds, _ = self._thresholds
        found: np.ndarray = ~(self.score <= thresholds[self.predictions])
        return found

    @property
    def with_rows(self) -> np.ndarray:
        """(n,) bool: whether the frames of the last batch had rows at every tap, and their class trusted ones there."""
        return np.array([not any(one.why(i) for one in self._varying) for i in range(self.n)], bool)

    def _forms(self) -> dict[int, tuple[tuple[int | None, int], np.dtype]]:
        """Of each index among the activations that a column reads: the shape and dtype that are expected there."""
        forms: dict[int, tuple[tuple[int | None, int], np.dtype]] = {}
        for column, index in zip(self._profile.columns, self._indices, strict=True):
            tap = self._profile.facts.taps[column.tap]
            samples = samples_of(tap)
            rows = None if samples is None else self.n * samples
            forms[index] = (rows, tap.size), np.dtype(np.uint8 if gives_codes(tap) else np.float32)
        return forms

    def _refuse_other_forms(self, seen: Observation) -> None:
        """Refuse what the kernels, which check nothing, would read beyond its end."""
        for index, (shape, dtype) in self._expected.items():
            values = seen.activations[index]
            if (values.shape != shape and not fits(values.shape, shape)) or values.dtype != dtype:
                tap, rows = self._network.taps[index].id, "any" if shape[0] is None else shape[0]
                wanted = f"{dtype} ({rows}, {shape[1]})"
                raise ValueError(f"tap {tap}: expected neurons {wanted}, got {values.dtype} {values.shape}")
        if seen.logits is not None:
            expected = self.n, len(self._covered)
            if seen.logits.shape != expected:
                raise ValueError(f"expected class scores {expected}, got {seen.logits.shape}")


class FrameJudge(Judge):
    """`output, verdict = judge(frame)`: those of `Monitor.check` for this frame alone, to the last bit.

    A frame is one run of the network and a few compiled calls. What is made of it is its verdict, with a copy of the
    deviations, and the output: both stay as they are. A network that can be `buffered` runs into arrays of the judge,
    from which outputs are copied. Columns and reason are worked out where the status is not OK.
    """

    __slots__ = (
        "_above", "_deviation", "_has_classes", "_names", "_score", "_speakers", "_take", "hold", "source",
    )  # fmt: skip

    def __init__(self, network: Network, profile: Profile, logic: Logic, calibration: Calibration) -> None:
        varying = any(tap.rows is None for tap in profile.facts.taps)
        self.source = None if varying else _buffered(network)
        """What runs the network into arrays of its own; None where it makes new ones, and where rows vary."""
        fixed = None if self.source is None else self.source.seen
        super().__init__(network, profile, 1, logic, calibration, fixed)
        self._observe = (self.source or network).observe
        self._take = self._without_batch if fixed is None else _copy_of(fixed.output, network.unbatched(fixed.output))
        self._deviation, self._score = self.deviations[0], self.score
        self._has_classes = network.classes is not None
        self._names, self._above = profile.names, np.empty(len(profile.columns), np.int64)
        self.hold = partial(
            kernels.judge_frame, self.score, self.predictions, *self._thresholds, self._deviation, calibration.limits,
            self._above,
        )  # fmt: skip
        """The compiled call that holds the score to the threshold."""
        self._speakers = self._bound_names()

    def __call__(self, frame: Any, finite: bool = False) -> tuple[Any, Verdict]:
        """The output and verdict of one frame (*input_shape). finite: whether it is known to hold neither NaN nor Inf.

        Of a network with several inputs a frame is a tuple in their order or a mapping by their names.
        Raises what `observe` raises.
        """
        batch = frame[None] if type(frame) is np.ndarray else self._batch_of(frame)
        seen = self.observe(batch)
        self.rate()
        broken = not finite and not all_finite(batch)
        if broken:
            self._score[0] = np.inf
        level, score, threshold, confidence, prediction, loud = self.hold()
        if not self._has_classes:
            prediction = -1
        output, deviation = self._take(), self._deviation.copy()
        if self.boxes is None:
            places = None if self.grid is None else self.grid.places(0)
        else:
            places = self._with_boxes(self.boxes, seen)[0]
        if level == 0 and not broken:
            return output, _verdict((_OK, score, threshold, confidence, prediction, deviation, (), "", places, ""))
        status = Status.FAULT if broken else _LEVELS[level]
        layers = tuple([self._names[i] for i in self._above[:loud].tolist()])
        if broken:
            reason = BROKEN_INPUT
        elif score < np.inf:
            reason = why(status, score, threshold, layers, places)
        else:
            reason = self._why_infinite(0)
        kind = self.kind(0, score)
        return output, _verdict(
            (status, score, threshold, confidence, prediction, deviation, layers, reason, places, kind)
        )

    def _batch_of(self, frame: Any) -> Any:
        """A batch of one of a frame that is no array: a tensor, or the arrays of several inputs."""
        return each(together(parts_of(frame, self._network.inputs)), _alone)

    def output_so_far(self) -> Any:
        """The output of the last frame, also where the judge raised behind the network; None where that had not run."""
        return None if self.seen is None else self._take()

    def neurons(self, layers: Sequence[str]) -> Neurons:
        """The neurons that added most to some layers of the last frame, in the order of the layers.

        None of criteria that are no sum over neurons, nor the root of one, and none where the class of the frame, or of
        its worst place, is not covered: then no single neuron is the reason.
        """
        namers: list[Namer] = []
        seen, label = self.seen, self.predictions.item()
        if seen is None or not self._covered[label]:
            return Neurons()
        for layer in layers:
            if layer not in self._speakers:
                continue
            names, index, column = self._speakers[layer]
            if column is None:
                namers.append(namer(names, seen.activations[index][0], label))
            else:
                worst = column.worst(seen.activations)
                if worst is None:
                    continue
                values, own = worst
                if self._map.covered is None or self._map.covered[own]:
                    namers.append(namer(names, values, own))
            if len(namers) == _COLUMNS_NAMED:
                break
        return Neurons(namers)

    def _bound_names(self) -> dict[str, tuple[Naming, int, ColumnComparer | VaryingComparer | None]]:
        """Of each column that is a sum over neurons: what names them, the index of its tap, its samples if several."""
        profile, found = self._profile, {}
        several = {one.column: one for one in self._several}
        for i, (column, signature) in enumerate(zip(profile.columns, profile.signatures, strict=True)):
            names = naming(profile.facts.taps[column.tap].id, column.criterion, signature)
            if names is not None:
                found[profile.names[i]] = names, self._indices[i], several.get(i)
        return found

    def _without_batch(self) -> Any:
        return None if self.seen is None else self._network.unbatched(self.seen.output)


def _alone(part: Any) -> Any:
    return part[None] if hasattr(part, "__getitem__") else np.asarray(part)[None]


def _buffered(network: Network) -> Buffered | None:
    try:
        return network.buffered(1)
    except ValueError:  # it makes new arrays, or the model leaves sizes open
        return None


def _copy_of(output: Any, taken: Any) -> Callable[[], Any]:
    """What copies an output that is always in the same place; taken: what `Network.unbatched` makes of it."""
    if isinstance(output, tuple):
        takes = [_copy_of(*pair) for pair in zip(output, taken, strict=True)]
        return lambda: tuple(take() for take in takes)
    if isinstance(taken, np.ndarray):  # a view
        copy: Callable[[], Any] = taken.copy
        return copy
    return lambda: output[0]  # a number, which numpy makes anew
