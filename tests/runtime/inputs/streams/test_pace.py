"""When frames are handed on."""

from __future__ import annotations

import types

import numpy as np
import pytest

from outrider.runtime.inputs import streams
from outrider.runtime.inputs.streams import paced


class Clock:
    """Time that passes only where it is waited for."""

    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr(streams.pace, "time", types.SimpleNamespace(monotonic=lambda: self.now))

    def wait(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def frames_at(*times):
    return [None if seconds is None else streams.Frame(seconds, None, "") for seconds in times]


def test_realtime_keeps_the_distances_of_the_times(clock):
    arrivals = []
    for frame in paced(frames_at(5.0, 5.5, None, 5.6, 9.0), clock.wait, realtime=True):
        if frame is not None:
            arrivals.append(clock.now - 100)
            clock.now += 0.3  # the network
    assert arrivals == pytest.approx([0, 0.5, 0.8, 4.0])


def test_realtime_cuts_long_gaps_and_waits_for_no_clock_that_goes_back(clock):
    frames = frames_at(5.0, 5.1, 1.7e9, 5.2, 5.3, 0.0, 5.4, 100.0, 100.5)
    arrivals = [clock.now for frame in paced(frames, clock.wait, realtime=True) if frame is not None]
    assert np.diff(arrivals) == pytest.approx([0.1, 10, 0, 0.1, 0, 5.4, 10, 0.5], abs=1e-6)


def test_a_gap_of_a_recording_is_one_without_frames(clock):
    found = list(paced(frames_at(0.0, 0.04, 0.59), clock.wait, realtime=True))
    assert [None if frame is None else frame.time for frame in found] == [0.0, 0.04, *[None] * 5, 0.59]


def test_a_rate_is_kept_and_lost_time_is_not_made_up_for(clock):
    arrivals = []
    for frame in paced(frames_at(*range(6)), clock.wait, rate=10):
        arrivals.append(clock.now - 100)
        clock.now += 1.0 if frame.time == 2 else 0.01
    assert arrivals == pytest.approx([0, 0.1, 0.2, 1.2, 1.3, 1.4])


def test_without_a_pace_nothing_waits(clock):
    assert list(paced(frames_at(1, None, 3), clock.wait)) == frames_at(1, None, 3)
    assert clock.now == 100
