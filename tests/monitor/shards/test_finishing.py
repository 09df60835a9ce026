"""The frames that were held become their deviations, and go."""

from __future__ import annotations

import numpy as np

from outrider.coverage import Mahalanobis
from outrider.monitor import Monitor
from outrider.monitor.shards.finishing import probe

from ..conftest import NumpyNetwork, batches, frames


def test_the_probe_is_how_held_frames_deviate():
    monitor = Monitor(NumpyNetwork(), {"hidden": Mahalanobis()})
    profile = monitor.profile(batches(frames(300)))
    assert profile.spool.frames is None
    held = frames(70, seed=3)
    held[7] = 1e30  # too large to be multiplied
    profile.spool.add(held)
    expected = monitor.deviations(profile.spool.frames)
    probe(NumpyNetwork(), profile, monitor.logic)
    np.testing.assert_array_equal(profile.trusted.probe, expected[~np.isnan(expected).any(axis=1)])
    assert profile.spool.frames is None
    assert profile.spool.seen == 370


def test_without_frames_there_is_none():
    monitor = Monitor(NumpyNetwork(), {"hidden": Mahalanobis()})
    profile = monitor.profile(batches(frames(300)))
    profile.trusted.probe = None
    probe(NumpyNetwork(), profile, monitor.logic)
    assert profile.trusted.probe is None
