"""Attacks stay close to their start, and within what an image can be."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from outrider.monitor.evaluation.adaptive.ball import Ball, mask_of, refuse_outside  # noqa: E402

BOUNDS = (0.0, 1.0)


def test_a_ball_ends_at_epsilon_at_the_bounds_and_at_the_mask():
    start = torch.tensor([[0.0, 0.05, 0.5, 1.0]])
    ball = Ball.around(start, 0.1, BOUNDS, torch.tensor([[True, True, True, False]]))
    torch.testing.assert_close(ball.low, torch.tensor([[0.0, 0.0, 0.4, 1.0]]))
    torch.testing.assert_close(ball.high, torch.tensor([[0.1, 0.15, 0.6, 1.0]]))
    torch.testing.assert_close(ball.kept(torch.full((1, 4), 7.0)), ball.high)
    drawn = ball.drawn(torch.Generator().manual_seed(0))
    assert ((ball.low <= drawn) & (drawn <= ball.high)).all()
    assert (drawn[0, :3] != start[0, :3]).all()
    assert len(ball[torch.tensor([False])]) == 0


@pytest.mark.parametrize(("moved", "said"), [(0.11, "change of 0.11"), (-0.01, "numbers in"), (np.nan, "nan")])
def test_what_left_the_ball_is_refused(moved, said):
    start = np.zeros((1, 1, 2, 2), np.float32)
    refuse_outside(start + np.float32(0.1), start, 0.1, BOUNDS)
    with pytest.raises(RuntimeError, match=said):
        refuse_outside(np.where(np.arange(4).reshape(1, 1, 2, 2), 0, moved), start, 0.1, BOUNDS)


def test_the_object_is_what_differs_from_a_flat_background():
    images = np.full((2, 1, 6, 6), 0.25, np.float32)
    images[0, 0, 2:4, 2:4] = 0.9
    images[1, 0, :2] = 0.0
    expected = np.abs(images - 0.25) > 0.02
    np.testing.assert_array_equal(mask_of(images, "background"), expected)
    grain = np.random.default_rng(0).random((2, 1, 6, 6))
    assert mask_of(grain, "background") is None
    assert mask_of(np.zeros((2, 5)), "background") is None
    assert mask_of(images, None) is None


def test_a_mask_is_an_array_that_fits():
    images = np.zeros((2, 3, 4, 4))
    given = np.eye(4, dtype=bool)
    np.testing.assert_array_equal(mask_of(images, given), np.broadcast_to(given, images.shape))
    with pytest.raises(ValueError, match=r"expected a mask that fits images \(2, 3, 4, 4\), got shape \(5,\)"):
        mask_of(images, np.ones(5))
    with pytest.raises(ValueError, match="expected a mask as an array, 'background' or None, got 'object'"):
        mask_of(images, "object")


def test_bounds_and_flatness_are_those_of_images_of_any_scale():
    images = np.full((1, 1, 6, 6), 63.0, np.float32) + np.random.default_rng(0).random((1, 1, 6, 6), np.float32)
    images[0, 0, 2:4, 2:4] = 200
    np.testing.assert_array_equal(mask_of(images, "background", (0, 255)), images > 100)
    for bounds, epsilon in (((0, 255), 25.1), ((-2.1, 2.64), 0.3), ((-1000.3, 1000.7), 0.7)):
        start = np.linspace(*bounds, 1000, dtype=np.float32).reshape(1, 1, 10, 100)
        ball = Ball.around(torch.from_numpy(start), epsilon, bounds)
        for images in (ball.low, ball.high):
            refuse_outside(images.numpy(), start, epsilon, bounds)
        with pytest.raises(RuntimeError, match="a change of"):
            refuse_outside(start + np.float32(1.01 * epsilon), start, epsilon, bounds)
