"""Verdicts from a device, asked for when they are wanted: until then nothing waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...networks.pytorch.outputs import class_scores_of, pick
from ..errors import NotReadyError
from ..kernels import verdicts as kernels
from ..monitor import Monitor
from ..verdict import BROKEN_INPUT, Columns, Status, Verdicts, thresholds_and_warnings
from .guarded import guarded_module

BYTES_A_FRAME = 16
"""What crosses to the host for a frame without an alarm: its score and its class, as two float64."""


class Waiting:
    """A batch under way. output: of the module, on its device. `verdicts` waits for the device, and nothing else does.

    deviations: (n, columns) float32, on the device; they cross only for frames that are not OK.
    """

    def __init__(self, judge: DeviceJudge, output: Any, deviations: Tensor, broken: Tensor | None, room: _Room) -> None:
        self.output, self.deviations = output, deviations
        self._judge, self._broken, self._room = judge, broken, room
        self._taken: np.ndarray | None = None

    @property
    def ready(self) -> bool:
        """Whether the device is through with it."""
        return self._taken is not None or self._room.through()

    def take(self) -> np.ndarray:
        """Scores and classes, (n, 2) float64; waits for them."""
        if self._taken is None:
            self._taken = self._room.wait()
        return self._taken

    def verdicts(self) -> Verdicts:
        """What `Monitor.check` says of these frames, but for the last digits of distances."""
        return self._judge.verdicts(self.take(), self.deviations, self._broken)


class DeviceJudge:
    """`judge(*frames)` runs a batch on the device and returns at once what its verdicts can be asked of.

    It is the `Judge` of a calibrated monitor of a `TorchNetwork`, with all of its work beside the network's own
    kernels. A frame sends `BYTES_A_FRAME` bytes to the host, through pinned memory, behind which an event is recorded.
    depth: how many batches may be under way; one more waits for the oldest. guarded: what runs, in place of
    `guarded_module` of the monitor: that module compiled or `Captured`. It must return what that returns. The outputs
    of one that is captured are those of the last batch alone.
    Raises NotReadyError without a calibration, ValueError for a depth below 1, and what `guarded_module` raises.
    """

    def __init__(self, monitor: Monitor, guarded: Callable[..., Any] | None = None, depth: int = 2) -> None:
        if monitor.calibration is None:
            raise NotReadyError("expected a calibrated monitor, got no threshold; call calibrate()")
        if depth < 1:
            raise ValueError(f"expected a depth of 1 batch or more, got {depth}")
        network: Any = monitor.network
        self.guarded = guarded_module(network.module, monitor) if guarded is None else guarded
        self._key, self._kind = network.scores_output, network.scores
        self._classes, self._profile = monitor.learned.facts.classes, monitor.learned
        self._rooms = [_Room() for _ in range(depth)]
        self._next = 0
        self._limits = Columns(monitor.learned.names, monitor.calibration.limits)
        self._thresholds = thresholds_and_warnings(monitor.calibration)

    @torch.no_grad()
    def __call__(self, *frames: Any, **named: Any) -> Waiting:
        output, score, _, deviations = self.guarded(*frames, **named)
        if self._classes is None:
            label = torch.zeros_like(score)
        else:
            label = class_scores_of(pick(output, self._key), self._kind).argmax(1).double()
        room = self._rooms[self._next]
        self._next = (self._next + 1) % len(self._rooms)
        waiting = Waiting(self, output, deviations, broken_frames(frames), room)
        room.fill(torch.stack((score.double(), label), 1), waiting)
        return waiting

    def verdicts(self, taken: np.ndarray, deviations_there: Tensor, broken: Tensor | None) -> Verdicts:
        """The verdicts on a batch of which score and class are here, (n, 2), and deviations (n, columns) there."""
        n = len(taken)
        score, label = taken[:, 0].copy(), taken[:, 1].astype(np.int64)
        status, threshold, confidence = np.empty(n, np.int64), np.empty(n), np.empty(n)
        kernels.judge(score, label, *self._thresholds, status, threshold, confidence)
        deviations = np.full((n, len(self._limits.names)), np.nan, np.float32)
        reasons: dict[int, str] = {}
        if status.any():
            rows = np.flatnonzero(status)
            loud = torch.from_numpy(rows).to(deviations_there.device)
            deviations[rows] = deviations_there[loud].cpu().numpy()
            covered = self._profile.trusted.covered
            for i in np.flatnonzero(~np.isfinite(score)).tolist():
                missing = -1 if covered[label[i]] else int(label[i])
                reasons[i] = self._profile.why_infinite(missing, int(label[i]), deviations[i])
            if broken is not None:
                lost = broken.cpu().numpy()
                status[lost] = Status.FAULT
                reasons |= dict.fromkeys(np.flatnonzero(lost).tolist(), BROKEN_INPUT)
        classes = np.full(n, -1) if self._classes is None else label
        return Verdicts(status, score, threshold, confidence, classes, deviations, self._limits, reasons)


class _Room:
    """Pinned memory for one batch, and the event behind what is copied to it."""

    def __init__(self) -> None:
        self._host = torch.empty(0, 2)
        self._event: Any = None
        self._owner: Waiting | None = None
        self._rows = 0

    def fill(self, found: Tensor, owner: Waiting) -> None:
        """Begin to copy (n, 2) float64; whoever has not taken what was here before does so first."""
        if self._owner is not None:
            self._owner.take()
        self._owner, self._rows = owner, len(found)
        if found.is_cuda:
            if len(self._host) < len(found):
                self._host = torch.empty(found.shape, dtype=found.dtype, pin_memory=True)
                self._event = torch.cuda.Event()
            self._host[: len(found)].copy_(found, non_blocking=True)
            self._event.record()
        else:
            self._host, self._event = found.cpu(), None

    def through(self) -> bool:
        return self._event is None or bool(self._event.query())

    def wait(self) -> np.ndarray:
        """A copy of what was copied here."""
        if self._event is not None:
            self._event.synchronize()
        self._owner = None
        taken: np.ndarray = self._host[: self._rows].numpy().copy()
        return taken


def broken_frames(frames: tuple[Any, ...]) -> Tensor | None:
    """(n,) bool, on the device: which frames hold NaN or Inf; None where none are floats."""
    found = None
    for part in frames:
        if isinstance(part, Tensor) and part.is_floating_point():
            own = ~torch.isfinite(part.reshape(part.shape[0], -1).sum(1, dtype=torch.float32))
            found = own if found is None else found | own
    return found
