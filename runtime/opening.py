"""A monitor from a profile file and the flags that say where its network is."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..monitor import Monitor, read_facts
from ..monitor.profile import NetworkFacts
from . import arguments
from .network_spec import reopen_network


def add_network_arguments(parser: argparse.ArgumentParser) -> None:
    """`--network` and `--weights`, as for `outrider profile`."""
    parser.add_argument("--network", help="as for `outrider profile`; default: the profile's .onnx file beside it")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="a PyTorch state dict, .safetensors")


def add_picture_arguments(parser: argparse._ArgumentGroup) -> None:
    """How pictures become what a network takes: the fields of `Preprocessing`."""
    parser.add_argument("--size", type=arguments.positive, nargs=2, metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--scale", type=float, help="times the pixel values, by default 1/255")
    parser.add_argument("--mean", type=arguments.numbers, metavar="M,M,M", help="subtracted after --scale")
    parser.add_argument("--std", type=arguments.numbers, metavar="S,S,S", help="divided by after --mean")
    parser.add_argument("--layout", choices=("NCHW", "NHWC"))
    parser.add_argument("--order", choices=("RGB", "BGR", "L"))


def pictures(options: argparse.Namespace) -> dict[str, Any]:
    """The fields of `Preprocessing` that were given."""
    names = ("size", "scale", "mean", "std", "layout", "order")
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}


def open_monitor(options: argparse.Namespace) -> Monitor:
    """The monitor of `options.profile` on its network. Raises ProfileError, MismatchError, FileNotFoundError."""
    facts = _network_facts(options.profile)
    network = reopen_network(options.network, options.profile, facts, options.weights)
    try:
        return Monitor.load(options.profile, network)
    except BaseException:
        network.close()
        raise


def _network_facts(path: Path) -> NetworkFacts:
    return NetworkFacts.from_dict(read_facts(path)["network"])
