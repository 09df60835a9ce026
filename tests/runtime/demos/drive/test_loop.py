"""The loop: the network drives, the guard brakes on the last trusted course, the record says when what happened."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.monitor import Status
from outrider.networks.zoo.steering import steering_of
from outrider.runtime.demos.drive.loop import BRAKING, DriveRecord, DriveTrial, Pilot, drive
from outrider.runtime.demos.drive.world import FRAMES_PER_SECOND

OK, WARN, ALARM = Status.OK, Status.WARN, Status.ALARM


def blinded(_random):
    """A fault that shows nothing but white."""
    return np.ones_like


def test_the_shipped_network_drives(world, network):
    record = drive(world, Pilot(network), DriveTrial(11, frames=150))
    assert (record.left_at, record.stopped_at, record.alarm_at, record.false_alarm) == (None, None, None, False)
    assert max(map(abs, record.offset)) < world.half_width
    assert record.travelled > 80
    assert len(record.status) == len(record.seconds) == len(record.position) == 150


def test_the_same_drive_twice_is_the_same(world, network):
    first, second = (drive(world, Pilot(network), DriveTrial(11, frames=40, push=0.2)) for _ in range(2))
    np.testing.assert_array_equal(first.position, second.position)


def test_an_alarm_brings_the_car_to_rest_on_the_last_trusted_course(world, network, scripted):
    pilot = scripted([OK] * 50 + [WARN, WARN] + [ALARM] * 100)
    record = drive(world, pilot, DriveTrial(11, "blank", frames=150, fault_at=50), blinded)
    assert (record.alarm_at, record.delay, record.false_alarm, record.left_at) == (52, 3, False, None)
    assert record.stopped_at is not None
    assert record.speed[-1] < 0.3
    assert set(record.steering[52:]) == {record.steering[49]}
    seconds = (record.stopped_at - record.alarm_at) / FRAMES_PER_SECOND
    assert seconds == pytest.approx(record.speed[52] / BRAKING, abs=0.3)


def test_when_the_alarm_ends_the_car_drives_on(world, scripted):
    record = drive(world, scripted([OK] * 50 + [ALARM] * 10 + [OK] * 40), DriveTrial(11, frames=100))
    assert (record.false_alarm, record.stopped_at, record.left_at) == (True, None, None)
    assert record.speed[60] < record.speed[50] - 5
    assert record.speed[99] > record.speed[60] + 5


def test_a_drive_ends_when_no_wheel_is_on_the_road(world, network):
    record = drive(world, Pilot(network), DriveTrial(11, "white", frames=400, fault_at=20, keep=True), blinded)
    assert record.left_at == len(record.status) - 1 < 399
    assert record.frames[19].min() < 255 == record.frames[20].min()
    assert record.frames[0].dtype == np.uint8


def test_without_an_output_the_wheel_is_straight(network, scripted):
    pilot = scripted([ALARM])
    pilot.begin()
    assert pilot.command(np.zeros((3, 84, 96), np.float32), 10.0) == (0.0, 0.0)


def test_delays_count_the_first_faulty_frame_as_one():
    record = DriveRecord(1, "fog", 5, np.zeros((3, 2)), status=[OK] * 5 + [ALARM])
    assert (record.alarm_at, record.delay, record.false_alarm) == (5, 1, False)
    early = DriveRecord(1, "fog", 5, np.zeros((3, 2)), status=[OK, ALARM, OK, OK, OK, OK])
    assert (early.alarm_at, early.delay, early.false_alarm) == (None, None, True)


def test_steering_is_the_mean_of_the_classes(network):
    frame = np.full((3, 84, 96), 0.4, np.float32)
    assert abs(steering_of(network.run(frame[None])[0])) <= 0.3
