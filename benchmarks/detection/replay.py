"""A network that remembers what it showed: many monitors of the same taps are profiled by one pass."""

from __future__ import annotations

import hashlib
from copy import deepcopy
from typing import Any

import numpy as np

from outrider.networks import Network, Observation


class Replay(Network):
    """A network, and the observations of every batch that went through it.

    It holds all of them in memory: it is for taps of few neurons.
    """

    def __init__(self, network: Network):
        self.network = network
        self.passes = 0
        self._seen: dict[bytes, Observation] = {}
        for name in ("taps", "classes", "input_shape", "engine", "fingerprint", "dtype", "scores", "scores_output"):
            setattr(self, name, getattr(network, name))

    def observe(self, batch: Any) -> Observation:
        key = hashlib.blake2b(np.ascontiguousarray(batch).data, digest_size=16).digest()
        if key not in self._seen:
            found = self.network.observe(batch)
            self._seen[key] = Observation(
                deepcopy(found.output), np.array(found.logits), tuple(map(np.array, found.activations))
            )
            self.passes += 1
        return self._seen[key]

    def run(self, batch: Any) -> Any:
        return self.network.run(batch)

    def close(self) -> None:
        self._seen.clear()
        self.network.close()
