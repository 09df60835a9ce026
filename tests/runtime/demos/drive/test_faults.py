"""Every fault gives frames of a camera, the same for the same random numbers."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.networks.zoo.steering import steering_of
from outrider.runtime.demos.drive.faults import ATTACK_STRENGTH, FAULTS, Scene

CAMERA = [name for name in FAULTS if name != "other colours"]


@pytest.fixture(scope="module")
def frames(world):
    world.reset(7)
    seen = []
    for _ in range(4):
        seen.append(world.frame())
        world.act(0, 0.1, 0)
    return seen


def begin(name, world, seed=0):
    if name == "adversary":
        pytest.importorskip("torch")
    return FAULTS[name](Scene(world, np.random.default_rng(seed)))


@pytest.mark.parametrize("name", CAMERA)
def test_faults_keep_the_form_and_leave_the_frame_alone(name, world, frames):
    change, again = begin(name, world), begin(name, world)
    for frame in frames:
        before = frame.copy()
        changed = change(frame)
        np.testing.assert_array_equal(frame, before)
        assert (changed.shape, changed.dtype) == (frame.shape, np.float32)
        assert 0 <= changed.min() < changed.max() <= 1
        np.testing.assert_array_equal(changed, again(frame))
    assert not np.array_equal(changed, frames[-1])


def test_a_stuck_frame_is_the_same_to_the_bit(world, frames):
    change = begin("stuck frame", world)
    assert len({change(frame).tobytes() for frame in frames}) == 1


def test_other_colours_are_painted(world):
    world.reset(7)
    before = world.picture()
    change = begin("other colours", world)
    assert (np.abs(world.picture().astype(int) - before).sum(axis=2) > 0).mean() > 0.9
    frame = world.frame()
    assert change(frame) is frame


def test_the_adversary_turns_the_wheel_within_its_bound(world, network, frames):
    change = begin("adversary", world)
    for frame in frames:
        changed = change(frame)
        assert np.abs(changed - frame).max() <= ATTACK_STRENGTH + 1e-6
        turned = abs(steering_of(network.run(changed[None])[0]) - steering_of(network.run(frame[None])[0]))
        assert turned > 0.02
