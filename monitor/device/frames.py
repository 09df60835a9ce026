"""A monitor whose frames are judged on the device of its module: for a guard, in the place of one of the host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...networks import Observation
from ...networks.inputs import each
from ...networks.pytorch.network import TorchNetwork
from ..errors import NotReadyError
from ..judging.neurons import Neurons
from ..monitor import Monitor
from ..verdict import Verdict
from .guarded import guarded_module
from .judge import DeviceJudge, broken_frames


class DeviceFrameJudge:
    """`output, verdict = judge(frame)`: as `FrameJudge`, of which no more than 32 bytes a frame cross to the host.

    The output stays on the device. A verdict that is OK has NaN for its deviation, and events name no neurons. seen: a
    digest of the neurons of the last frame in the place of its activations, which tells whether they are others.
    """

    def __init__(self, monitor: Monitor) -> None:
        network = monitor.network
        if not isinstance(network, TorchNetwork):
            raise TypeError(f"expected a monitor of a PyTorch module to judge on its device, got one of {network!r}")
        self._network, self.calibration = network, monitor.calibration
        guarded = guarded_module(network.module, monitor)
        self._judged = lambda *inputs, **named: guarded.judged(inputs, named)
        self._verdicts = DeviceJudge(monitor, guarded).verdicts
        self.deviations = np.zeros((1, 1), np.float32)
        self.seen: Observation | None = None
        self._output: Any = None

    @torch.no_grad()
    def __call__(self, frame: Any, finite: bool = False) -> tuple[Any, Verdict]:
        """The output and verdict of one frame (*input_shape). Raises what the network raises."""
        self.seen = self._output = None
        tensors = self._network.tensors(each(frame, lambda part: part[None]))
        output, judged, sources = self._network.call(self._judged, tensors)
        self._output = self._network.unbatched(output)
        said = torch.stack((judged.score[0], judged.prediction[0].double(), _digest(sources))).cpu().numpy()
        self.seen = Observation(None, None, (said[None, 2:],))
        broken = None if finite else broken_frames(tensors)
        return self._output, self._verdicts(said[None, :2], judged.deviations, broken)[0]

    def output_so_far(self) -> Any:
        """The output of the last frame, also where the judge raised behind the network; None where that had not run."""
        return self._output

    def neurons(self, _layers: Sequence[str]) -> Neurons:
        """None: they stay on the device."""
        return Neurons()


class DeviceMonitor(Monitor):
    """A `Monitor` that a guard judges frames with on the device of the module: `Guard(DeviceMonitor.load(...))`.

    What it learns, and what `check` says of batches, is as of any monitor. `bind` raises what `guarded_module` raises.
    """

    def bind(self) -> Any:
        if self.calibration is None:
            raise NotReadyError("expected a calibrated monitor, got one without a threshold; call calibrate()")
        return DeviceFrameJudge(self)


def _digest(sources: Sequence[Tensor]) -> Tensor:
    """The sum of the bits of all neurons, a number below 2**53, as float64."""
    whole = [source.contiguous().view(torch.int32).sum(dtype=torch.int64) for source in sources]
    return torch.stack(whole).sum().double()
