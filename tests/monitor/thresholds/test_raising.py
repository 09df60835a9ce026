from __future__ import annotations

import numpy as np

from outrider.monitor.calibration import thresholds_by_class
from outrider.monitor.thresholds.raising import raised_where_few


def test_what_is_raised_falls_with_the_profiled_frames_and_is_the_quantile_of_each_pool():
    rng = np.random.default_rng(1)
    several = 0
    for _ in range(30):
        profiled, predictions = rng.integers(1, 9, 12), rng.integers(0, 12, 60)
        scores = rng.exponential(size=60) * 3 + 8 / profiled[predictions]
        raised = raised_where_few(scores, predictions, profiled)
        assert (np.diff(raised[np.argsort(profiled)]) <= 1e-12).all()
        levels = np.unique(raised[predictions])
        several += len(levels) > 1
        of_pools = [np.quantile(scores[raised[predictions] == level], 0.8) for level in levels]
        np.testing.assert_allclose(levels - levels[0], np.array(of_pools) - of_pools[0], atol=1e-12)
    assert several > 20


def test_what_is_raised_by_hand():
    profiled = np.array([40, 10, 20, 15, 5])  # 15 lies between, and 5 below all that are seen
    predictions, scores = np.repeat([0, 1, 2], 6), np.array([1.0] * 6 + [3] * 6 + [2] * 6)
    assert raised_where_few(scores, predictions, profiled).tolist() == [0, 2, 1, 1.5, 2]
    pooled = raised_where_few(np.array([1.0] * 6 + [2] * 6 + [3] * 6), predictions, profiled)
    assert pooled.tolist() == [0, 2, 2, 2, 2], "10 and 20 frames score in the wrong order: one pool, of 2s and 3s"
    assert raised_where_few(np.zeros(0), np.zeros(0, int), profiled).tolist() == [0] * 5
    rising = raised_where_few(np.array([3.0] * 6 + [1] * 6 + [2] * 6), predictions, profiled)
    assert rising.tolist() == [0] * 5, "what was profiled most scores highest: that is no lack of frames"


def test_one_frame_that_is_far_off_raises_no_threshold_beyond_all_scores():
    profiled, rest = np.array([5, 20, 40]), [1.0] * 6
    raised = raised_where_few(np.array([500.0, *rest, *rest]), np.repeat([0, 1, 2], [1, 6, 6]), profiled)
    assert raised.tolist() == [0, 0, 0], "the one frame of the thinnest class"
    raised = raised_where_few(np.array([*rest, *rest, 0.0]), np.repeat([0, 1, 2], [6, 6, 1]), profiled)
    assert raised.tolist() == [0, 0, 0], "one low score of the class with the most is no measure of all others"


def test_classes_of_few_frames_alarm_as_asked_where_the_threshold_is_raised():
    rng = np.random.default_rng(5)
    profiled = np.repeat([10, 40, 200], 10)
    higher = np.repeat([3.0, 1.0, 0.0], 10)

    def draw(n):
        predictions = rng.choice(30, n, p=profiled / profiled.sum())
        return rng.exponential(size=n) + higher[predictions], predictions

    rates = {False: [], True: []}
    for _ in range(60):
        raised = raised_where_few(*draw(400), profiled)
        known, new = draw(400), draw(4000)
        for raises, found in rates.items():
            thresholds, _ = thresholds_by_class(*known, 30, 0.05, raises, raised=raised if raises else None)
            above, few = new[0] > thresholds[new[1]], profiled[new[1]] == 10
            found.append((above.mean(), above[few].mean()))
    (pooled, thin), (shared, raised_thin) = np.mean(rates[False], axis=0), np.mean(rates[True], axis=0)
    assert max(pooled, shared) < 0.054, "the rate holds over all either way"
    assert thin > 0.5
    assert raised_thin < 0.1
