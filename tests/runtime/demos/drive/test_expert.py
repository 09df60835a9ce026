"""The expert: it steers towards the road, slows down in bends, and its pedals take the car to a speed."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from outrider.runtime.demos.drive.expert import CRUISE, LOOK_AHEAD, expert_steering, pedals, speed_for


def world(side=0.0, heading=0.0):
    """A straight road along the x axis, a point a metre; the car stands at its twentieth point or to the left of it."""
    middle = np.stack([np.arange(60.0), np.zeros(60)], axis=1)
    return SimpleNamespace(middle=middle, at=20, position=np.array([20.0, side]), heading=heading)


def test_on_a_straight_road_the_wheel_is_straight():
    assert expert_steering(world()) == 0


@pytest.mark.parametrize("side", [-3.0, 2.0])
def test_the_car_steers_back_by_pure_pursuit(side):
    """Positive steering is to the right, towards a road that lies to the right of the car."""
    ahead = math.ceil(math.sqrt(LOOK_AHEAD**2 - side**2) + 1e-9)
    angle = math.atan2(-side, ahead)
    expected = -math.atan(3.24 * 2 * math.sin(angle) / math.hypot(ahead, side))
    assert expert_steering(world(side)) == pytest.approx(expected)
    assert expert_steering(world(side)) * side > 0


def test_the_wheel_turns_no_further_than_it_can():
    assert expert_steering(world(heading=math.pi / 2)) == 0.4
    assert expert_steering(world(heading=-math.pi / 2)) == -0.4


def test_the_car_is_slower_in_a_bend():
    speeds = [speed_for(steering) for steering in (0.0, 0.1, -0.1, 0.2, 0.4)]
    assert speeds == pytest.approx([CRUISE, 0.84 * CRUISE, 0.84 * CRUISE, 0.68 * CRUISE, 12.0])


def test_one_pedal_at_a_time_and_none_just_above_the_speed():
    assert pedals(10, 20) == (0.5, 0)
    assert pedals(18, 20) == (pytest.approx(0.1), 0)
    assert pedals(20.5, 20) == (0, 0)
    assert pedals(26, 20) == (0, pytest.approx(0.2))
    assert pedals(20, 0) == (0, pytest.approx(0.8))
