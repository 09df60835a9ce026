"""The square attack sees answers alone."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.monitor.evaluation.adaptive.square import Answers, square_attack


class Brightness:
    """Class 1 above a mean of 0.5. The score is how far the left half is from the right half."""

    def __init__(self, threshold):
        self.threshold, self.asked = threshold, 0

    def __call__(self, images):
        self.asked += len(images)
        margin = 20 * (images.mean((1, 2, 3)) - 0.5)
        score = 10 * np.abs(images[..., :4].mean((1, 2, 3)) - images[..., 4:].mean((1, 2, 3)))
        logits = np.stack([np.zeros_like(margin), margin], 1)
        return Answers(logits, score, np.full(len(images), self.threshold), score <= self.threshold)


def attacked(ask, epsilon=0.1, queries=300, n=6):
    start = np.random.default_rng(0).uniform(0.4, 0.55, (n, 1, 8, 8)).astype(np.float32)
    start += np.float32(0.46) - start.mean((1, 2, 3), keepdims=True)
    low, high = start - np.float32(epsilon), start + np.float32(epsilon)
    return square_attack(ask, start, low, high, np.zeros(n, int), queries, seed=1), low, high


def test_it_finds_what_fools_without_an_alarm_and_stays_within_bounds():
    ask = Brightness(0.3)
    found, low, high = attacked(ask)
    assert ((low <= found.images) & (found.images <= high)).all()
    answers = Brightness(0.3)(found.images)
    np.testing.assert_array_equal(found.evaded, (answers.logits[:, 1] > 0) & answers.silent)
    assert found.evaded.all()
    assert ask.asked < 6 * 301


def test_what_cannot_be_silent_is_fooled_and_not_evaded():
    found, _, _ = attacked(Brightness(-1.0), queries=200)
    assert found.fooled.all()
    assert not found.evaded.any()


def test_a_ball_that_is_too_small_holds_nothing():
    ask = Brightness(5.0)
    found, _, _ = attacked(ask, epsilon=0.01, queries=40)
    assert not found.fooled.any()
    assert not found.evaded.any()
    assert ask.asked == 6 * 40


def test_an_infinite_score_is_a_large_one():
    answers = Answers(np.zeros((3, 2)), np.array([np.inf, 1.0, 0.0]), np.array([1.0, 1.0, 0.0]), np.zeros(3, bool))
    assert np.isfinite(answers.excess).all()
    assert answers.excess[0] > answers.excess[1] > 0


def test_what_is_no_image_is_refused():
    vectors = np.zeros((2, 5), np.float32)
    with pytest.raises(ValueError, match=r"expected images \(n, channels, height, width\).*got \(2, 5\)"):
        square_attack(Brightness(1), vectors, vectors, vectors, np.zeros(2, int), 10)
