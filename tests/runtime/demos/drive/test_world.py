"""The world: CarRacing's pictures and physics, the same for the same seed, and an expert who drives in it."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest

from outrider.networks.packages import install_hint
from outrider.runtime.demos.drive.expert import expert_steering, pedals, speed_for
from outrider.runtime.demos.drive.world import HEIGHT, WIDTH, World


def drive_on(world, frames):
    for _ in range(frames):
        steering = expert_steering(world)
        world.act(steering, *pedals(world.speed, speed_for(steering)))


def test_frames_are_what_a_camera_gives(world):
    world.reset(7)
    frame = world.frame()
    assert (frame.shape, frame.dtype, frame.flags.c_contiguous) == ((3, HEIGHT, WIDTH), np.float32, True)
    np.testing.assert_array_equal(frame, np.round(frame * 255).astype(np.uint8).astype(np.float32) / np.float32(255))
    assert not np.array_equal(world.frame(), frame)


def test_a_seed_is_a_track_and_its_noise(world):
    frames = []
    for seed in (7, 7, 8):
        world.reset(seed)
        drive_on(world, 5)
        frames.append(world.frame())
    np.testing.assert_array_equal(frames[0], frames[1])
    assert not np.array_equal(frames[0], frames[2])


@pytest.mark.parametrize("frames", [0, 60])
def test_the_picture_is_that_of_car_racing(world, frames):
    from gymnasium.envs.box2d.car_racing import CarRacing

    world.reset(7)
    drive_on(world, frames)
    world._env.t = 10.0  # behind the second in which CarRacing zooms in
    theirs = CarRacing._render(world._env, "state_pixels")
    difference = np.abs(theirs.astype(int) - world.picture())[:HEIGHT]
    assert difference.mean() < 1
    assert (difference > 30).mean() < 0.01


def test_the_expert_stays_on_the_road(world):
    for seed in (7, 8):
        world.reset(seed)
        for _ in range(150):
            drive_on(world, 1)
            assert abs(world.offset) < world.half_width
            assert not world.off_road
        assert world.distance > 100


def test_a_car_that_does_not_steer_leaves_the_road(world):
    world.reset(7)
    while not world.off_road:
        world.act(0, *pedals(world.speed, 20))
    assert 20 < world.distance < 150
    assert abs(world.offset) > world.half_width


def test_repainting_changes_road_and_ground_until_the_next_track(world):
    world.reset(7)
    before = world.picture().astype(int)
    world.repaint((0, 0, 200), (200, 0, 0), (220, 0, 0))
    after = world.picture().astype(int)
    assert after[5, 5].argmax() == 0
    assert (np.abs(after - before).sum(axis=2) > 0).mean() > 0.9
    world.reset(7)
    np.testing.assert_array_equal(world.picture(), before)


def test_without_gymnasium_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium.envs.box2d", None)
    with pytest.raises(ImportError, match=re.escape(install_hint("drive"))):
        World()
