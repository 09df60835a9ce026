"""One profile of the parts that many workers wrote, or of the profiles of several fleets."""

from __future__ import annotations

import argparse
from contextlib import closing

from ....monitor import Monitor
from ....monitor.shards.reading import network_of
from ...inputs.detectors import decoder_of
from ...inputs.networks import reopen_network
from ..commands.inspect import print_profile
from ..printing import answer


def run(options: argparse.Namespace) -> int:
    path, facts = network_of(options.parts)
    decode = decoder_of(options.detections)
    with closing(reopen_network(options.network, path, facts, options.weights, decode)) as network:
        monitor = Monitor.merge(options.parts, network, allow_missing=options.allow_missing)
        monitor.save(options.output)
        told = monitor.describe()
    answer(told, lambda: print_profile(options.output, told), as_json=options.json)
    return 0
