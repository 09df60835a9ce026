"""What is summed: which columns, and detections whose classes grow."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage import Gaussian, Mahalanobis, RelativeMahalanobis, SingleRange, Softmax
from outrider.monitor import ProfileError
from outrider.monitor.boxes.learned import BoxColumn, LearnedBoxes
from outrider.monitor.profile import Column
from outrider.monitor.shards.sums import Opened, exact, join_boxes, summed

COLUMNS = (
    Column(Mahalanobis(), 0, 0),
    Column(RelativeMahalanobis(), 0, 1),
    Column(SingleRange(), 0, 2),
    Column(Softmax(), 1, 3),
    Column(Gaussian(), 0, 4),
)


def test_columns_that_share_a_signature_are_summed_once():
    assert summed(COLUMNS) == [0, 4]
    assert exact(COLUMNS) == [2, 3]


def boxes(values, labels, classes, matched=None):
    criterion = Gaussian()
    signature = criterion.empty(2, classes)
    criterion.observe(signature, np.asarray(values, np.float32), np.asarray(labels))
    return LearnedBoxes((BoxColumn(criterion, 0),), [signature], len(labels), matched, 1)


def test_detections_grow_to_the_highest_class_of_any_part():
    few, many = boxes([[1, 2], [3, 4]], [0, 0], 1, True), boxes([[5, 6], [7, 8], [9, 1]], [0, 2, 2], 3, True)
    whole = boxes([[1, 2], [3, 4], [5, 6], [7, 8], [9, 1]], [0, 0, 0, 2, 2], 3, True)
    for mine, theirs in ((few.copy(), many.copy()), (many.copy(), few.copy())):
        join_boxes(mine, theirs)
        assert (mine.frames, mine.left_out, mine.matched) == (5, 2, True)
        assert mine.per_class.tolist() == [3, 0, 2]
        for name, array in mine.signatures[0].arrays.items():
            np.testing.assert_allclose(array, whole.signatures[0].arrays[name], rtol=1e-12)


def test_true_boxes_decide_in_all_parts_or_in_none():
    mine = boxes([[1, 2]], [0], 1)
    join_boxes(mine, boxes([[1, 2]], [0], 1, False))
    assert mine.matched is False
    with pytest.raises(ProfileError, match="expected true boxes in all parts or in none"):
        join_boxes(mine, boxes([[1, 2]], [0], 1, True))


def test_the_digest_of_frames_is_of_their_order_and_not_of_their_batches():
    def digest(*batches):
        opened = Opened(None)
        for batch in batches:
            opened.saw(np.array(batch, np.uint64))
        return opened.frames, opened.digest

    assert digest([1, 2, 3]) == digest([1], [2, 3])
    assert digest([1, 2, 3]) != digest([2, 1, 3])
    assert digest([0]) != digest([0, 0])
    assert digest([2**64 - 1, 5])[1] < 2**64
