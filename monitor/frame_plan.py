"""The way of one frame through network, criteria and logic, with all that it needs built beforehand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..networks import Network, Observation
from .arrays import all_finite, as_array, without_batch
from .calibration import Calibration
from .comparison import Comparison, Together
from .kernels import verdicts as kernels
from .logic import Logic
from .neurons import Namer, Naming, Neurons, namer, naming
from .places import Shape, place_shape
from .profile import Profile, gives_codes
from .verdict import BROKEN_INPUT, Status, Verdict, thresholds_and_warnings, why

Step = Callable[[], object]
Worst = Callable[[Sequence[np.ndarray]], tuple[np.ndarray, int]]
_Speaker = tuple[Naming, int, Worst | None]

_LAYERS_NAMED = 4
_LEVELS = Status.OK, Status.WARN, Status.ALARM
_OK = Status.OK
_verdict = partial(tuple.__new__, Verdict)  # half the time of `Verdict(...)`


class FramePlan:
    """`output, verdict = plan(frame)`: those of `Monitor.check` for this frame alone, to the last bit.

    A frame is one run of the network and a few compiled calls on arrays that are made here. What is made of each
    frame is its verdict, with a copy of the deviations, and the output: both stay as they are. A network that can
    be `buffered` runs into arrays of the plan, from which outputs are copied as ONNX Runtime itself copies them;
    one that cannot makes its arrays anew. Layers and reason are worked out where the status is not OK. One frame at
    a time; calibration: the one that is held to.
    """

    def __init__(
        self, network: Network, profile: Profile, comparison: Comparison, logic: Logic, calibration: Calibration
    ) -> None:
        self.calibration = calibration
        self._network, self._profile = network, profile
        self._has_classes = network.classes is not None
        self._observe, fixed = _source(network)
        self._take = self._without_batch if fixed is None else _copy_of(fixed.output)
        columns = len(profile.columns)
        self._deviations = np.empty((1, columns), np.float32)
        self._deviation = self._deviations[0]
        self._class = np.zeros(1, np.int64)
        self._label = self._class.item
        self._covered: list[bool] = profile.trusted.covered.tolist()
        covered = profile.trusted.covered_of_map
        self._map = _Map(None if covered is None else covered.astype(np.uint8))
        together = [_Joined(t, comparison.places, self._deviations, self._class) for t in comparison.together]
        alone = [
            _Alone(profile, i, comparison.places[i], self._deviations, self._class, self._map) for i in comparison.alone
        ]
        self._steps: list[Step] = []
        self._comparers: list[_Joined | _Alone] = []
        every: list[_Joined | _Alone] = [*together, *alone]
        for one in every:
            steps = None if fixed is None else one.steps(fixed.activations)
            if steps is None:
                self._comparers.append(one)
            else:
                self._steps += steps
        groups = np.array([column.group for column in profile.columns])
        self._score = np.empty(1)
        self._rate = logic.scorer(calibration.scales, groups, self._deviations, self._score)
        self._names, self._above = profile.names, np.empty(columns, np.int64)
        self._hold = partial(
            kernels.judge_frame, self._score, self._class, *thresholds_and_warnings(calibration), self._deviation,
            calibration.limits, self._above,
        )  # fmt: skip
        worst = {one.column: one.worst for one in alone if one.has_places}
        self._speakers: dict[str, _Speaker] = {}
        for i, (column, signature) in enumerate(zip(profile.columns, profile.signatures, strict=True)):
            names = naming(profile.facts.taps[column.tap].id, column.criterion, signature)
            if names is not None:
                self._speakers[profile.names[i]] = names, comparison.places[i], worst.get(i)
        self._shapes = [
            (place, _form(place_shape(tap), tap.size))
            for place, tap in {
                place: profile.facts.taps[column.tap]
                for place, column in zip(comparison.places, profile.columns, strict=True)
            }.items()
        ]
        self._seen: Observation | None = None
        if fixed is not None:
            self._check(fixed)
        self._trusts_shapes = fixed is not None

    def __call__(self, frame: Any, finite: bool = False) -> tuple[Any, Verdict]:
        """The output and verdict of one frame (*input_shape). finite: whether it is known to hold neither NaN nor Inf.

        Raises what the network raises, and ValueError where it observed something of another shape.
        """
        self._seen = None
        batch = frame[None]
        self._seen = seen = self._observe(batch)
        if not self._trusts_shapes:
            self._check(seen)
        uncovered, infinite = -1, False
        if seen.logits is not None:
            infinite = not kernels.predict(seen.logits, self._class)
        if not self._covered[self._label()]:
            uncovered, infinite = self._label(), True
        if seen.score_map is not None:
            infinite |= not self._map.fill(seen.score_map)
        elif self._map.covered is not None:
            raise ValueError("expected a map of class scores, got none")
        for step in self._steps:
            step()
        for one in self._comparers:
            strange = one.compare(seen.activations)
            if strange >= 0:
                uncovered = strange
        if infinite:
            self._deviation.fill(np.inf)
        self._rate()
        broken = not finite and not all_finite(as_array(batch))
        if broken:
            self._score[0] = np.inf
        level, score, threshold, confidence, prediction, loud = self._hold()
        if not self._has_classes:
            prediction = -1
        output, deviation = self._take(), self._deviation.copy()
        if level == 0 and not broken:
            return output, _verdict((_OK, score, threshold, confidence, prediction, deviation, (), ""))
        status = Status.FAULT if broken else _LEVELS[level]
        layers = tuple([self._names[i] for i in self._above[:loud].tolist()])
        if broken:
            reason = BROKEN_INPUT
        elif score < np.inf:
            reason = why(status, score, threshold, layers)
        else:
            reason = self._profile.why_infinite(uncovered, deviation)
        return output, _verdict((status, score, threshold, confidence, prediction, deviation, layers, reason))

    def output_so_far(self) -> Any:
        """The output of the last frame, also where the plan raised after the network had run; None where it had not."""
        return None if self._seen is None else self._take()

    def neurons(self, layers: Sequence[str]) -> Neurons:
        """The neurons that added most to some layers of the last frame, in the order of the layers.

        None of criteria that are no sum over neurons, nor the root of one, and none where the class of the frame, or of
        its worst place, is not covered: then no single neuron is the reason.
        """
        namers: list[Namer] = []
        seen, label = self._seen, self._label()
        if seen is None or not self._covered[label]:
            return Neurons()
        for layer in layers:
            if layer not in self._speakers:
                continue
            names, place, worst = self._speakers[layer]
            if worst is None:
                namers.append(namer(names, seen.activations[place][0], label))
            else:
                values, own = worst(seen.activations)
                if self._map.covered is None or self._map.covered[own]:
                    namers.append(namer(names, values, own))
            if len(namers) == _LAYERS_NAMED:
                break
        return Neurons(namers)

    def _without_batch(self) -> Any:
        return None if self._seen is None else without_batch(self._seen.output)

    def _check(self, seen: Observation) -> None:
        """Refuse what the kernels, which check nothing, would read beyond its end."""
        for place, shape in self._shapes:
            if seen.activations[place].shape != shape:
                tap = self._network.taps[place].id
                raise ValueError(f"tap {tap}: expected neurons {shape}, got {seen.activations[place].shape}")
        if seen.logits is not None and seen.logits.shape != (1, len(self._covered)):
            raise ValueError(f"expected class scores (1, {len(self._covered)}), got {seen.logits.shape}")


def _source(network: Network) -> tuple[Callable[[Any], Observation], Observation | None]:
    """How frames are observed, and what is filled anew by each of them."""
    try:
        held = network.buffered(1)
    except ValueError:  # arrays are made anew, or sizes that the model leaves open
        return network.observe, None
    return held.observe, held.seen


def _copy_of(output: Any) -> Callable[[], Any]:
    """What copies an output that is always in the same place."""
    if isinstance(output, tuple):
        takes = [_copy_of(value) for value in output]
        return lambda: tuple(take() for take in takes)
    if output.ndim > 1 and len(output) == 1:
        copy: Callable[[], Any] = output[0].copy
        return copy
    return lambda: without_batch(output.copy())


def _form(shape: Shape | None, neurons: int) -> tuple[int, int]:
    return (1 if shape is None else shape[0] * shape[1]), neurons


class _Joined:
    """Columns that are compared in one call."""

    def __init__(self, together: Together, places: Sequence[int], deviations: np.ndarray, label: np.ndarray) -> None:
        self._joined, self._columns = together
        self._places = [places[i] for i in self._columns]
        self._deviations, self._label = deviations, label
        self._values = np.empty((1, self._joined.neurons), np.float32)
        self._compare = self._joined.bound(self._values, label, deviations, self._columns)

    def steps(self, activations: Sequence[np.ndarray]) -> list[Step]:
        """What `compare` does, where the activations stay where they are: read there if they lie in one array."""
        rows = [activations[place] for place in self._places]
        whole, starts = _within_one(rows)
        if whole is None:
            return [partial(np.concatenate, rows, 1, self._values), self._compare]
        return [self._joined.bound(whole, self._label, self._deviations, self._columns, starts)]

    def compare(self, activations: Sequence[np.ndarray]) -> int:
        np.concatenate([activations[place] for place in self._places], 1, self._values)
        self._compare()
        return -1


def _within_one(rows: Sequence[np.ndarray]) -> tuple[np.ndarray | None, list[int]]:
    """The array (1, any) float32 of which all the rows are pieces, if there is one, and where each begins in it."""
    whole: Any = rows[0] if rows[0].base is None else rows[0].base
    if not isinstance(whole, np.ndarray) or whole.dtype != np.float32 or not whole.flags.c_contiguous:
        return None, []
    if any(row is not whole and row.base is not whole for row in rows):
        return None, []
    return whole.reshape(1, -1), [(row.ctypes.data - whole.ctypes.data) // whole.itemsize for row in rows]


class _Alone:
    """A column that is compared by itself; where its tap is one of pixels, its deviation is that of the worst place."""

    def __init__(
        self, profile: Profile, column: int, place: int, deviations: np.ndarray, label: np.ndarray, score_map: _Map
    ) -> None:
        own, signature = profile.columns[column], profile.signatures[column]
        tap = profile.facts.taps[own.tap]
        self.column, self._place = column, place
        shape = place_shape(tap)
        rows, neurons = _form(shape, tap.size)
        codes = gives_codes(tap)
        self._floats = np.empty((rows, neurons), np.float32) if codes and not own.criterion.takes_codes else None
        self._compare = own.criterion.comparer(signature, rows, codes and own.criterion.takes_codes)
        self._highest = deviations[0, column : column + 1]
        self._shape, self._map, self._label = shape, score_map, label
        self._of_places = self._highest if shape is None else np.empty(rows, np.float32)
        if shape is None:
            self._labels = label
        elif score_map.covered is None:
            self._labels = np.zeros(rows, np.int64)
        else:
            self._labels = score_map.places(shape)

    def steps(self, activations: Sequence[np.ndarray]) -> list[Step] | None:
        """What `compare` does, where the activations stay where they are; None for places, whose classes move."""
        if self._shape is not None:
            return None
        values = activations[self._place]
        if self._floats is None:
            return [partial(self._compare, values, self._labels, self._of_places)]
        copy = partial(np.copyto, self._floats, values)
        return [copy, partial(self._compare, self._floats, self._labels, self._of_places)]

    def compare(self, activations: Sequence[np.ndarray]) -> int:
        """Write the deviation: a class of a place that is not covered, or -1."""
        values = activations[self._place]
        if self._floats is not None:
            np.copyto(self._floats, values)
            values = self._floats
        if self._shape is None:
            self._compare(values, self._labels, self._of_places)
            return -1
        if self._map.covered is None:
            self._labels.fill(self._label.item())
        self._compare(values, self._labels, self._of_places)
        strange = -1
        if self._map.covered is not None:
            strange = kernels.alarm_uncovered_places(self._labels, self._map.covered, self._of_places)
        kernels.highest_value(self._of_places, self._highest)
        return strange

    @property
    def has_places(self) -> bool:
        return self._shape is not None

    def worst(self, activations: Sequence[np.ndarray]) -> tuple[np.ndarray, int]:
        """The values and the class of the place that deviates most."""
        row = int(self._of_places.argmax())
        return activations[self._place][row], int(self._labels[row])


class _Map:
    """The map of class scores of a frame, and the classes of the places of taps that it tells apart.

    covered: (classes,) uint8, 1 where a class is, or None where places are not told apart.
    """

    def __init__(self, covered: np.ndarray | None) -> None:
        self.covered = covered
        self._scores: np.ndarray | None = None
        self._finite: np.ndarray | None = None
        self._labels: dict[Shape, np.ndarray] = {}
        self._crossings: dict[Shape, tuple[np.ndarray, np.ndarray]] = {}

    def places(self, shape: Shape) -> np.ndarray:
        """Where the classes of the places of a tap are written, (places,) int64."""
        return self._labels.setdefault(shape, np.empty(shape[0] * shape[1], np.int64))

    def fill(self, score_map: np.ndarray) -> bool:
        """Write the classes of all places: whether the scores (1, classes, height, width) are finite.

        Raises ValueError for a map of other classes where places are told apart.
        """
        if self.covered is not None and score_map.shape[1] != len(self.covered):
            raise ValueError(f"expected a map of the scores of {len(self.covered)} classes, got {score_map.shape[1]}")
        if self._scores is None or self._scores.shape != score_map.shape:
            wide = score_map.dtype == np.float64
            self._scores = np.empty(score_map.shape, np.float64 if wide else np.float32)
            self._finite = np.empty(score_map.shape, bool) if wide else None
            self._crossings = {shape: _middles(shape, score_map.shape[2:]) for shape in self._labels}
        np.copyto(self._scores, score_map)
        for shape, labels in self._labels.items():
            kernels.classes_of_places(self._scores[0], *self._crossings[shape], labels)
        if self._finite is not None:
            return bool(np.isfinite(self._scores, self._finite).all())
        return all_finite(self._scores)


def _middles(shape: Shape, sizes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The rows and columns of a map at the middles of places; see `nearest`."""
    rows, columns = ((2 * np.arange(n) + 1) * size // (2 * n) for n, size in zip(shape, sizes, strict=True))
    return rows, columns
