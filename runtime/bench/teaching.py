"""Profiles learned from noise: what a monitor costs hardly depends on what it covers."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...monitor import CalibrationError, Monitor, OutriderWarning, Sum
from ...networks import Network, OnnxNetwork
from ...networks.inputs import together
from .bare import BareModel, Frames, moved

TRUSTED = 12
"""Frames of noise that are learned."""
_HELD_OUT, _BATCHES = 24, 4
_SHARES = 1e-3, 1e-2, 1e-1  # by which held-out frames differ from those that were learned
_FALSE_ALARMS = 0.1


class Watching(NamedTuple):
    """A monitor to be measured. taps, criterion: None for what a monitor takes by itself.

    outside: whether it is measured outside the graph too. neurons: of the taps.
    """

    name: str
    taps: str | None
    criterion: str | None
    outside: bool = True
    neurons: str = "channel"


WATCHED = (
    Watching("bitmap on auto", "auto", "bitmap"),
    Watching("bitmap on stages", "stages", "bitmap", outside=False),
    Watching("bitmap on sample7", "auto", "bitmap", outside=False, neurons="sample7"),
    Watching("default monitor", None, None),
)
"""What is measured where a user has no profile."""


def teach(model: BareModel, what: Watching, trusted: Frames, profile: Path, options: Mapping[str, Any]) -> None:
    """Write the profile of a monitor that covers the trusted frames.

    One trusted frame is enough for a class. options: more of what `OnnxNetwork` takes.
    Raises ValueError where the model cannot be watched so, CalibrationError where its scores tell no frames apart.
    """
    taps: dict[str, Any] = {} if what.taps is None else {"taps": what.taps, "neurons": what.neurons}
    with closing(OnnxNetwork(model.path, threads=model.threads, **taps, **options)) as network:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OutriderWarning)  # few frames, few of the classes
            monitor = Monitor(network, what.criterion, logic=None if what.criterion is None else Sum())
            monitor.profile(_batches(trusted, network), minimum_per_class=1)
            _calibrate(monitor, trusted)
        monitor.save(profile)


def _calibrate(monitor: Monitor, trusted: Frames) -> None:
    """Set a threshold on frames that are nearly the trusted ones, and as far from them as it takes."""
    for share in _SHARES:
        try:
            monitor.calibrate(_batches(moved(trusted, _HELD_OUT, share), monitor.network), _FALSE_ALARMS, accept_rate=1)
        except CalibrationError:
            if share == _SHARES[-1]:
                raise
        else:
            return


def _batches(frames: Frames, network: Network) -> list[Any]:
    parts = [np.array_split(frames[one.name], _BATCHES) for one in network.inputs]
    return [together(batch) for batch in zip(*parts, strict=True)]
