"""What a monitor with all candidates learns of a sample, and how its frames deviate."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ...coverage import Criterion, RelativeMahalanobis
from ...monitor import Monitor, OutriderWarning, default_criteria
from ...monitor.criteria import Criteria, columns_of
from ...networks import Network, Observation, Tap, Taps
from ...networks.selectors import OUTPUT
from .candidates import in_place_of
from .frames import Sample, batches, faulty_batches
from .gains import FaultDeviations

Progress = Callable[[int], object]
_OF_A_CLASS = 5
_SHARE_COVERED = 0.5


class OneClass(Network):
    """A network whose frames are all of one class: a sample is small, and may show few of a thousand classes."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.taps, self.classes, self.input_shape = network.taps, None, network.input_shape
        self.engine, self.fingerprint, self.dtype = network.engine, network.fingerprint, network.dtype
        self.preprocessing = network.preprocessing

    @property
    def inputs(self) -> Any:
        return self._network.inputs

    def observe(self, batch: Any) -> Observation:
        """What the network shows, without the class scores as such; they are a tap all the same."""
        return self._network.observe(batch)._replace(logits=None)

    def run(self, batch: Any) -> Any:
        return self._network.run(batch)

    def close(self) -> None:
        self._network.close()


def as_learned(network: Network, sample: Sample, progress: Progress) -> Network:
    """The network, or the same with one class where the sample is too small for its classes.

    It is where less than half of the frames that choose are of classes of which the learned part shows five.
    """
    if network.classes is None:
        return network
    learned, choosing = (
        np.concatenate([_classes(network, batch, progress) for batch in batches(part, network)])
        for part in (sample.learn, sample.choose)
    )
    shown = np.bincount(learned, minlength=network.classes) >= _OF_A_CLASS
    return network if shown[choosing].mean() >= _SHARE_COVERED else OneClass(network)


def _classes(network: Network, batch: np.ndarray, progress: Progress) -> np.ndarray:
    logits = network.observe(batch).logits
    progress(len(batch))
    return np.zeros(len(batch), np.int64) if logits is None else logits.argmax(axis=1)


def criteria_by_tap(network: Network, criteria: Criteria | None) -> dict[str, list[Criterion]]:
    """The criteria that a monitor puts on each tap, by its id, if only the ways that go together are tapped.

    criteria: those asked for, None for the default ones.
    """
    found: dict[str, list[Criterion]] = {}
    if criteria is not None:
        columns, used = columns_of(network, criteria)
        for column in columns:
            found.setdefault(used[column.tap].id, []).append(column.criterion)
        return found
    for taps in _ways_apart(network.taps):
        found |= default_criteria(Taps(taps), network.classes)
    return found


def _ways_apart(taps: Sequence[Tap]) -> Iterator[list[Tap]]:
    """The taps, each with no other way to the same channels beside it: the room for ranges is that of one way."""
    rest = list(taps)
    while rest:
        once: list[Tap] = []
        for tap in rest:
            once = once if len(in_place_of(tap, once)) <= len(once) else [*once, tap]
        yield once
        rest = [tap for tap in rest if tap not in once]


def of_one_class(criteria: dict[str, list[Criterion]]) -> dict[str, list[Criterion]]:
    """Those of them that say something where there is one class."""
    return {
        tap: [one for one in several if not isinstance(one, RelativeMahalanobis)] for tap, several in criteria.items()
    }


def learned(network: Network, criteria: Criteria, sample: Sample, progress: Progress) -> Monitor:
    """A monitor that has learned the first part of a sample."""

    def told() -> Iterator[np.ndarray]:
        for batch in batches(sample.learn, network):
            yield batch
            progress(len(batch))

    monitor = Monitor(network, criteria)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutriderWarning)  # few frames, few of some classes
        monitor.profile(told(), minimum_per_class=1 if network.classes is None else _OF_A_CLASS)
    return monitor


def deviations_of(monitor: Monitor, sample: Sample, *, report: bool, progress: Progress) -> FaultDeviations:
    """How the frames of a part deviate, clean and with each fault. Clean frames that cannot be judged are left out.

    report: of the part that reports, otherwise of that which chooses. Raises ValueError where few frames are left.
    """
    part = sample.report if report else sample.choose

    def all_of(found: Iterator[np.ndarray]) -> np.ndarray:
        rows = []
        for batch in found:
            rows.append(monitor.deviations(batch))
            progress(len(batch))
        return np.concatenate(rows)

    clean = all_of(batches(part, monitor.network))
    judged = np.isfinite(clean).all(axis=1)
    if judged.sum() < 2:
        raise ValueError(f"expected frames that resemble each other to choose taps by, got {len(clean)} that do not")
    return FaultDeviations(
        clean[judged],
        {
            name: all_of(faulty_batches(part, name, monitor.network, pictured=sample.pictured))
            for name in sample.faults()
        },
    )


def is_scores(tap: Tap) -> bool:
    """Whether a tap is that of the class scores."""
    return tap.kind == OUTPUT
