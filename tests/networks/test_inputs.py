"""Batches of one and of several inputs."""

import numpy as np
import pytest

from outrider.networks.inputs import Input, each, frames_in, parts_of, together

ONE = (Input("image", (3, None, None), "uint8"),)
TWO = (Input("camera", (3, 8, 8)), Input("speed", (1,)))
CAMERA, SPEED = np.zeros((4, 3, 8, 8), np.float32), np.zeros((4, 1), np.float32)


def test_the_arrays_come_in_the_order_of_the_inputs():
    for batch in ((CAMERA, SPEED), [CAMERA, SPEED], {"speed": SPEED, "camera": CAMERA}):
        found = parts_of(batch, TWO)
        assert found[0] is CAMERA
        assert found[1] is SPEED
    assert parts_of(CAMERA, ONE)[0] is CAMERA
    assert parts_of({"image": CAMERA}, ONE)[0] is CAMERA


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"camera": CAMERA}, "expected the inputs camera, speed, got camera"),
        ({"camera": CAMERA, "sped": SPEED}, "got camera, sped"),
        ({}, "got none"),
        ((CAMERA, SPEED, SPEED), "expected 2 arrays, for the inputs camera, speed, got 3"),
    ],
)
def test_another_number_and_other_names_are_refused(batch, message):
    with pytest.raises(ValueError, match=message):
        parts_of(batch, TWO)


def test_one_array_is_no_batch_of_two_inputs():
    with pytest.raises(TypeError, match=r"a tuple of 2 arrays \(camera, speed\) or a mapping"):
        parts_of(CAMERA, TWO)


def test_every_array_is_changed_and_counted():
    batch = {"camera": CAMERA, "speed": SPEED}
    halves = each(batch, lambda array: array[:2])
    assert list(halves) == ["camera", "speed"]
    assert frames_in(halves) == 2
    assert frames_in(each((CAMERA, SPEED), lambda array: array[1:])) == 3
    assert frames_in(each(CAMERA, lambda array: array[None])) == 1
    assert together((CAMERA,)) is CAMERA
    assert together([CAMERA, SPEED])[1] is SPEED
    with pytest.raises(ValueError, match="as many frames of every input, got 4, 2"):
        frames_in((CAMERA, SPEED[:2]))
