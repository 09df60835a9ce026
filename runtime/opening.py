"""A monitor from a profile file and the flags that say where its network is."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..monitor import Monitor, read_facts
from ..monitor.profile import NetworkFacts
from .network_spec import reopen_network


def add_network_arguments(parser: argparse.ArgumentParser) -> None:
    """`--network` and `--weights`, as for `outrider profile`."""
    parser.add_argument("--network", help="as for `outrider profile`; default: the profile's .onnx file beside it")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="a PyTorch state dict, .safetensors")


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
