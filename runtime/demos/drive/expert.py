"""Drives well because it is told where the road is: pure pursuit of a point ahead (Coulter, 1992), speed by curvature.

It teaches the network, which has the camera alone.
"""

from __future__ import annotations

import math

import numpy as np

from .world import World

LOOK_AHEAD = 12.0
CRUISE = 24.0
_WHEEL_BASE = 3.24
_SLOWEST = 12.0


def expert_steering(world: World) -> float:
    """The steering, in [-0.4, 0.4], that takes the car to the middle of the road `LOOK_AHEAD` metres ahead."""
    ahead = np.roll(world.middle, -world.at, axis=0) - world.position
    target = ahead[int(np.argmax(np.linalg.norm(ahead, axis=1) > LOOK_AHEAD))]
    angle = math.atan2(target[1], target[0]) - world.heading
    curvature = 2 * math.sin(angle) / math.hypot(*target)
    return float(np.clip(-math.atan(_WHEEL_BASE * curvature), -0.4, 0.4))


def speed_for(steering: float) -> float:
    """The speed wanted with that steering: slower in a bend."""
    return max(_SLOWEST, CRUISE * (1 - 1.6 * abs(steering)))


def pedals(speed: float, wanted: float) -> tuple[float, float]:
    """Gas and brake, each in [0, 1], towards a wanted speed; a little above it the car rolls."""
    slack = min(1.0, wanted / 4)
    return float(np.clip(0.05 * (wanted - speed), 0, 0.5)), float(np.clip(0.04 * (speed - wanted - slack), 0, 0.8))
