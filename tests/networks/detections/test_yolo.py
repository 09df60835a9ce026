"""The outputs of YOLO models, of both forms."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.networks import make_decoder


def test_both_forms_say_the_same():
    middle = np.array([[10, 20, 4, 6], [30, 20, 8, 2]], np.float32)
    scores = np.array([[0.1, 0.6, 0.2], [0.7, 0.3, 0.1]], np.float32)
    anchors = np.concatenate([middle, scores], axis=1)
    v8 = np.zeros((1, 7, 20), np.float32)
    v8[0, :, [3, 11]] = anchors
    v5 = np.zeros((1, 20, 8), np.float32)
    v5[0, [3, 11]] = np.insert(anchors, 4, 0.5, axis=1)
    one, other = make_decoder("yolo")(v8)[0], make_decoder("yolo")(v5)[0]
    assert one.boxes.tolist() == [[26, 19, 34, 21], [8, 17, 12, 23]]
    assert one.classes.tolist() == [0, 1]
    np.testing.assert_allclose(one.scores, [0.7, 0.6])
    np.testing.assert_array_equal(other.boxes, one.boxes)
    np.testing.assert_allclose(other.scores, one.scores / 2)
    few = v8[:, :, [3, 11]]  # fewer anchors than numbers
    assert make_decoder("yolo", version="v8")(few)[0].boxes.tolist() == one.boxes.tolist()
    assert make_decoder("yolo", classes=1)(v8)[0].classes.tolist() == [0]


@pytest.mark.parametrize("shape", [(7, 20), (1, 4, 20), (1, 20, 5)])
def test_another_output_is_refused(shape):
    with pytest.raises(ValueError, match="expected an output of yolo"):
        make_decoder("yolo")(np.zeros(shape, np.float32))
