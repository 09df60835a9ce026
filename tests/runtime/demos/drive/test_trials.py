"""Trials: tracks that do not meet, drives in the order asked for, and what counts as changed driving."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from outrider.networks.zoo.steering import WEIGHTS
from outrider.runtime.demos.drive import school, trials
from outrider.runtime.demos.drive.loop import DriveRecord, DriveTrial
from outrider.runtime.demos.drive.trials import changes, run_trials


def test_no_track_serves_two_ends():
    learned = range(school.FIRST_TRACK, school.FIRST_TRACK + school.ROUNDS * school.TRACKS)
    uses = [learned, trials.PROFILED, trials.HELD_OUT, trials.DEVELOPMENT, trials.EVALUATION, trials.SHOWN]
    assert not any(set(one) & set(other) for one, other in combinations(uses, 2))


def test_drives_come_in_order_and_alike_from_processes():
    wanted = [DriveTrial(11, frames=12), DriveTrial(12, "fog", frames=12, fault_at=6, keep=True)]
    here = list(run_trials(wanted, WEIGHTS))
    there = list(run_trials(wanted, WEIGHTS, workers=2))
    for one, other in zip(here, there, strict=True):
        assert (one.track, one.fault, one.fault_at) == (other.track, other.fault, other.fault_at)
        np.testing.assert_array_equal(one.position, other.position)
        np.testing.assert_array_equal(one.frames, other.frames)


def test_a_guarded_trial_needs_a_profile():
    with pytest.raises(ValueError, match="expected a profile"):
        list(run_trials([DriveTrial(11, guarded=True)], WEIGHTS))


def straight(aside=0.0, fault_at=None):
    """Ten metres to the east, from the fifth on to the side by so much."""
    places = [np.array([x, aside if x >= 5 else 0.0]) for x in range(11)]
    return DriveRecord(1, "fog", fault_at, np.zeros((3, 2)), position=places, distance=[float(x) for x in range(11)])


@pytest.mark.parametrize(("aside", "changed"), [(0.0, False), (0.9, False), (-1.2, True)])
def test_driving_is_changed_by_a_metre_aside(aside, changed):
    assert changes(straight(), straight(aside, 5)) is changed


def test_being_slower_on_the_same_path_is_no_change():
    slow = straight(fault_at=2)
    half = replace(
        slow, position=[place * (0.5, 1) for place in slow.position], distance=[d / 2 for d in slow.distance]
    )
    assert not changes(straight(), half)


def test_leaving_the_road_is_a_change():
    assert changes(straight(), replace(straight(fault_at=5), left_at=10))
