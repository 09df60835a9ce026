"""The drive's experiment: the same drive twice, without and with the guard, and the cost of a frame."""

from __future__ import annotations

import numpy as np


def test_the_guard_stops_what_the_bare_network_drives_on_with(demo):
    experiment, _ = demo
    assert [pair.fault for pair in experiment.pairs] == ["fog", "night", "camera noise"]
    for pair in experiment.pairs:
        assert pair.bare.alarm_at is None
        assert pair.guarded.delay <= 10
        assert pair.guarded.left_at is None
        assert pair.guarded.stopped_at is not None
        np.testing.assert_array_equal(pair.bare.position[:30], pair.guarded.position[:30])


def test_every_frame_is_timed_without_and_with_the_guard(demo):
    experiment, _ = demo
    assert experiment.bare.shape == experiment.monitored.shape == (50,)
    assert min(experiment.bare.min(), experiment.monitored.min()) > 0
