"""A monitor from a profile file and the flags that say where its network is."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..monitor import Monitor, read_facts
from ..monitor.profile import NetworkFacts
from .network_spec import reopen_network


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
