"""How kinds are learned: examples of each cause are made of held-out frames, and those that alarm have patterns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ...networks import Network
from ..data.arrays import as_array, finite_frames
from ..data.digests import digests_of
from ..data.groups import groups_of
from ..data.spool import FrameSpool
from ..errors import CalibrationError
from ..logic import Votes
from ..profile import Profile
from .examples import ADVERSARIAL, EXAMPLES, UNSURE, Example, Scale
from .kinds import Kinds
from .pattern import Maps, Patterns, Scales
from .probing import Driven, on_boundary
from .rule import Cause, fit, left_out

if TYPE_CHECKING:
    from ..judge import Judge

Bind = Callable[[Network, int], "Judge"]
"""A judge of so many frames of a network."""
_LEAST_FRAMES = 20
_LEAST_ALARMS = 10
_TRIES = 4
"""How many examples are made for one that is asked for, where few alarm."""
_AT_ONCE = 16
_PLACES = 512
"""How many places of a frame help to set the level of a map, at most."""
_LEVEL = 0.95
_LEAST_SIZE = 8
_OF_COLOUR = "channel lost", "signs alike in all channels"
DRIVEN, BOUNDARY = (ADVERSARIAL, "driven"), (UNSURE, "boundary")


class Lesson:
    """Held-out frames first (`add`), then the kinds of examples made of them (`learned`).

    bind: makes judges. examples: how many of each cause are asked for. progress: called with the number of frames run.
    Raises ValueError for a network that takes no single picture (channels, height, width), or remembers.
    """

    def __init__(
        self, network: Network, profile: Profile, bind: Bind, *, examples: int, sure: float, seed: int,
        progress: Callable[[int], None] | None,
    ) -> None:  # fmt: skip
        self._network, self._profile, self._bind = network, profile, bind
        self._axis = _channel_axis(network)
        self._examples, self._sure, self._rng = examples, sure, np.random.default_rng(seed)
        self._progress, self._done = progress, 0
        self._spool = FrameSpool()
        self._deviations: list[np.ndarray] = []
        self._places: list[list[np.ndarray]] = []
        self._judges: dict[int, Judge] = {}

    def add(self, frames: Any) -> None:
        """Held-out frames (n, *input_shape). Those that were profiled, not finite or not covered are left out."""
        frames = as_array(frames)
        for part in _parts(frames, _AT_ONCE):
            judge = self._judge(len(part))
            seen = judge.observe(part)
            judge.rate()
            fresh = ~self._profile.digests.among(digests_of(part))[0] & finite_frames(part, len(part))
            fresh &= np.isfinite(judge.score)
            self._deviations.append(judge.deviations[fresh])
            self._spool.add(part[fresh])
            maps = self._maps(judge)
            for i in np.flatnonzero(fresh).tolist():
                read = maps.read(i, seen.activations, int(judge.predictions[i]))
                self._places.append([_some(values.reshape(-1)) for values in read])
            self._ran(len(part))

    def learned(self) -> Kinds:
        """The kinds. Raises CalibrationError for fewer than 20 frames, and where too few examples alarm."""
        deviations = np.concatenate(self._deviations) if self._deviations else np.empty((0, 1))
        if len(deviations) < _LEAST_FRAMES:
            raise CalibrationError(
                f"expected at least {_LEAST_FRAMES} held-out frames that were not profiled and are finite, to learn"
                f" kinds from, got {len(deviations)}; give more"
            )
        scales = self._scales(deviations)
        patterns: dict[Cause, np.ndarray] = {}
        alarmed: dict[Cause, tuple[int, int]] = {}
        for cause, batches in self._causes():
            rows, tried = self._patterns(scales, batches)
            alarmed[cause] = len(rows), tried
            if len(rows) >= _LEAST_ALARMS:
                patterns[cause] = rows
        if len({kind for kind, _ in patterns}) < 2:
            counts = ", ".join(f"{name} {count} of {tried}" for (_, name), (count, tried) in alarmed.items())
            raise CalibrationError(
                f"expected examples of two kinds or more that alarm, {_LEAST_ALARMS} of one cause, got {counts};"
                " calibrate with a higher false-alarm rate, or profile with criteria that see these changes"
            )
        rule = fit(patterns, self._sure)
        return Kinds(scales, rule, len(deviations), alarmed, left_out(patterns, self._sure))

    def _scales(self, deviations: np.ndarray) -> Scales:
        finite = np.where(np.isfinite(deviations), deviations, -np.inf)  # a place of a class that is not covered is not
        deviations = np.minimum(deviations, np.maximum(finite.max(axis=0), 0))
        curve = Votes().fit(deviations, groups_of(self._profile.columns))
        levels = [
            np.quantile(np.concatenate(values), _LEVEL, method="lower") for values in zip(*self._places, strict=True)
        ]
        levels = np.minimum(np.array(levels, np.float64), np.finfo(np.float32).max)
        return Scales(curve["value"], curve["surprise"], curve["excess"], levels)

    def _causes(self) -> Iterator[tuple[Cause, Iterable[tuple[Network, np.ndarray]]]]:
        """Each cause with batches of its examples, and the network that sees them."""
        frames = np.moveaxis(self._spool.frames, self._axis, 1)
        scale = Scale.of(frames)
        pictures = scale.unit(frames)
        for one in EXAMPLES:
            if frames.shape[1] > 1 or one.name not in _OF_COLOUR:
                yield (one.kind, one.name), self._changed(one, pictures, scale)
        yield DRIVEN, self._driven(pictures, scale)
        if (self._network.classes or 0) > 1:
            yield BOUNDARY, self._on_boundary(pictures, scale)

    def _changed(self, one: Example, pictures: np.ndarray, scale: Scale) -> Iterator[tuple[Network, np.ndarray]]:
        rng = self._rng
        while True:
            chosen = pictures[rng.integers(len(pictures), size=_AT_ONCE)]
            yield self._network, self._samples([one.change(x, pictures, rng) for x in chosen], scale)

    def _driven(self, pictures: np.ndarray, scale: Scale) -> Iterator[tuple[Network, np.ndarray]]:
        """Pictures with signs or without, whose later activations are driven too far."""
        rng, signs = self._rng, next(one for one in EXAMPLES if one.name == "signs")
        while True:
            chosen = pictures[rng.integers(len(pictures), size=_AT_ONCE)]
            start, factor = rng.uniform(0, 0.8, _AT_ONCE), np.exp(rng.uniform(np.log(1.3), np.log(5), _AT_ONCE))
            made = [signs.change(x, pictures, rng) if rng.random() < 0.7 else x for x in chosen]
            yield Driven(self._network, start, factor), self._samples(made, scale)

    def _on_boundary(self, pictures: np.ndarray, scale: Scale) -> Iterator[tuple[Network, np.ndarray]]:
        def classes(some: np.ndarray) -> np.ndarray:
            found = []
            for part in _parts(some, _AT_ONCE):
                logits = self._network.observe(self._samples(part, scale)).logits
                found.append(np.zeros(len(part), np.int64) if logits is None else logits.argmax(axis=1))
                self._ran(len(part))
            return np.concatenate(found)

        for part in _parts(on_boundary(classes, pictures, 2 * self._examples, self._rng), _AT_ONCE):
            yield self._network, self._samples(part, scale)

    def _samples(self, pictures: Any, scale: Scale) -> np.ndarray:
        dtype = self._spool.frames.dtype
        made = np.stack([scale.sample(picture, dtype) for picture in pictures])
        return np.ascontiguousarray(np.moveaxis(made, 1, self._axis))

    def _patterns(self, scales: Scales, batches: Iterable[tuple[Network, np.ndarray]]) -> tuple[np.ndarray, int]:
        """The patterns of the examples that alarm, (n, features), and how many were tried."""
        found: list[np.ndarray] = []
        tried = 0
        for network, batch in batches:
            judge = self._judge(len(batch), network)
            seen = judge.observe(batch)
            judge.rate()
            namer = Patterns(scales, self._maps(judge))
            alarmed = np.flatnonzero(judge.above & np.isfinite(judge.score)).tolist()
            classes = judge.predictions.tolist()
            found += [namer.read(judge.deviations[i], i, seen.activations, classes[i]).copy() for i in alarmed]
            tried += len(batch)
            self._ran(len(batch))
            if len(found) >= self._examples or tried >= _TRIES * self._examples:
                break
        return np.array(found).reshape(-1, scales.features), tried

    def _judge(self, n: int, network: Network | None = None) -> Judge:
        if network is not None and network is not self._network:
            return self._bind(network, n)
        if n not in self._judges:
            self._judges[n] = self._bind(self._network, n)
        return self._judges[n]

    def _maps(self, judge: Judge) -> Maps:
        return Maps(self._profile, judge.indices, judge.by_place)

    def _ran(self, frames: int) -> None:
        self._done += frames
        if self._progress:
            self._progress(self._done)


def _channel_axis(network: Network) -> int:
    """Where the channels of a batch stand: 1, or 3 where they come last."""
    inputs = network.inputs
    shape = network.input_shape
    sizes = sorted(size for size in shape if size is not None)
    if len(inputs) > 1 or len(shape) != 3 or len(sizes) < 3 or sizes[1] < _LEAST_SIZE:
        takes = " and ".join(f"{one.name} {one.shape}" for one in inputs)
        raise ValueError(
            "expected a network that takes one picture (channels, height, width) of known size, at least"
            f" {_LEAST_SIZE} pixels wide, got one that takes {takes}; kinds are learned from pictures alone"
        )
    if network.memory is not None:
        raise ValueError(
            "expected a network that forgets every frame, got a recurrent one; a single changed frame tells nothing of"
            " what it sees in a sequence"
        )
    first, last = shape[0], shape[2]
    return 1 if first is None or last is None or first <= last else 3


def _parts(frames: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(frames), size):
        yield frames[start : start + size]


def _some(values: np.ndarray) -> np.ndarray:
    """Some of the values of a map, evenly taken."""
    return values[:: len(values) // _PLACES + 1].copy()
