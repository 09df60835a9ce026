from __future__ import annotations

import numpy as np
import pytest

from outrider.monitor.data.class_order import Confusion


def confused(seen, counts=None):
    """seen: {label: {class: frames}}."""
    confusion = Confusion()
    for label, classes in seen.items():
        for prediction, count in classes.items():
            confusion.add(np.full(count, label), np.full(count, prediction))
    return confusion


def test_an_order_in_which_most_are_right_is_found():
    order, right = confused({0: {2: 80, 0: 20}, 1: {0: 90, 1: 10}, 2: {1: 70, 2: 30}}).other_order()
    assert order == {0: 2, 1: 0, 2: 1}
    assert right == pytest.approx(240 / 300)


@pytest.mark.parametrize(
    "seen",
    [
        {},
        {0: {0: 9, 1: 1}, 1: {1: 9}},  # right as they are
        {0: {2: 9}, 1: {2: 9}},  # no order: one class takes all
        {0: {1: 4, 0: 3, 2: 3}, 1: {2: 4, 0: 3, 1: 3}, 2: {0: 4, 1: 3, 2: 3}},  # less than half would be right
    ],
)
def test_no_order_is_named_without_reason(seen):
    assert confused(seen).other_order() is None


def test_the_order_of_frames_and_batches_does_not_matter():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, 500)
    predictions = np.where(rng.random(500) < 0.7, (labels + 1) % 5, labels)
    whole, parts = Confusion(), Confusion()
    whole.add(labels, predictions)
    for rows in np.array_split(rng.permutation(500), 7):
        parts.add(labels[rows], predictions[rows])
    assert whole.other_order() == parts.other_order()
    assert whole.other_order()[0] == {c: (c + 1) % 5 for c in range(5)}


def test_counts_are_kept_and_merge():
    whole = confused({0: {2: 8, 0: 2}, 1: {0: 9, 1: 1}, 2: {1: 7}})
    part = confused({0: {2: 8}, 1: {0: 4}})
    part.merge(confused({0: {0: 2}, 1: {0: 5, 1: 1}, 2: {1: 7}}))
    assert part.counts.tolist() == whole.counts.tolist()
    again = Confusion.of(whole.counts)
    assert again.other_order() == whole.other_order()
    again.add(np.array([5]), np.array([6]))
    assert again.counts.tolist() == [*whole.counts.tolist(), [5, 6, 1]]
    assert Confusion.of(Confusion().counts).other_order() is None


@pytest.mark.parametrize("counts", [np.zeros((2, 2), np.int64), np.zeros((2, 3)), np.array([[0, 1, -1]])])
def test_other_counts_are_refused(counts):
    with pytest.raises(ValueError, match="expected labels, predictions and counts"):
        Confusion.of(counts)
