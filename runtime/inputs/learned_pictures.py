"""Pictures held against those that a profile was learned from."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np

from ...monitor import Monitor, OutriderWarning
from ...networks import Network, Preprocessing
from ...networks.pictures.facts import PictureFacts


def remembering(network: Network) -> tuple[Preprocessing | None, PictureFacts | None]:
    """The preprocessing of a network, and what the pictures are like that go through it; None without one."""
    if network.preprocessing is None:
        return None, None
    facts = PictureFacts()
    return replace(network.preprocessing, seen=facts.add), facts


def comparing(monitor: Monitor, stream: str = "") -> Preprocessing | None:
    """The preprocessing of a monitor's network, None without one.

    An OutriderWarning says once of each kind in which a picture is unlike those that the profile was learned from.
    stream: named there, where there are several; each has a preprocessing of its own.
    """
    told, facts = monitor.network.preprocessing, monitor.learned.trusted.pictures
    if told is None or facts is None:
        return told
    return replace(told, seen=_Comparison(facts, told, stream))


class _Comparison:
    def __init__(self, facts: PictureFacts, preprocessing: Preprocessing, stream: str) -> None:
        self._facts = facts
        self._stretched = preprocessing.fit == "stretch" and preprocessing.size is not None
        self._before = f"{stream}: " if stream else ""
        self._said: set[str] = set()
        self._count = 0

    def __call__(self, picture: np.ndarray) -> None:
        self._count += 1
        for kind, text in self._facts.strange(picture, stretched=self._stretched, said=self._said):
            self._said.add(kind)
            warnings.warn(f"{self._before}picture {self._count:,} has {text}", OutriderWarning, stacklevel=4)
