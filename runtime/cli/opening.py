"""A monitor from a profile file and the flags that say where its network is."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any

from ...monitor import Monitor, NotReadyError
from ...monitor.files import read_network
from ...networks import Preprocessing
from ..inputs.detectors import decoder_of
from ..inputs.networks import reopen_network


def pictures(options: argparse.Namespace) -> dict[str, Any]:
    """The fields of `Preprocessing` that were given."""
    names = [one.name for one in fields(Preprocessing) if one.compare]
    return {name: getattr(options, name) for name in names if getattr(options, name) is not None}


def states(options: argparse.Namespace) -> dict[str, str | int] | None:
    """What `--state` says, None where it was not given."""
    return dict(options.state) if options.state else None


def input_shape(options: argparse.Namespace) -> Any:
    """What `--input-shape` says: a shape, a mapping of several by name, or None. Raises ValueError for both."""
    given = dict(options.input_shape or ())
    if len(given) < len(options.input_shape or ()) or ("" in given and len(given) > 1):
        raise ValueError("expected --input-shape once, or once for each input by its name")
    return given.get("", given or None)


def learned_inputs(profile: Path, key: Path | None = None) -> list[str]:
    """The names of what a frame of a profile's network is made of; none for one array without a name.

    Raises ProfileError, FileNotFoundError.
    """
    return [one.name for one in read_network(profile, key=key).frame]


def open_monitor(options: argparse.Namespace, *, calibrated: bool = False) -> Monitor:
    """The monitor of `options.profile` on its network.

    calibrated: whether it must have a threshold. Raises ProfileError, MismatchError, NotReadyError, SignatureError,
    FileNotFoundError.
    """
    key = getattr(options, "key", None)
    facts = read_network(options.profile, key=key)
    decode = decoder_of(options.detections)
    network = reopen_network(options.network, options.profile, facts, options.weights, decode)
    try:
        monitor = Monitor.load(options.profile, network, key=key)
        if calibrated and monitor.calibration is None:
            raise NotReadyError(
                f"{options.profile}: expected a calibrated profile, got one without a threshold;"
                f" `outrider calibrate {options.profile} HELD_OUT` sets it"
            )
    except BaseException:
        network.close()
        raise
    return monitor
