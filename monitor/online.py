"""The online half of a monitor: a verdict with every output of the network."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..networks import Network
from ..networks.renamed import warn_of_name
from .calibration import Calibration
from .data.arrays import refuse_no_frame, rows_of, taken
from .errors import NotReadyError
from .judge import FrameJudge, Judge
from .logic import Logic
from .profile import Profile
from .verdict import Verdict, Verdicts

_living: weakref.WeakSet[Watcher] = weakref.WeakSet()


class Watcher:
    """What a monitor does once it has learned: `check`, `bind`, scores and deviations. See `Monitor`."""

    network: Network
    logic: Logic
    calibration: Calibration | None
    _learned: Profile | None
    _judge: Judge | None
    _frame_judge: FrameJudge | None
    _lock: Any

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

        (n, height, width) for taps of places; a place belongs to the tapped map, which may be coarser than the input.
        Sequences have one row, volumes are (n, depth, height, width). Of k rows a frame it is (n, k, ...), (n, k) where
        each row is one sample; where rows vary, k is that of the frame with most, and NaN stands behind the last of the
        others. The largest value of a frame is its deviation in that column. Raises NotReadyError before `profile`,
        ValueError when every tap has one sample a frame.
        """
        taps = self.learned.facts.taps
        if not any(tap.of_places or tap.rows != 1 for tap in taps):
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
        self._make_lock()

    def _make_lock(self) -> None:
        """A lock of its own, and a new one in the child of a fork, where a thread of the parent may hold the old."""
        self._lock = threading.RLock()
        _living.add(self)

    def _calibrated(self) -> Calibration:
        self.learned  # noqa: B018
        if self.calibration is None:
            raise NotReadyError("expected a calibrated monitor, got one without a threshold; call calibrate()")
        return self.calibration


def _make_locks() -> None:
    for one in list(_living):
        one._make_lock()  # noqa: SLF001 (of this module)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_make_locks)
